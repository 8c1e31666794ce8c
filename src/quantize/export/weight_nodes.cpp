#include "quantize/export/weight_nodes.hpp"

#include <algorithm>
#include <bit>
#include <string>
#include <tuple>

namespace qtool::qdq {
namespace {

constexpr const char* kDequantize = "DequantizeLinear";

// Rows of columns in (position, channel) order, as vectors are made of them.
std::vector<float> code_rows(const Tensor& codes, int64_t channel_axis) {
  std::vector<float> rows;
  const Tensor levels = cast(codes, DType::kFloat);
  const auto data = levels.data<float>();
  row_layout(codes.shape(), channel_axis).for_each([&](int64_t, int64_t, int64_t i) {
    rows.push_back(data[static_cast<size_t>(i)]);
  });
  return rows;
}

}  // namespace

ValueId WeightNodes::node(const std::string& name, std::string type, std::vector<ValueId> inputs,
                          DType dtype, const Shape& shape) {
  const ValueId out = add_value(g_, name, dtype, shape);
  // A dequantizer is named after the codes, as those of activations are.
  const bool named = type == kDequantize;
  const std::string& stem = g_.value(named ? inputs[0] : out).name;
  g_.nodes.push_back(make_node(g_, cat(stem, "_", type), type, std::move(inputs), {out}));
  return out;
}

ValueId WeightNodes::integers(const std::string& name, std::span<const int64_t> values) {
  return add_initializer(
      g_, name,
      Tensor::of<int64_t>({static_cast<int64_t>(values.size())}, {values.begin(), values.end()}));
}

ValueId WeightNodes::dequantize(const std::string& name, std::vector<ValueId> inputs,
                                const Shape& shape, int64_t axis, int64_t block) {
  const ValueId out = node(name, kDequantize, std::move(inputs), DType::kFloat, shape);
  if (axis >= 0) set_attribute(g_.nodes.back(), "axis", axis);
  if (block > 0) set_attribute(g_.nodes.back(), "block_size", block);
  return out;
}

ValueId WeightNodes::codebook(const Codebook& book) {
  const int spare = book.spare_bits;
  if (spare > 0 && around_) return around_(book);
  const auto [found, fresh] =
      codebooks_.emplace(std::tuple(book.dim, spare, book.levels), ValueId());
  if (!fresh) return found->second;
  const int64_t entries = book.spaces * book.entries();
  Shape shape = book.dim == 1 ? Shape{entries} : Shape{entries, book.dim};
  std::vector<float> levels;
  for (int count = 0; count <= spare; ++count) {
    const std::vector<float> one = count == 0 ? book.levels : book.without_bits(count);
    levels.insert(levels.end(), one.begin(), one.end());
  }
  if (spare > 0) shape.insert(shape.begin(), spare + 1);
  const ValueId all =
      add_initializer(g_, "codebook", cast(Tensor::of<float>(shape, levels), DType::kInt8));
  found->second = spare == 0 ? all
                             : node("codebook_of_width", "Gather", {all, left_out(book)},
                                    DType::kInt8, {entries});
  return found->second;
}

ValueId WeightNodes::left_out(const Codebook& book) {
  const auto [found, fresh] =
      left_out_.emplace(std::pair(book.entries(), book.spare_bits), ValueId());
  if (!fresh) return found->second;
  if (weight_bits_ == ValueId::kNone)
    weight_bits_ = add_initializer(g_, kWeightBits, Tensor::scalar<int64_t>(int64_t{8}));
  const int64_t bits = std::bit_width(static_cast<uint64_t>(book.entries())) - 1;
  const auto number = [&](const char* name, int64_t value) {
    return add_initializer(g_, name, Tensor::scalar<int64_t>(value));
  };
  const ValueId most = number("most_bits", bits),
                least = number("least_bits", bits - book.spare_bits),
                read = node("bits_read", "Clip", {weight_bits_, least, most}, DType::kInt64, {});
  found->second = node("bits_left_out", "Sub", {most, read}, DType::kInt64, {});
  return found->second;
}

ValueId WeightNodes::bias(const std::string& name, const LayerResult& layer, const Shape& shape,
                          const std::function<Tensor(std::span<const float>)>& values) {
  const Tensor own = values(layer.bias);
  // Nothing corrects the biases of bodies, so that all widths have the same.
  if (around_ || layer.narrow_biases.empty()) return add_initializer(g_, name, own);
  Shape rows = shape;
  rows.insert(rows.begin(), static_cast<int64_t>(layer.narrow_biases.size()) + 1);
  Tensor all(own.dtype(), rows);
  const auto put = [&](int64_t row, const Tensor& one) {
    for (int64_t i = 0; i < one.size(); ++i) all.set_number(row * one.size() + i, one.number(i));
  };
  put(0, own);
  for (size_t i = 0; i < layer.narrow_biases.size(); ++i)
    put(static_cast<int64_t>(i) + 1, values(layer.narrow_biases[i]));
  return node(name + "_of_width", "Gather",
              {add_initializer(g_, name, std::move(all)), left_out(*layer.weight.codebook)},
              own.dtype(), shape);
}

ValueId WeightNodes::in_place(const LayerSite& site, ValueId rows, DType dtype,
                              const Shape& shape) {
  const RowLayout l = row_layout(shape, site.channel_axis);
  const int64_t parts[] = {l.rows, l.positions, l.channels};
  const ValueId apart =
      node(site.weight + "_parts", "Reshape", {rows, integers(site.weight + "_parts_shape", parts)},
           dtype, {l.rows, l.positions, l.channels});
  // Dense layers have rows last, convolutions positions, transposed ones channels first.
  const std::vector<int64_t> order = l.row_stride == 1 && l.channel_stride == l.rows
                                         ? std::vector<int64_t>{1, 2, 0}
                                     : site.channel_axis == 1 ? std::vector<int64_t>{2, 0, 1}
                                                              : std::vector<int64_t>{0, 2, 1};
  Shape turned;
  for (int64_t d : order) turned.push_back(parts[d]);
  const ValueId transposed = node(site.weight + "_transposed", "Transpose", {apart}, dtype, turned);
  set_attribute(g_.nodes.back(), "perm", order);
  return node(site.weight + "_shaped", "Reshape",
              {transposed, integers(site.weight + "_shape", shape)}, dtype, shape);
}

ValueId WeightNodes::looked_up(const LayerSite& site, const WeightCodes& weight, DType type) {
  const Codebook& book = *weight.codebook;
  if (book.dim > 1) return vectors(site, weight, type);
  return stored_codes(site, weight, weight.codes, type);
}

ValueId WeightNodes::stored_codes(const LayerSite& site, const WeightCodes& weight,
                                  const Tensor& codes, DType type) {
  if (!weight.codebook || weight.codebook->codes_are_levels())
    return add_initializer(g_, site.weight + "_quantized", stored_as(codes, type));
  const Codebook& book = *weight.codebook;
  const Shape& shape = codes.shape();
  Tensor indices(DType::kUint8, shape);
  const Tensor reals = cast(codes, DType::kFloat);
  const auto levels = reals.data<float>();
  for (size_t i = 0; i < levels.size(); ++i)
    indices.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(book.index_of(levels.subspan(i, 1)));
  const ValueId stored = add_initializer(g_, site.weight + "_indices", stored_as(indices, type));
  const ValueId wide = node(site.weight + "_wide_indices", "Cast", {stored}, DType::kInt32, shape);
  set_attribute(g_.nodes.back(), "to", static_cast<int64_t>(DType::kInt32));
  return node(site.weight + "_quantized", "Gather", {codebook(book), wide}, DType::kInt8, shape);
}

ValueId WeightNodes::vectors(const LayerSite& site, const WeightCodes& weight, DType type) {
  const Codebook& book = *weight.codebook;
  const RowLayout l = row_layout(weight.codes.shape(), site.channel_axis);
  const std::vector<float> rows = code_rows(weight.codes, site.channel_axis);
  const int64_t columns = l.columns(), dim = book.dim, each = (columns + dim - 1) / dim;
  // Vectors of one space beside each other.
  Shape shape = {l.rows, each};
  if (book.spaces > 1) shape = {l.rows, book.spaces, each / book.spaces};
  Tensor indices(DType::kUint8, shape);
  for (int64_t i = 0; i < l.rows * each; ++i) {
    const int64_t first = i % each * dim, at = i / each * columns + first;
    const auto n = static_cast<size_t>(std::min(dim, columns - first));
    indices.mutable_data<uint8_t>()[static_cast<size_t>(i)] = static_cast<uint8_t>(
        book.index_of(std::span(rows).subspan(static_cast<size_t>(at), n),
                      book.space_of(static_cast<size_t>(first), static_cast<size_t>(columns))));
  }
  const ValueId stored = add_initializer(g_, site.weight + "_indices", stored_as(indices, type));
  ValueId wide = node(site.weight + "_wide_indices", "Cast", {stored}, DType::kInt32, shape);
  set_attribute(g_.nodes.back(), "to", static_cast<int64_t>(DType::kInt32));
  if (book.spaces > 1) {
    Tensor first(DType::kInt32, {book.spaces, 1});
    for (int64_t s = 0; s < book.spaces; ++s)
      first.set_number(s, static_cast<double>(s * book.entries()));
    const ValueId firsts = add_initializer(g_, site.weight + "_spaces", std::move(first));
    wide = node(site.weight + "_entries", "Add", {wide, firsts}, DType::kInt32, shape);
  }
  shape.push_back(dim);
  ValueId codes =
      node(site.weight + "_vectors", "Gather", {codebook(book), wide}, DType::kInt8, shape);
  if (each * dim != columns) {
    const int64_t flat[] = {l.rows, each * dim}, begin[] = {0}, end[] = {columns}, axis[] = {1};
    codes = node(site.weight + "_padded", "Reshape",
                 {codes, integers(site.weight + "_padded_shape", flat)}, DType::kInt8,
                 {l.rows, each * dim});
    codes = node(site.weight + "_rows", "Slice",
                 {codes, integers(site.weight + "_begin", begin),
                  integers(site.weight + "_end", end), integers(site.weight + "_axis", axis)},
                 DType::kInt8, {l.rows, columns});
  }
  return in_place(site, codes, DType::kInt8, weight.codes.shape());
}

ValueId WeightNodes::with_places(const LayerSite& site, const WeightCodes& weight, DType type) {
  const RowLayout l = row_layout(weight.codes.shape(), site.channel_axis);
  const auto places = static_cast<int64_t>(weight.place_scales.size());
  const Shape shape = {l.rows, places, l.columns() / places};
  const ValueId codes = add_initializer(
      g_, site.weight + "_quantized",
      stored_as(cast(Tensor::of<float>(shape, code_rows(weight.codes, site.channel_axis)),
                     weight.codes.dtype()),
                type));
  const ValueId by_row = add_initializer(g_, site.weight + "_row_scale",
                                         Tensor::of<float>({l.rows, 1, 1}, weight.row_scales));
  const ValueId by_place = add_initializer(g_, site.weight + "_place_scale",
                                           Tensor::of<float>({1, places, 1}, weight.place_scales));
  const ValueId scale =
      node(site.weight + "_scale", "Mul", {by_row, by_place}, DType::kFloat, {l.rows, places, 1});
  const ValueId real = dequantize(site.weight + "_rows", {codes, scale}, shape, 2, weight.block);
  return in_place(site, real, DType::kFloat, weight.codes.shape());
}

ValueId WeightNodes::with_blocks(const LayerSite& site, const WeightCodes& weight, DType type) {
  const RowLayout l = row_layout(weight.codes.shape(), site.channel_axis);
  const Shape shape = {l.rows, l.columns()};
  const auto blocks = static_cast<int64_t>(weight.scales.size()) / l.rows;
  const Tensor rows = cast(Tensor::of<float>(shape, code_rows(weight.codes, site.channel_axis)),
                           weight.codes.dtype());
  const ValueId codes = stored_codes(site, weight, rows, type);
  const DType code_type = g_.value(codes).dtype;
  const ValueId scale = add_initializer(g_, site.weight + "_scale",
                                        Tensor::of<float>({l.rows, blocks}, weight.scales));
  const ValueId zero =
      add_initializer(g_, site.weight + "_zero_point", Tensor(code_type, {l.rows, blocks}));
  const ValueId real =
      dequantize(site.weight + "_rows", {codes, scale, zero}, shape, 1, weight.block);
  return in_place(site, real, DType::kFloat, weight.codes.shape());
}

ValueId WeightNodes::codes_of(const LayerSite& site, const LayerResult& layer,
                              const Tensor& codes) {
  const ValueId stored = add_initializer(g_, site.weight + "_quantized", codes);
  if (!style_.clips_codes || layer.bits >= dtype_bits(codes.dtype()) || layer.weight.codebook)
    return stored;
  const auto bound = [&](const char* name, int code) {
    return add_initializer(g_, cat(site.weight, name),
                           Tensor::scalar<int8_t>(static_cast<int8_t>(code)));
  };
  const int half = 1 << std::max(layer.bits - 1, 0);
  const ValueId low = bound("_code_min", -half), high = bound("_code_max", half - 1);
  return node(site.weight + "_clipped", "Clip", {stored, low, high}, codes.dtype(), codes.shape());
}

ValueId WeightNodes::as_bytes(const LayerSite& site, ValueId codes, const Shape& shape) {
  const ValueId wide = node(site.weight + "_bytes", "Cast", {codes}, DType::kInt8, shape);
  set_attribute(g_.nodes.back(), "to", static_cast<int64_t>(DType::kInt8));
  return wide;
}

ValueId WeightNodes::byte_codes(const LayerSite& site, const LayerResult& layer) {
  constexpr QParams* kNoBytesWanted = nullptr;
  const Tensor& codes = layer.weight.codes;
  if (layer.weight.codebook && !layer.weight.codebook->codes_are_levels())
    return looked_up(site, layer.weight, stored_type(site, layer, kNoBytesWanted, style_));
  const DType type =
      style_.packs() ? stored_type(site, layer, kNoBytesWanted, style_) : DType::kInt8;
  const RowClasses classes = row_classes(site, layer, type, style_);
  if (!classes.empty()) return joined_rows(site, codes, classes);
  const ValueId stored = codes_of(site, layer, stored_as(codes, type));
  return type == DType::kInt8 ? stored : as_bytes(site, stored, codes.shape());
}

ValueId WeightNodes::append(const LayerSite& site, const LayerResult& layer, const QParams* input) {
  const DType type = stored_type(site, layer, input, style_);
  if (!layer.weight.place_scales.empty()) return with_places(site, layer.weight, type);
  if (layer.weight.block > 0 && !site.matrix) return with_blocks(site, layer.weight, type);
  if (input && computes_in_float(layer)) {
    // A block a row: runtimes fuse codes of channels, and quantize weights that are floats between codes.
    WeightCodes rows = layer.weight;
    rows.block = rows.codes.size() / site.channels;
    return with_blocks(site, rows, type);
  }
  const bool stored = !layer.weight.codebook || layer.weight.codebook->codes_are_levels();
  const RowClasses classes = row_classes(site, layer, type, style_);
  const bool whole = stored && classes.empty();
  const QuantizedWeight q = quantized_weight(site, layer, whole ? type : DType::kInt8);
  ValueId codes = whole    ? codes_of(site, layer, q.codes)
                  : stored ? joined_rows(site, q.codes, classes)
                           : looked_up(site, layer.weight, type);
  DType code_type = q.codes.dtype();
  // onnxruntime (1.31) fuses 2-bit weights into integer kernels that do not take them; bytes it folds.
  if (code_type == DType::kInt2 && input) {
    codes = as_bytes(site, codes, q.codes.shape());
    code_type = DType::kInt8;
  }
  const ValueId scale = add_initializer(g_, site.weight + "_scale", q.scale);
  const ValueId zero =
      add_initializer(g_, site.weight + "_zero_point", Tensor(code_type, q.scale.shape()));
  return dequantize(site.weight + "_dequantized", {codes, scale, zero}, layer.weight.codes.shape(),
                    q.scale.rank() > 0 ? q.axis : -1, q.block);
}

}  // namespace qtool::qdq
