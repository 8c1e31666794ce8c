#include "passes/integer_sums.hpp"

#include <algorithm>
#include <limits>

#include "passes/lower_qdq.hpp"

namespace qtool::passes {
namespace {

constexpr int64_t kMostSum = std::numeric_limits<int32_t>::max();

int64_t magnitude(const Operand& x) { return std::max(x.highest - x.zero, x.zero - x.lowest); }

void require_one_scale(const Operand& x) {
  if (x.scales.size() != 1) throw Refusal{"what it reads has a scale a channel"};
}

bool all_zero(const Operand& x) {
  return std::ranges::all_of(x.zeros, [](int64_t z) { return z == 0; });
}

}  // namespace

Operand IntegerSums::parameters(const Node& node, ValueId scale, ValueId zero,
                                ValueId codes) const {
  Operand x;
  const Tensor *scales = constant(g_, scale), *zeros = constant(g_, zero);
  if (!scales || scales->dtype() != DType::kFloat || scales->size() == 0 ||
      (zero != ValueId::kNone && !zeros))
    throw Refusal{cat("a scale or zero point of '", printable(node.name), "' is not constant")};
  x.codes = codes;
  x.zero_value = zero;
  for (float s : scales->data<float>()) x.scales.push_back(s);
  for (int64_t i = 0; i < scales->size(); ++i)
    x.zeros.push_back(zeros ? zeros->integer(zeros->size() == 1 ? 0 : i) : 0);
  x.scale = x.scales[0];
  x.zero = x.zeros[0];
  x.constant = constant(g_, codes);
  x.type = zeros ? zeros->dtype() : x.constant ? x.constant->dtype() : DType::kUint8;
  if (x.type != DType::kUint8 && x.type != DType::kInt8)
    throw Refusal{cat(dtype_name(x.type), " codes; integer operators take 8 bits")};
  if (x.type == DType::kInt8) {
    x.lowest = std::numeric_limits<int8_t>::min();
    x.highest = std::numeric_limits<int8_t>::max();
  }
  return x;
}

Operand IntegerSums::operand(const Node& node, size_t first) const {
  const ValueId zero = node.inputs.size() > first + 2 ? node.inputs[first + 2] : ValueId::kNone;
  return parameters(node, node.inputs[first + 1], zero, node.inputs[first]);
}

const Value& IntegerSums::shaped(const Node& node, const Operand& x) const {
  const Value& value = g_.value(x.codes);
  if (!value.shape) throw Refusal{cat("the rank of what it reads is not known")};
  if (value.shape->size() < 3) throw Refusal{cat(printable(node.type), " of a matrix")};
  return value;
}

Term IntegerSums::term(const Operand& x) const {
  require_one_scale(x);
  return {x.codes, x.zero, {x.scale}, {magnitude(x)}};
}

Term IntegerSums::term(const IntegerSum& sum, double scale,
                       const std::vector<double>& scales) const {
  Term t{sum.value, sum.zero, scales, sum.largest};
  if (scales.size() == 1) t.largest = {*std::ranges::max_element(sum.largest)};
  for (double& ratio : t.ratios) ratio *= scale;
  return t;
}

void IntegerSums::bound(IntegerSum& sum, const Operand& x, const std::vector<Range>& rows,
                        ValueId bias) const {
  const Tensor* biases = constant(g_, bias);
  if (bias != ValueId::kNone && (!biases || biases->dtype() != DType::kInt32))
    throw Refusal{"its bias is no int32 constant"};
  require_one_scale(x);
  const int64_t low = x.lowest - x.zero, high = x.highest - x.zero;
  for (size_t r = 0; r < rows.size(); ++r) {
    // Sums of the negative and of the positive weights.
    const int64_t least = rows[r].lowest * high + rows[r].highest * low,
                  most = rows[r].lowest * low + rows[r].highest * high;
    const int64_t b =
        biases ? biases->integer(biases->size() == 1 ? 0 : static_cast<int64_t>(r)) : 0;
    const int64_t lowest = std::min(least, least + b), highest = std::max(most, most + b);
    sum.lowest = std::min(sum.lowest, lowest);
    sum.highest = std::max(sum.highest, highest);
    sum.largest.push_back(std::max(-lowest, highest));
  }
  if (sum.highest > kMostSum || sum.lowest < -kMostSum - 1)
    throw Refusal{cat("its sums may leave int32: up to ", std::max(-sum.lowest, sum.highest))};
}

ValueId IntegerSums::biased(const Node& node, ValueId sum, ValueId bias, const Shape& by_channel) {
  if (bias == ValueId::kNone) return sum;
  const Tensor& codes = *g_.constant(bias);
  const ValueId constant =
      codes.size() == 1
          ? bias
          : add_initializer(g_, g_.value(bias).name + "_by_channel", codes.reshaped(by_channel));
  return out_.node(node.name + "_biased", "Add", {sum, constant}, DType::kInt32);
}

std::pair<ValueId, ValueId> IntegerSums::unsigned_codes(const Node& node, const Operand& x) {
  if (x.type == DType::kUint8) return {x.codes, x.zero_value};
  constexpr int32_t kMove = 128;
  const ValueId by = add_initializer(g_, node.name + "_move", Tensor::scalar(kMove)),
                zero = add_initializer(g_, node.name + "_moved_zero_point",
                                       Tensor::scalar(static_cast<uint8_t>(x.zero + kMove))),
                wide = out_.cast(node.name + "_wide", x.codes, DType::kInt32),
                moved = out_.node(node.name + "_moved", "Add", {wide, by}, DType::kInt32);
  return {out_.cast(node.name + "_unsigned", moved, DType::kUint8), zero};
}

IntegerSum IntegerSums::convolution(const Node& node, const Operand& x, const Operand& w,
                                    ValueId bias) {
  if (!w.constant) throw Refusal{"its weight is not constant"};
  IntegerSum sum;
  const int64_t channels = w.constant->dim(0), columns = w.constant->size() / channels;
  sum.by_channel.assign(static_cast<size_t>(w.constant->rank() - 1), 1);
  sum.by_channel[0] = channels;
  std::vector<Range> rows(static_cast<size_t>(channels));
  for (int64_t i = 0; i < w.constant->size(); ++i) {
    const auto row = static_cast<size_t>(i / columns);
    const int64_t weight = w.constant->integer(i) - w.zeros[w.zeros.size() == 1 ? 0 : row];
    (weight < 0 ? rows[row].lowest : rows[row].highest) += weight;
  }
  bound(sum, x, rows, bias);
  const auto [codes, zero] = unsigned_codes(node, x);
  std::vector<ValueId> inputs = {codes, w.codes, zero};
  if (!all_zero(w)) inputs.push_back(w.zero_value);
  const ValueId products = out_.node(node.name + "_sums", "ConvInteger", inputs, DType::kInt32);
  Node& made = g_.nodes.back();
  made.attributes = node.attributes;
  remove_attribute(made, "code_min");
  remove_attribute(made, "code_max");
  sum.value = biased(node, products, bias, sum.by_channel);
  return sum;
}

IntegerSum IntegerSums::product(const Node& node, const Operand& a, const Operand& b,
                                ValueId bias) {
  if (attr_int(node, "transA", 0)) throw Refusal{"it transposes its first operand"};
  IntegerSum sum;
  ValueId right = b.codes;
  const bool transposed = attr_int(node, "transB", 0) != 0;
  std::vector<Range> rows;
  if (b.constant) {
    const Tensor& w = *b.constant;
    const int64_t columns = w.dim(transposed ? 0 : -1), depth = w.dim(transposed ? 1 : -2);
    Tensor turned(w.dtype(), {depth, columns});
    // Of a stack of matrices the widest ranges.
    const int64_t area = depth * columns;
    rows.resize(static_cast<size_t>(columns));
    for (int64_t m = 0; m < w.size() / std::max<int64_t>(1, area); ++m) {
      for (int64_t j = 0; j < columns; ++j) {
        Range range;
        for (int64_t k = 0; k < depth; ++k) {
          const int64_t code = w.integer(m * area + (transposed ? j * depth + k : k * columns + j));
          const int64_t weight = code - b.zeros[b.zeros.size() == 1 ? 0 : static_cast<size_t>(j)];
          (weight < 0 ? range.lowest : range.highest) += weight;
          if (transposed) turned.set_number(k * columns + j, static_cast<double>(code));
        }
        Range& widest = rows[static_cast<size_t>(j)];
        widest.lowest = std::min(widest.lowest, range.lowest);
        widest.highest = std::max(widest.highest, range.highest);
      }
    }
    if (transposed)
      right = add_initializer(g_, g_.value(b.codes).name + "_turned", std::move(turned));
    sum.by_channel = {columns};
  } else {
    const auto& shape = g_.value(a.codes).shape;
    if (!shape || shape->empty() || shape->back() < 0)
      throw Refusal{"the length of its sums is not known"};
    rows = {{shape->back() * (b.lowest - b.zero), shape->back() * (b.highest - b.zero)}};
  }
  bound(sum, a, rows, bias);
  std::vector<ValueId> inputs = {a.codes, right, a.zero_value};
  if (!all_zero(b)) inputs.push_back(b.zero_value);
  const ValueId products = out_.node(node.name + "_sums", "MatMulInteger", inputs, DType::kInt32);
  const Tensor* biases = constant(g_, bias);
  sum.value = biased(node, products, bias, biases ? biases->shape() : Shape{});
  return sum;
}

IntegerSum IntegerSums::elementwise_product(const Node& node, const Operand& a, const Operand& b) {
  const auto centered = [&](const Operand& x, const char* which) {
    const ValueId wide = out_.cast(cat(node.name, which), x.codes, DType::kInt32);
    const ValueId zero = add_initializer(g_, cat(node.name, which, "_zero_point"),
                                         Tensor::scalar(static_cast<int32_t>(x.zero)));
    return out_.node(cat(node.name, which, "_centered"), "Sub", {wide, zero}, DType::kInt32);
  };
  IntegerSum sum;
  sum.value = out_.node(node.name + "_products", "Mul", {centered(a, "_a"), centered(b, "_b")},
                        DType::kInt32);
  sum.largest = {magnitude(a) * magnitude(b)};
  return sum;
}

IntegerSum IntegerSums::window(const Node& node, const Operand& x, int64_t& positions) {
  const Value& input = shaped(node, x);
  const auto pads = attr_ints(node, "pads");
  const bool padded = attr_string(node, "auto_pad", "NOTSET") != "NOTSET" ||
                      std::ranges::any_of(pads, [](int64_t p) { return p != 0; });
  if ((padded && !attr_int(node, "count_include_pad", 0)) || attr_int(node, "ceil_mode", 0))
    throw Refusal{"it averages over fewer positions at the border: no one multiplier does that"};
  const int64_t channels = (*input.shape)[1];
  if (channels < 0) throw Refusal{"its number of channels is not known"};
  Shape shape = attr_ints(node, "kernel_shape");
  positions = element_count(shape);
  shape.insert(shape.begin(), {channels, 1});
  IntegerSum sum;
  Tensor ones(DType::kInt8, shape);
  for (int8_t& one : ones.mutable_data<int8_t>()) one = 1;
  const ValueId weight = add_initializer(g_, node.name + "_ones", std::move(ones));
  const auto [codes, zero] = unsigned_codes(node, x);
  sum.value = out_.node(node.name + "_sums", "ConvInteger", {codes, weight, zero}, DType::kInt32);
  Node& made = g_.nodes.back();
  made.attributes = node.attributes;
  for (const char* other : {"count_include_pad", "ceil_mode", "channels_last"})
    remove_attribute(made, other);
  set_attribute(made, "group", channels);
  sum.largest = {positions * magnitude(x)};
  return sum;
}

IntegerSum IntegerSums::plane(const Node& node, const Operand& x, int64_t& positions) {
  const Value& input = shaped(node, x);
  std::vector<int64_t> axes;
  positions = 1;
  for (size_t d = 2; d < input.shape->size(); ++d) {
    if ((*input.shape)[d] < 0)
      throw Refusal{"the size of the planes that it averages is not known"};
    positions *= (*input.shape)[d];
    axes.push_back(static_cast<int64_t>(d));
  }
  if (positions < 1 || positions * 256 > kMostSum) throw Refusal{"its planes are too large"};
  const ValueId wide = out_.cast(node.name + "_wide", x.codes, DType::kInt32);
  const ValueId over = add_initializer(g_, node.name + "_axes",
                                       Tensor::of({static_cast<int64_t>(axes.size())}, axes));
  IntegerSum sum;
  sum.value = out_.node(node.name + "_sums", "ReduceSum", {wide, over}, DType::kInt32);
  set_attribute(g_.nodes.back(), "keepdims", int64_t{1});
  sum.zero = positions * x.zero;
  sum.largest = {positions * magnitude(x)};
  return sum;
}

}  // namespace qtool::passes
