// Rows of 0 bits: pruned filters.
#include <algorithm>

#include "quantize/internal.hpp"

namespace qtool::qdq {
namespace {

constexpr int kFewestBits = 2;

}  // namespace

WeightCodes optimize_rows(const OptimizerDef& optimizer, OptimizerInput input) {
  if (input.grid.threshold >= 0) return by_threshold(input);
  if (input.grid.narrower) return halve_cells(input, optimizer.optimize);
  const int64_t rows = input.weight.dim(input.channel_axis);
  std::vector<int> bits(input.row_bits.begin(), input.row_bits.end());
  if (bits.empty()) bits.assign(static_cast<size_t>(rows), input.bits);
  const std::vector<int> wanted = bits;
  if (std::ranges::find(wanted, 0) == wanted.end()) return optimizer.optimize(input);
  // Solved at some width all the same: it gives them a scale, and rows do not see each other.
  for (int& width : bits) width = std::max(width, kFewestBits);
  input.bits = std::max(input.bits, kFewestBits);
  input.row_bits = bits;
  WeightCodes codes = optimizer.optimize(input);
  auto all = codes.codes.mutable_data<int8_t>();
  row_layout(codes.codes.shape(), input.channel_axis).for_each([&](int64_t r, int64_t, int64_t i) {
    if (wanted[static_cast<size_t>(r)] == 0) all[static_cast<size_t>(i)] = 0;
  });
  return codes;
}

}  // namespace qtool::qdq
