// Codes whose highest bits are codes of fewer bits: one file, any width.
#include "format/formats/records.hpp"

namespace qtool {
namespace {

constexpr std::string_view kLeast[] = {"2", "3", "4", "5"};
constexpr FormatOption kOptions[] = {{"least", "2", kLeast}};

// Middles of 2^b even cells around 0, each of which is halved by one bit more.
Codebook codebook(const CodebookRequest& request) {
  std::vector<int> odd;
  for (int level = 1; level < 1 << request.bits; level += 2) odd.push_back(level);
  Codebook book = symmetric_codebook(odd, false);
  book.spare_bits = spare_bits(request.format, request.bits);
  return book;
}

}  // namespace

extern const FormatDef kNested = {
    .name = "nested",
    .summary =
        "a code's highest bits are its code of fewer bits, down to `least`: one file, any width",
    .levels = "+-1, +-3 ... +-(2^b-1)",
    .paper = "arXiv 2402.10517, 2502.06786",
    .min_bits = 2,
    .max_bits = 6,  // 2^6 - 1 is the largest odd number that levels may be
    .options = kOptions,
    .of = CodebookOf::kFixed,
    .codebook = codebook,
    .least_bits = [](const WeightFormat& format) { return format.number("least"); },
    .nests = true};

}  // namespace qtool
