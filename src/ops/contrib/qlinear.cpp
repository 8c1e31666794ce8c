// Quantized operators of the com.microsoft domain, as onnxruntime names them: dequantize, compute in
// float, quantize. Fast kernels may differ from this by one code where a tie rounds the other way.
#include <algorithm>

#include "qtool/ops.hpp"

namespace qtool {
namespace {

Tensor run(std::string type, const Call& call, std::vector<Tensor> inputs, bool with_attributes) {
  Node node;
  node.name = call.node.name;
  node.type = std::move(type);
  node.inputs.assign(inputs.size(), ValueId::kNone);
  node.outputs = {call.node.outputs.empty() ? ValueId::kNone : call.node.outputs[0]};
  if (with_attributes) node.attributes = call.node.attributes;
  constexpr int64_t kOpset = 13;
  return std::move(eval_node(node, kOpset, inputs)[0]);
}

Tensor real(const Call& call, size_t i) {
  return run("DequantizeLinear", call, {call.in(i), call.in(i + 1), call.in(i + 2)}, false);
}

Tensor codes(const Call& call, Tensor value, size_t scale) {
  return run("QuantizeLinear", call, {std::move(value), call.in(scale), call.in(scale + 1)}, false);
}

// a, a_scale, a_zero_point, b, b_scale, b_zero_point, y_scale, y_zero_point.
std::vector<Tensor> binary(const Call& c) {
  const std::string type = c.node.type.substr(std::string_view("QLinear").size());
  return {codes(c, run(type, c, {real(c, 0), real(c, 3)}, false), 6)};
}

// y_scale, y_zero_point, then (x, x_scale, x_zero_point) for every input.
std::vector<Tensor> concat(const Call& c) {
  std::vector<Tensor> parts;
  for (size_t i = 2; i + 2 < c.inputs.size(); i += 3) parts.push_back(real(c, i));
  return {codes(c, run("Concat", c, std::move(parts), true), 0)};
}

// x, x_scale, x_zero_point, y_scale, y_zero_point.
std::vector<Tensor> pool(const Call& c) {
  if (c.integer("channels_last", 0)) throw_unsupported(cat(node_text(c.node), ": channels_last"));
  const std::string type = c.node.type.substr(std::string_view("QLinear").size());
  return {codes(c, run(type, c, {real(c, 0)}, true), 3)};
}

// a, a_scale, a_zero_point, b, b_scale, b_zero_point, bias, y_scale, y_zero_point (absent: a float result).
std::vector<Tensor> gemm(const Call& c) {
  const Tensor &a = c.in(0), &b = c.in(3);
  const bool ta = c.integer("transA", 0), tb = c.integer("transB", 0);
  if (a.rank() != 2 || b.rank() != 2)
    throw_model("QT-E332", cat(node_text(c.node), ": operands must be matrices"));
  const int64_t m = a.dim(ta ? 1 : 0), k = a.dim(ta ? 0 : 1), n = b.dim(tb ? 0 : 1);
  if (b.dim(tb ? 1 : 0) != k)
    throw_model("QT-E332", cat(node_text(c.node), ": inner sizes differ"));
  const Tensor &sb = c.in(4), &zb = c.in(5);
  const auto za = a.size() ? c.in(2).integer(0) : 0;
  Tensor y = Tensor::uninitialized(DType::kFloat, {m, n});
  auto out = y.mutable_data<float>();
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      int64_t sum = c.has(6) ? c.in(6).integer(c.in(6).size() == n   ? j
                                               : c.in(6).size() == 1 ? 0
                                                                     : i * n + j)
                             : 0;
      const int64_t zero = zb.integer(zb.size() == 1 ? 0 : j);
      for (int64_t p = 0; p < k; ++p) {
        sum += (a.integer(ta ? p * m + i : i * k + p) - za) *
               (b.integer(tb ? j * k + p : p * n + j) - zero);
      }
      const float scale =
          c.in(1).data<float>()[0] * sb.data<float>()[static_cast<size_t>(sb.size() == 1 ? 0 : j)];
      out[static_cast<size_t>(i * n + j)] = static_cast<float>(sum) * (c.real("alpha", 1) * scale);
    }
  }
  if (!c.has(7)) return {std::move(y)};
  return {codes(c, std::move(y), 7)};
}

// x, table: 256 results by the bit pattern of x's codes (domain qtool).
std::vector<Tensor> lookup(const Call& c) {
  const Tensor &x = c.in(0), &table = c.in(1);
  Tensor y = Tensor::uninitialized(table.dtype(), x.shape());
  const auto* in = static_cast<const uint8_t*>(x.raw());
  const auto* results = static_cast<const uint8_t*>(table.raw());
  std::transform(in, in + x.size(), static_cast<uint8_t*>(y.mutable_raw()),
                 [&](uint8_t code) { return results[code]; });
  return {std::move(y)};
}

constexpr std::string_view kMicrosoft = "com.microsoft";

}  // namespace

extern const OpDef kQLinearAdd = {.type = "QLinearAdd", .domain = kMicrosoft, .eval = binary};
extern const OpDef kQLinearMul = {.type = "QLinearMul", .domain = kMicrosoft, .eval = binary};
extern const OpDef kQLinearConcat = {.type = "QLinearConcat", .domain = kMicrosoft, .eval = concat};
extern const OpDef kQLinearAveragePool = {
    .type = "QLinearAveragePool", .domain = kMicrosoft, .eval = pool};
extern const OpDef kQLinearGlobalAveragePool = {
    .type = "QLinearGlobalAveragePool", .domain = kMicrosoft, .eval = pool};
extern const OpDef kQGemm = {.type = "QGemm",
                             .domain = kMicrosoft,
                             .eval = gemm,
                             .macs = [](const Node& node, std::span<const Shape> inputs,
                                        std::span<const Shape> outputs) -> int64_t {
                               if (inputs.empty() || inputs[0].size() != 2 || outputs.empty())
                                 return 0;
                               return element_count(outputs[0]) *
                                      inputs[0][attr_int(node, "transA", 0) ? 0 : 1];
                             }};
extern const OpDef kLookup = {.type = "Lookup", .domain = "qtool", .eval = lookup};

}  // namespace qtool
