#include "quantize/export/table_nodes.hpp"

#include <algorithm>

#include "graph/append_node.hpp"

namespace qtool::qdq {
namespace {

// How many codes share a byte.
int64_t codes_a_byte(int bits, int64_t columns) {
  const int64_t most = bits <= 2 ? 4 : bits <= 4 ? 2 : 1;
  return columns % most == 0 ? most : 1;
}

// The code in the low bits first.
Tensor packed(const Tensor& codes, int64_t each) {
  Tensor bytes(DType::kUint8, {codes.dim(0), codes.dim(1) / each});
  const auto from = codes.data<int8_t>();
  auto to = bytes.mutable_data<uint8_t>();
  const int width = static_cast<int>(8 / each);
  for (size_t i = 0; i < from.size(); ++i) {
    const auto e = static_cast<size_t>(each);
    const int code = from[i] & ((1 << width) - 1);
    to[i / e] = static_cast<uint8_t>(to[i / e] | code << (static_cast<int>(i % e) * width));
  }
  return bytes;
}

// [256, each]: the codes in every byte.
Tensor unpacked_bytes(int64_t each) {
  Tensor groups(DType::kInt8, {256, each});
  auto to = groups.mutable_data<int8_t>();
  const int width = static_cast<int>(8 / each);
  for (size_t i = 0; i < to.size(); ++i) {
    const auto e = static_cast<size_t>(each);
    const int code = static_cast<int>(i / e) >> (static_cast<int>(i % e) * width);
    const int low = code & ((1 << width) - 1);
    to[i] = static_cast<int8_t>(low >= 1 << (width - 1) ? low - (1 << width) : low);
  }
  return groups;
}

}  // namespace

ValueId TableNodes::append(const std::string& name, const char* type, std::vector<ValueId> inputs,
                           DType dtype) {
  return append_node(g_, name, type, std::move(inputs), dtype);
}

ValueId TableNodes::picked_codes(const StoredSite& site, const LayerResult& layer, Node& reader) {
  const Tensor& codes = layer.weight.codes;
  const auto shape = g_.value(reader.inputs[1]).shape;
  const int64_t each = shape ? codes_a_byte(layer.bits, codes.dim(1)) : 1;
  reader.inputs[0] =
      add_initializer(g_, site.weight + "_quantized", each == 1 ? codes : packed(codes, each));
  const DType type = each == 1 ? DType::kInt8 : DType::kUint8;
  const ValueId picked = add_value(g_, site.name + "_quantized", type);
  reader.outputs = {picked};
  if (each == 1) return picked;
  const ValueId wide = append(site.name + "_bytes", "Cast", {picked}, DType::kInt32);
  set_attribute(g_.nodes.back(), "to", static_cast<int64_t>(DType::kInt32));
  const ValueId groups = add_initializer(g_, cat("codes_of_bytes_", each), unpacked_bytes(each));
  const ValueId apart = append(site.name + "_groups", "Gather", {groups, wide}, DType::kInt8);
  std::vector<int64_t> rows(shape->size(), 0);  // 0: as it is
  rows.push_back(codes.dim(1));
  const auto rank = static_cast<int64_t>(rows.size());
  const ValueId to =
      add_initializer(g_, site.name + "_codes_shape", Tensor::of<int64_t>({rank}, rows));
  return append(site.name + "_codes", "Reshape", {apart, to}, DType::kInt8);
}

void TableNodes::replace(const StoredSite& site, const LayerResult& layer) {
  const auto at = std::find_if(g_.nodes.begin(), g_.nodes.end(),
                               [&](const Node& n) { return n.name == site.node; });
  const ValueId rows = at->outputs[0], indices = at->inputs[1];
  Node reader = *at;
  g_.nodes.erase(at);
  const int64_t count = layer.weight.codes.dim(0), columns = layer.weight.codes.dim(1);
  const int64_t blocks = static_cast<int64_t>(layer.weight.scales.size()) / count;
  const ValueId codes = picked_codes(site, layer, reader);
  g_.nodes.push_back(std::move(reader));
  const ValueId scales = add_initializer(g_, site.weight + "_scale",
                                         Tensor::of<float>({count, blocks}, layer.weight.scales));
  const ValueId scale = append(site.name + "_scale", "Gather", {scales, indices}, DType::kFloat);
  if (blocks == 1) {
    const ValueId real = append(site.name + "_float", "Cast", {codes}, DType::kFloat);
    set_attribute(g_.nodes.back(), "to", static_cast<int64_t>(DType::kFloat));
    g_.nodes.push_back(make_node(g_, site.name + "_Mul", "Mul", {real, scale}, {rows}));
    return;
  }
  g_.nodes.push_back(
      make_node(g_, site.name + "_DequantizeLinear", "DequantizeLinear", {codes, scale}, {rows}));
  set_attribute(g_.nodes.back(), "axis", int64_t{-1});
  set_attribute(g_.nodes.back(), "block_size", std::min(layer.weight.block, columns));
}

}  // namespace qtool::qdq
