#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "qtool/exec.hpp"
#include "quantize/optimizers/gram_rows.hpp"

namespace qtool::qdq {
namespace {

// 255 · 128 still fits into an int16.
constexpr int kMostPairSum = 128;

// Scales tried, as parts of the one that holds the row's largest weight. Eight bits may need wider
// ones, where neighbours limit each other.
constexpr float kRatios[] = {1.f, 0.92f, 0.84f, 0.76f, 0.68f, 0.6f, 0.52f, 0.44f, 0.36f};
constexpr float kWideRatios[] = {1.f, 0.95f, 0.9f, 0.8f, 1.1f, 1.25f, 1.4f, 1.7f, 2.f};
static_assert(std::size(kRatios) == std::size(kWideRatios));

std::vector<float> full_scales(std::span<const float> target, const RowGrid& grid) {
  std::vector<float> scales;
  const auto block = static_cast<size_t>(grid.block);
  for (size_t b = 0; b < target.size(); b += block) {
    float largest = 0;
    for (float w : target.subspan(b, std::min(block, target.size() - b)))
      largest = std::max(largest, std::fabs(w));
    scales.push_back(std::max(largest / static_cast<float>(std::max(grid.highest, 1)), 1e-20f));
  }
  return scales;
}

// Columns decided one by one; what they leave to the columns before is carried in one product.
constexpr size_t kBlock = 64;

// All rows at given scales.
class Planes {
 public:
  explicit Planes(const RowsProblem& problem)
      : p_(problem),
        rows_(problem.grids.size()),
        n_(problem.columns()),
        carried_(rows_ * n_),
        off_(kBlock * rows_) {}

  // Fills the rows' codes for their scales; returns each row's squared error under the factor.
  std::vector<double> decide(std::vector<RowCodes>& rows) {
    std::fill(carried_.begin(), carried_.end(), 0.f);
    std::vector<double> errors(rows_, 0);
    for (RowCodes& row : rows) std::fill(row.codes.begin(), row.codes.end(), int8_t{0});
    for (size_t end = n_; end > 0;) {
      const size_t begin = end > kBlock ? end - kBlock : 0;
      for (size_t r = 0; r < rows_; ++r) errors[r] += decide_block(r, begin, end, rows[r]);
      if (begin > 0) {
        add_product(off_.data(), static_cast<int64_t>(rows_), p_.factor.data() + begin * n_,
                    static_cast<int64_t>(n_), carried_.data(), static_cast<int64_t>(n_),
                    static_cast<int64_t>(rows_), static_cast<int64_t>(begin),
                    static_cast<int64_t>(end - begin));
      }
      end = begin;
    }
    return errors;
  }

 private:
  double decide_block(size_t r, size_t begin, size_t end, RowCodes& row) {
    const RowGrid& grid = p_.grids[r];
    const std::span<const float> target = p_.target(r);
    float* carried = carried_.data() + r * n_;
    double error = 0;
    for (size_t j = end; j-- > begin;) {
      const float* l = p_.factor.data() + j * n_;
      const float scale = row.scales[j / static_cast<size_t>(grid.block)];
      const float want = target[j] - carried[j] / l[j];
      const auto [lowest, highest] = grid.range(j, row.codes);
      const float code = std::clamp(std::nearbyint(want / scale), static_cast<float>(lowest),
                                    static_cast<float>(highest));
      row.codes[j] = static_cast<int8_t>(code);
      const double missed = static_cast<double>(code * scale - want) * l[j];
      error += missed * missed;
      const float off = code * scale - target[j];
      off_[(j - begin) * rows_ + r] = off;
      for (size_t i = begin; i < j; ++i) carried[i] += off * l[i];
    }
    return error;
  }

  const RowsProblem& p_;
  size_t rows_, n_;
  std::vector<float> carried_;  // [rows][columns]: Σ over decided columns of their error times L
  std::vector<float> off_;      // [kBlock][rows]: errors of the columns of a block
};

}  // namespace

std::pair<int, int> RowGrid::range(size_t j, std::span<const int8_t> codes) const {
  int low = lowest, high = highest;
  if (!exact_pairs) return {low, high};
  const auto beside = [&](size_t other) {
    if (other >= codes.size()) return;
    low = std::max(low, -kMostPairSum - std::min<int>(codes[other], 0));
    high = std::min(high, kMostPairSum - std::max<int>(codes[other], 0));
  };
  beside(j ^ 1);
  if (channels % 2 != 0) {
    const auto step = static_cast<size_t>(channels);
    const size_t within = j % step;
    if ((within ^ 1) < step) beside(j - within + (within ^ 1));
  }
  return {low, high};
}

std::vector<RowCodes> nearest_plane(const RowsProblem& problem) {
  const size_t count = problem.grids.size();
  std::vector<RowCodes> rows(count), best(count);
  std::vector<std::vector<float>> full;
  std::vector<double> least(count, std::numeric_limits<double>::infinity());
  for (size_t r = 0; r < count; ++r) {
    full.push_back(full_scales(problem.target(r), problem.grids[r]));
    rows[r] = {std::vector<int8_t>(problem.columns()), full[r]};
  }
  Planes planes(problem);
  for (size_t step = 0; step < std::size(kRatios); ++step) {
    for (size_t r = 0; r < count; ++r) {
      const float ratio = problem.grids[r].exact_pairs ? kWideRatios[step] : kRatios[step];
      for (size_t b = 0; b < full[r].size(); ++b) rows[r].scales[b] = full[r][b] * ratio;
    }
    const std::vector<double> errors = planes.decide(rows);
    for (size_t r = 0; r < count; ++r) {
      if (errors[r] >= least[r]) continue;
      least[r] = errors[r];
      best[r] = rows[r];
    }
  }
  return best;
}

}  // namespace qtool::qdq
