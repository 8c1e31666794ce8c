// Levels that grow by factors: sums of powers of two, and powers of the root of two.
#include <cmath>
#include <set>

#include "format/formats/records.hpp"

namespace qtool {
namespace {

// Sums of one number of each set.
std::vector<int> sums(std::initializer_list<std::initializer_list<int>> terms) {
  std::set<int> all = {0};
  for (const auto& term : terms) {
    std::set<int> next;
    for (int sum : all) {
      for (int t : term) next.insert(sum + t);
    }
    all = std::move(next);
  }
  return {all.begin(), all.end()};
}

Codebook additive(const CodebookRequest& request) {
  // The paper's sets for 2, 3 and 4 bits without the sign, times 8, 16 and 64.
  const std::vector<int> magnitudes = request.bits == 3   ? sums({{0, 1, 2, 4}})
                                      : request.bits == 4 ? sums({{0, 1, 4, 8}, {0, 2}})
                                                          : sums({{0, 2, 8, 32}, {0, 1, 4, 16}});
  return symmetric_codebook(magnitudes, true);
}

Codebook root_of_two(const CodebookRequest& request) {
  std::vector<int> magnitudes;
  for (int k = 0; k < (1 << (request.bits - 1)) - 1; ++k)
    magnitudes.push_back(static_cast<int>(std::nearbyint(kMostLevel * std::exp2(-0.5 * k))));
  return symmetric_codebook(magnitudes, true);
}

// Half of a gap between neighbours, or of that around zero; levels are rounded to whole numbers.
double near_root(const WeightFormat&, int bits, double value) {
  const double root = std::sqrt(2.0), least = kMostLevel * std::exp2(1 - std::exp2(bits - 2));
  return std::max(least / 2, std::fabs(value) * (root - 1) / (root + 1)) + 0.5;
}

}  // namespace

extern const FormatDef kApot = {.name = "apot",
                                .summary = "sums of two powers of two",
                                .levels = "+-(2^-i + 2^-j) by the paper's sets",
                                .paper = "arXiv 1909.13144",
                                .min_bits = 3,
                                .max_bits = 5,
                                .of = CodebookOf::kFixed,
                                .codebook = additive,
                                .mac = MacKind::kShift,
                                .macs = [](int) { return 2; }};

extern const FormatDef kLogRoot = {
    .name = "log-sqrt2",
    .summary = "zero and powers of the root of two, to the nearest 1/64 of the largest",
    .levels = "0, +-64, +-64/sqrt(2), +-32 ...",
    .paper = "arXiv 1603.01025",
    .min_bits = 2,
    .max_bits = 5,
    .of = CodebookOf::kFixed,
    .codebook = root_of_two,
    .error_bound = near_root};

}  // namespace qtool
