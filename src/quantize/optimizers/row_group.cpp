#include "quantize/optimizers/row_group.hpp"

#include <algorithm>
#include <cmath>

#include "quantize/fit/linear_algebra.hpp"
#include "quantize/internal.hpp"

namespace qtool::qdq {
namespace {

// Parts of H's mean diagonal (docs/optimizers.md): of the target's correction and of GPTQ, and of
// coordinate descent, which only needs to stay away from dead columns.
constexpr float kTargetDamping = 0.1f, kDescentDamping = 1e-3f;

float mean_diagonal(const std::vector<float>& h, int64_t k) {
  double sum = 0;
  for (int64_t i = 0; i < k; ++i) sum += h[static_cast<size_t>(i * k + i)];
  return std::max(static_cast<float>(sum / static_cast<double>(k)), 1e-12f);
}

}  // namespace

template <typename Fn>
void SharedParameters::for_vectors(std::span<const float> codes, const Fn& fn) const {
  const auto dim = static_cast<size_t>(codebook.dim),
             entries = static_cast<size_t>(codebook.entries());
  for (size_t first = 0; first < codes.size(); first += dim) {
    const size_t n = std::min(dim, codes.size() - first);
    const size_t space = codebook.space_of(first, codes.size());
    const size_t entry = codebook.index_of(codes.subspan(first, n), space);
    for (size_t i = 0; i < n; ++i) fn(first + i, (space * entries + entry) * dim + i);
  }
}

void SharedParameters::classify(const RowGrid& grid, const RowCodes& row,
                                std::vector<float>& values, std::vector<uint16_t>& classes) const {
  for (size_t j = 0; j < row.codes.size(); ++j) {
    if (!places.empty()) {
      values[j] = row.scales[0] * row.codes[j];
      classes[j] = static_cast<uint16_t>(static_cast<int64_t>(j) / grid.place_columns);
    } else {
      values[j] = grid.scale(j, row.scales);
    }
  }
  if (places.empty())
    for_vectors(row.codes, [&](size_t j, size_t at) { classes[j] = static_cast<uint16_t>(at); });
}

void SharedParameters::take(const SharedFit& fit, std::vector<RowCodes>& rows) {
  if (places.empty())
    take_levels(fit, rows);
  else
    places = fit.solve(places);
}

void SharedParameters::take_levels(const SharedFit& fit, std::vector<RowCodes>& rows) {
  const std::vector<float> better = fit.solve(codebook.levels);
  const auto magnitude = [](float a, float b) { return std::fabs(a) < std::fabs(b); };
  const float most = std::fabs(*std::max_element(better.begin(), better.end(), magnitude));
  if (!(most > 0)) return;
  const float unit = most / std::max(codebook.largest(), 1.f);
  std::vector<float> became;
  for (float level : better) became.push_back(std::nearbyint(level / unit) + 0.f);
  for (RowCodes& row : rows) {
    std::vector<float> codes(row.codes.size());
    for_vectors(row.codes, [&](size_t j, size_t at) { codes[j] = became[at]; });
    row.codes = std::move(codes);
    for (float& scale : row.scales) scale *= unit;
  }
  codebook.levels = std::move(became);
  if (codebook.dim > 1) return;
  std::sort(codebook.levels.begin(), codebook.levels.end());
  codebook.levels.erase(std::unique(codebook.levels.begin(), codebook.levels.end()),
                        codebook.levels.end());
}

RowGroup::RowGroup(const OptimizerInput& input, const GroupMoments& moments, std::span<float> rows,
                   int64_t k, int threads)
    : moments_(moments), targets_(rows), k_(k), mean_(mean_diagonal(moments.h, k)) {
  factor_ = cholesky(moments.h, k, kTargetDamping * mean_, threads);
  if (!moments.shift.empty() || !moments.residual.empty()) correct(rows);
  grid_.block = input.scale.block > 0 ? input.scale.block : k;
  grid_.channels = row_layout(input.weight.shape(), input.channel_axis).channels;
  grid_.exact_pairs = input.exact_pairs;
  grid_.power_of_two = input.grid.power_of_two_scales;
  grid_.place_columns = input.grid.place_columns;
}

RowsProblem RowGroup::problem(int64_t first, std::span<const int> bits,
                              std::span<const float> fixed, const SharedParameters& shared) const {
  const auto count = static_cast<int64_t>(bits.size());
  RowsProblem p;
  p.targets = targets_.subspan(static_cast<size_t>(first * k_), static_cast<size_t>(count * k_));
  p.gram = moments_.h;
  p.factor = factor_;
  p.ridge = kDescentDamping * mean_;
  for (int width : bits) {
    RowGrid& grid = p.grids.emplace_back(grid_);
    grid.lowest = -(1 << (width - 1));
    grid.highest = (1 << (width - 1)) - 1;
    grid.exact_pairs = grid_.exact_pairs && width == 8;
    const size_t blocks = fixed.size() / bits.size();
    grid.fixed_scales = fixed.subspan((p.grids.size() - 1) * blocks, blocks);
    if (shared.codebook.levels.empty()) continue;
    grid.codebook = &shared.codebook;
    grid.exact_pairs = false;  // levels are small enough, or no integer kernel takes them
    grid.highest = static_cast<int>(shared.codebook.largest());
    grid.lowest = -grid.highest;
    grid.places = shared.places;
  }
  return p;
}

// Makes up for what the layers before did to the inputs.
void RowGroup::correct(std::span<float> rows) const {
  std::vector<float> correction(rows.size(), 0.f);
  if (!moments_.shift.empty()) correction = multiply_rows(rows, moments_.shift, k_);
  for (size_t i = 0; i < moments_.residual.size(); ++i) correction[i] += moments_.residual[i];
  solve_rows(correction, factor_, k_);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] += correction[i];
}

}  // namespace qtool::qdq
