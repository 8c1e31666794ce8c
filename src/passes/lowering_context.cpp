#include <algorithm>
#include <cmath>
#include <limits>

#include "passes/lower_qdq.hpp"

namespace qtool::passes {
namespace {

bool eight_bit(DType t) { return t == DType::kUint8 || t == DType::kInt8; }
int32_t lowest(DType t) { return t == DType::kUint8 ? 0 : -128; }
int32_t highest(DType t) { return t == DType::kUint8 ? 255 : 127; }

// Zero points may be absent, which means uint8 zero.
Codes parameters(const Graph& g, const Node& node, ValueId codes, DType type) {
  Codes c;
  c.codes = codes;
  c.scale = node.inputs[1];
  c.zero_point = node.inputs.size() > 2 ? node.inputs[2] : ValueId::kNone;
  c.scale_data = g.constant(c.scale);
  c.zero_data = constant(g, c.zero_point);
  c.type = type;
  return c;
}

}  // namespace

std::optional<Codes> LoweringContext::dequantized(ValueId value) const {
  if (value == ValueId::kNone) return std::nullopt;
  const int32_t p = uses_.producer[index(value)];
  if (p < 0 || !is(graph_.nodes[static_cast<size_t>(p)], "DequantizeLinear")) return std::nullopt;
  const Node& node = graph_.nodes[static_cast<size_t>(p)];
  const Tensor* data = graph_.constant(node.inputs[0]);
  Codes c = parameters(graph_, node, node.inputs[0], data ? data->dtype() : DType::kUndefined);
  if (!c.scale_data || c.scale_data->dtype() != DType::kFloat) return std::nullopt;
  if (c.zero_point != ValueId::kNone && !c.zero_data) return std::nullopt;
  if (c.type == DType::kUndefined) c.type = c.zero_data ? c.zero_data->dtype() : DType::kUint8;
  return c;
}

Codes LoweringContext::activation(ValueId value, std::string_view what) {
  auto c = dequantized(value);
  if (!c) throw Refusal{cat(what, " is not quantized with constant parameters")};
  if (c->scale_data->size() != 1) throw Refusal{cat(what, " is quantized per channel")};
  if (!eight_bit(c->type))
    throw Refusal{cat(what, " has ", dtype_name(c->type), " codes; integer kernels take 8 bits")};
  if (c->zero_point == ValueId::kNone) {
    c->zero_point = add_initializer(graph_, "qtool/zero_u8", Tensor::scalar<uint8_t>(0));
    c->zero_data = graph_.constant(c->zero_point);
  }
  return *c;
}

Codes LoweringContext::weight(ValueId value, int64_t axis) {
  auto c = dequantized(value);
  const Tensor* data = c ? graph_.constant(c->codes) : nullptr;
  if (!data) throw Refusal{"its weight is not a quantized constant"};
  const Node& node = graph_.nodes[static_cast<size_t>(uses_.producer[index(value)])];
  if (attr_int(node, "block_size", 0)) throw Refusal{"its weight is quantized in blocks"};
  if (c->scale_data->size() > 1) {
    int64_t given = attr_int(node, "axis", 1);
    if (given < 0) given += data->rank();
    if (given != axis)
      throw Refusal{
          cat("its weight has scales along axis ", given, ", output channels are axis ", axis)};
  }
  const bool shifted = data->dtype() == DType::kUint8;
  for (int64_t i = 0; c->zero_data && i < c->zero_data->size(); ++i) {
    if (c->zero_data->integer(i) != (shifted ? 128 : 0))
      throw Refusal{"its weight is not symmetric"};
  }
  if (shifted && !c->zero_data) throw Refusal{"its weight is not symmetric"};
  if (data->dtype() == DType::kInt8 && c->zero_data) return *c;
  if (!shifted && data->dtype() != DType::kInt8 && data->dtype() != DType::kInt4 &&
      data->dtype() != DType::kInt2) {
    throw Refusal{cat("its weight has ", dtype_name(data->dtype()), " codes")};
  }
  Tensor codes = dtype_bits(data->dtype()) < 8 ? unpack_bits(*data) : *data;
  if (shifted) {
    Tensor moved = Tensor::uninitialized(DType::kInt8, codes.shape());
    for (int64_t i = 0; i < codes.size(); ++i)
      moved.mutable_data<int8_t>()[static_cast<size_t>(i)] =
          static_cast<int8_t>(codes.data<uint8_t>()[static_cast<size_t>(i)] - 128);
    codes = std::move(moved);
  }
  const std::string name = graph_.value(c->codes).name;
  c->codes = add_initializer(graph_, name + "/int8", std::move(codes));
  c->zero_point =
      add_initializer(graph_, name + "/zero", Tensor(DType::kInt8, c->scale_data->shape()));
  c->zero_data = graph_.constant(c->zero_point);
  c->type = DType::kInt8;
  return *c;
}

ValueId LoweringContext::bias(ValueId value, const Codes& x, const Codes& w) {
  if (value == ValueId::kNone) return ValueId::kNone;
  const auto c = dequantized(value);
  const Tensor* codes = c ? graph_.constant(c->codes) : nullptr;
  if (!codes || codes->dtype() != DType::kInt32)
    throw Refusal{"its bias is not an int32 constant behind DequantizeLinear"};
  const float sx = x.scale_data->data<float>()[0];
  const auto bias_scales = c->scale_data->data<float>(),
             weight_scales = w.scale_data->data<float>();
  const size_t n = std::max(bias_scales.size(), weight_scales.size());
  for (size_t i = 0; i < n; ++i) {
    const float want = sx * weight_scales[weight_scales.size() == 1 ? 0 : i],
                have = bias_scales[bias_scales.size() == 1 ? 0 : i];
    if (std::fabs(have - want) > 1e-6f * want)
      throw Refusal{"its bias scale is not input scale times weight scale"};
  }
  return c->codes;
}

void LoweringContext::clamp(const Node& activation, Result& r) const {
  const float scale = r.to.scale_data->data<float>()[0];
  const auto zero = static_cast<int32_t>(r.to.zero_data->integer(0));
  const auto code = [&](float real) {
    const double v = std::nearbyint(real / scale) + zero;
    return static_cast<int32_t>(std::clamp<double>(v, r.code_min, r.code_max));
  };
  if (is(activation, "Relu")) {
    r.code_min = std::max(r.code_min, zero);
    return;
  }
  float lo = attr_float(activation, "min", -std::numeric_limits<float>::max()),
        hi = attr_float(activation, "max", std::numeric_limits<float>::max());
  for (size_t i : {size_t{1}, size_t{2}}) {
    if (i >= activation.inputs.size() || activation.inputs[i] == ValueId::kNone) continue;
    const Tensor* bound = graph_.constant(activation.inputs[i]);
    if (!bound || bound->size() != 1 || bound->dtype() != DType::kFloat)
      throw Refusal{"the Clip behind it has no constant bounds"};
    (i == 1 ? lo : hi) = bound->data<float>()[0];
  }
  const int32_t below = code(lo), above = code(hi);
  r.code_min = below;
  r.code_max = above;
}

void LoweringContext::clamp_codes(Result& r) {
  const int32_t reader = sole_consumer(uses_, r.to.codes);
  if (reader < 0 || !is(graph_.nodes[static_cast<size_t>(reader)], "Clip")) return;
  const Node& clip = graph_.nodes[static_cast<size_t>(reader)];
  for (size_t i : {size_t{1}, size_t{2}}) {
    if (i < clip.inputs.size() && clip.inputs[i] != ValueId::kNone &&
        !graph_.constant(clip.inputs[i]))
      return;
  }
  const auto bound = [&](size_t i, int32_t otherwise) {
    const Tensor* b = i < clip.inputs.size() ? constant(graph_, clip.inputs[i]) : nullptr;
    return b ? static_cast<int32_t>(b->integer(0)) : otherwise;
  };
  const int32_t low = bound(1, r.code_min), high = bound(2, r.code_max);
  r.code_min = std::clamp(r.code_min, low, high);
  r.code_max = std::clamp(r.code_max, low, high);
  r.to.codes = clip.outputs[0];
  r.clip = reader;
}

LoweringContext::Result LoweringContext::result(const Node& node) {
  Result r;
  std::vector<int32_t> chain;
  ValueId value = node.outputs[0];
  for (;;) {
    const auto& consumers = uses_.consumers[index(value)];
    if (uses_.is_output[index(value)]) throw Refusal{"its result is a graph output in float"};
    if (consumers.empty()) throw Refusal{"nothing reads its result"};
    if (consumers.size() > 1)
      throw Refusal{cat("its result is read in float by ", consumers.size(), " nodes")};
    const Node& next = graph_.nodes[static_cast<size_t>(consumers[0])];
    if (is(next, "QuantizeLinear")) {
      if (next.inputs[0] != value) throw Refusal{"its result is a scale"};
      r.quantize = consumers[0];
      break;
    }
    if ((!is(next, "Relu") && !is(next, "Clip")) || next.inputs[0] != value) {
      throw Refusal{cat("its result goes to ", printable(next.type), " in float")};
    }
    chain.push_back(consumers[0]);
    value = next.outputs[0];
  }
  const Node& q = graph_.nodes[static_cast<size_t>(r.quantize)];
  r.to = parameters(graph_, q, q.outputs[0], DType::kUint8);
  if (!r.to.scale_data || r.to.scale_data->size() != 1 || r.to.scale_data->dtype() != DType::kFloat)
    throw Refusal{"its result is not quantized per tensor"};
  if (!r.to.zero_data) {
    if (r.to.zero_point != ValueId::kNone || attr_int(q, "output_dtype", 0))
      throw Refusal{"its result's zero point is not constant"};
    r.to.zero_point = add_initializer(graph_, "qtool/zero_u8", Tensor::scalar<uint8_t>(0));
    r.to.zero_data = graph_.constant(r.to.zero_point);
  }
  r.to.type = r.to.zero_data->dtype();
  if (!eight_bit(r.to.type))
    throw Refusal{
        cat("its result has ", dtype_name(r.to.type), " codes; integer kernels make 8 bits")};
  r.code_min = lowest(r.to.type);
  r.code_max = highest(r.to.type);
  for (int32_t i : chain) clamp(graph_.nodes[static_cast<size_t>(i)], r);
  clamp_codes(r);
  r.clamps = r.code_min > lowest(r.to.type) || r.code_max < highest(r.to.type);
  r.activations = std::move(chain);
  return r;
}

void LoweringContext::replace(int32_t i, const Result& result, std::string type, std::string domain,
                              std::vector<ValueId> inputs) {
  Node& node = graph_.nodes[static_cast<size_t>(i)];
  node.type = std::move(type);
  node.domain = std::move(domain);
  node.inputs = std::move(inputs);
  node.outputs = {result.to.codes};
  if (result.clamps) {
    set_attribute(node, "code_min", int64_t{result.code_min});
    set_attribute(node, "code_max", int64_t{result.code_max});
  }
  removed_.push_back(result.quantize);
  if (result.clip >= 0) removed_.push_back(result.clip);
  removed_.insert(removed_.end(), result.activations.begin(), result.activations.end());
}

bool LoweringContext::has_quantizer(const Node& node) {
  try {
    result(node);
    return true;
  } catch (const Refusal&) {
    return false;
  }
}

void LoweringContext::replace_keeping_result(int32_t i, std::string type, std::string domain,
                                             std::vector<ValueId> inputs) {
  Node& node = graph_.nodes[static_cast<size_t>(i)];
  node.type = std::move(type);
  node.domain = std::move(domain);
  node.inputs = std::move(inputs);
}

}  // namespace qtool::passes
