// The "split" export style: rows of a layer's codes by the smallest ONNX type that holds them.
#include <algorithm>

#include "qtool/budget.hpp"
#include "quantize/export/weight_nodes.hpp"

namespace qtool::qdq {
namespace {

DType type_of(int32_t low, int32_t high) {
  if (low >= -2 && high <= 1) return DType::kInt2;
  return low >= -8 && high <= 7 ? DType::kInt4 : DType::kInt8;
}

// Slices of an axis, in the order given.
Tensor rows_at(const Tensor& codes, int64_t axis, const std::vector<int64_t>& rows) {
  Shape shape = codes.shape();
  int64_t inner = 1;
  for (int64_t d = axis + 1; d < codes.rank(); ++d) inner *= codes.dim(d);
  const int64_t all = codes.dim(axis), outer = codes.size() / std::max<int64_t>(all * inner, 1);
  shape[static_cast<size_t>(axis)] = static_cast<int64_t>(rows.size());
  Tensor out(DType::kInt8, shape);
  const int8_t* from = codes.data<int8_t>().data();
  int8_t* to = out.mutable_data<int8_t>().data();
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t row : rows) to = std::copy_n(from + (o * all + row) * inner, inner, to);
  }
  return out;
}

}  // namespace

RowClasses row_classes(const LayerSite& site, const LayerResult& layer, DType stored,
                       const ExportStyle& style) {
  const WeightCodes& weight = layer.weight;
  if (style.storage != Storage::kSplit || weight.codebook || weight.block > 0 ||
      !weight.place_scales.empty())
    return {};
  const RowLayout l = row_layout(weight.codes.shape(), site.channel_axis);
  std::vector<std::pair<int8_t, int8_t>> range(static_cast<size_t>(l.rows), {0, 0});
  l.for_each([&](int64_t r, int64_t, int64_t i) {
    const int8_t code = weight.codes.data<int8_t>()[static_cast<size_t>(i)];
    auto& [low, high] = range[static_cast<size_t>(r)];
    low = std::min(low, code);
    high = std::max(high, code);
  });
  RowClasses classes;
  int64_t bits = 0;
  for (int64_t r = 0; r < l.rows; ++r) {
    const auto [low, high] = range[static_cast<size_t>(r)];
    const DType type = type_of(low, high);
    classes[dtype_bits(type)].push_back(r);
    bits += l.columns() * dtype_bits(type);
  }
  const int64_t whole = l.rows * l.columns() * dtype_bits(stored);
  return split_saves(whole, bits, l.rows) ? classes : RowClasses{};
}

ValueId WeightNodes::joined_rows(const LayerSite& site, const Tensor& codes,
                                 const RowClasses& classes) {
  const int64_t axis = site.channel_axis;
  std::vector<ValueId> parts;
  std::vector<int32_t> order(static_cast<size_t>(codes.dim(axis)));
  int32_t place = 0;
  for (const auto& [bits, rows] : classes) {
    for (int64_t row : rows) order[static_cast<size_t>(row)] = place++;
    const DType type = bits == 2 ? DType::kInt2 : bits == 4 ? DType::kInt4 : DType::kInt8;
    const Tensor part = stored_as(rows_at(codes, axis, rows), type);
    const ValueId stored = add_initializer(g_, cat(site.weight, "_quantized", bits), part);
    parts.push_back(type == DType::kInt8 ? stored : as_bytes(site, stored, part.shape()));
  }
  if (parts.size() == 1) return parts[0];
  const ValueId all = node(site.weight + "_joined", "Concat", parts, DType::kInt8, codes.shape());
  set_attribute(g_.nodes.back(), "axis", axis);
  const ValueId places =
      add_initializer(g_, site.weight + "_order", Tensor::of<int32_t>({codes.dim(axis)}, order));
  const ValueId out =
      node(site.weight + "_quantized", "Gather", {all, places}, DType::kInt8, codes.shape());
  set_attribute(g_.nodes.back(), "axis", axis);
  return out;
}

}  // namespace qtool::qdq
