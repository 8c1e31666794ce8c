// Pairs of u8×s8 products that do not fit into 16 bits: x86 without VNNI adds neighbours along the
// reduction in saturating int16 before it widens them.
#include <algorithm>

#include "qtool/passes.hpp"

namespace qtool {
namespace {

// 255 · 128 = 32,640 still fits into an int16, 255 · 129 does not.
constexpr int kMostPairSum = 128;

// Weights as [rows][reduction], neighbours in memory order of the integer kernels.
struct Rows {
  int64_t count = 0, length = 0, channels = 0;
  std::vector<int8_t> weights;
};

// [out, in, kernel…] → [out][kernel…][in]: channels of one position are neighbours.
Rows convolution_rows(const Tensor& w) {
  Rows r;
  r.count = w.dim(0);
  const int64_t channels = w.dim(1),
                positions = w.size() / std::max<int64_t>(1, r.count * channels);
  r.length = channels * positions;
  r.channels = channels;
  r.weights.reserve(static_cast<size_t>(w.size()));
  const auto data = w.data<int8_t>();
  for (int64_t o = 0; o < r.count; ++o) {
    for (int64_t p = 0; p < positions; ++p) {
      for (int64_t c = 0; c < channels; ++c)
        r.weights.push_back(data[static_cast<size_t>((o * channels + c) * positions + p)]);
    }
  }
  return r;
}

Rows matrix_rows(const Tensor& w, bool transposed) {
  Rows r;
  r.count = w.dim(transposed ? 0 : 1);
  r.length = r.channels = w.dim(transposed ? 1 : 0);
  const auto data = w.data<int8_t>();
  if (transposed) {
    r.weights.assign(data.begin(), data.end());
    return r;
  }
  r.weights.reserve(data.size());
  for (int64_t o = 0; o < r.count; ++o) {
    for (int64_t k = 0; k < r.length; ++k)
      r.weights.push_back(data[static_cast<size_t>(k * r.count + o)]);
  }
  return r;
}

bool fits(int a, int b) {
  return std::max(a, 0) + std::max(b, 0) <= kMostPairSum &&
         std::min(a, 0) + std::min(b, 0) >= -kMostPairSum;
}

}  // namespace

bool pair_sums_fit(std::span<const int8_t> row, int64_t channels) {
  for (size_t i = 0; i + 1 < row.size(); i += 2) {
    if (!fits(row[i], row[i + 1])) return false;
  }
  if (channels % 2 == 0) return true;
  const auto step = static_cast<size_t>(channels);
  for (size_t p = 0; p < row.size(); p += step) {
    for (size_t c = 0; c + 1 < step; c += 2) {
      if (!fits(row[p + c], row[p + c + 1])) return false;
    }
  }
  return true;
}

std::vector<SaturatingLayer> saturating_layers(const Model& lowered) {
  const Graph& g = lowered.graph;
  std::vector<SaturatingLayer> layers;
  for (const Node& node : g.nodes) {
    const bool convolution = is(node, "QLinearConv");
    const bool dense = is(node, "QGemm", "com.microsoft") || is(node, "QMatMul", "qtool");
    if ((!convolution && !dense) || node.inputs.size() < 4) continue;
    const Tensor* zero = node.inputs[2] == ValueId::kNone ? nullptr : g.constant(node.inputs[2]);
    const Tensor* weight = g.constant(node.inputs[3]);
    if (!weight || weight->dtype() != DType::kInt8 || weight->rank() < 2) continue;
    if (dense && weight->rank() != 2) continue;
    if (zero && zero->dtype() != DType::kUint8) continue;
    const Rows rows =
        convolution ? convolution_rows(*weight) : matrix_rows(*weight, attr_int(node, "transB", 0));
    SaturatingLayer layer{node.name, 0, rows.count};
    for (int64_t r = 0; r < rows.count; ++r) {
      const auto row =
          std::span(rows.weights)
              .subspan(static_cast<size_t>(r * rows.length), static_cast<size_t>(rows.length));
      layer.rows += !pair_sums_fit(row, rows.channels);
    }
    if (layer.rows > 0) layers.push_back(std::move(layer));
  }
  return layers;
}

}  // namespace qtool
