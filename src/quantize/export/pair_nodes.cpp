#include "quantize/export/pair_nodes.hpp"

#include <algorithm>
#include <cmath>

namespace qtool::qdq {
namespace {

Tensor zero_tensor(DType type, const std::vector<int32_t>& values, Shape shape) {
  Tensor t(type, std::move(shape));
  for (int64_t i = 0; i < t.size(); ++i) t.set_number(i, values[static_cast<size_t>(i)]);
  return t;
}

Node& append(Graph& g, std::string name, std::string type, std::vector<ValueId> inputs,
             ValueId output) {
  g.nodes.push_back(make_node(g, std::move(name), std::move(type), std::move(inputs), {output}));
  return g.nodes.back();
}

bool narrower_than_container(const QParams& p) {
  const int bits = dtype_bits(p.storage);
  return static_cast<int64_t>(p.code_max[0]) - p.code_min[0] + 1 < (int64_t{1} << bits);
}

// Codes of fewer bits than the container: clipped as reals, which onnxruntime understands.
ValueId clipped(Graph& g, const std::string& name, ValueId from, const QParams& p,
                const std::optional<Shape>& shape) {
  const auto real = [&](int32_t code) {
    return Tensor::scalar<float>(static_cast<float>(code - p.zero_point[0]) * p.scale[0]);
  };
  const ValueId lo = add_initializer(g, name + "_clip_min", real(p.code_min[0]));
  const ValueId hi = add_initializer(g, name + "_clip_max", real(p.code_max[0]));
  const ValueId out = add_value(g, name + "_clipped", DType::kFloat, shape);
  append(g, name + "_Clip", "Clip", {from, lo, hi}, out);
  return out;
}

ValueId clipped_codes(Graph& g, const std::string& name, ValueId codes, const QParams& p,
                      const std::optional<Shape>& shape) {
  const ValueId lo = add_initializer(g, name + "_code_min", zero_tensor(p.storage, p.code_min, {}));
  const ValueId hi = add_initializer(g, name + "_code_max", zero_tensor(p.storage, p.code_max, {}));
  const ValueId out = add_value(g, name + "_clipped_codes", p.storage, shape);
  append(g, name + "_Clip", "Clip", {codes, lo, hi}, out);
  return out;
}

void append_pair(Graph& g, const std::string& name, ValueId from, ValueId after, const QParams& p,
                 const std::optional<Shape>& shape, const ExportStyle& style) {
  const ValueId scale = add_initializer(g, name + "_scale", Tensor::scalar<float>(p.scale[0]));
  const ValueId zero =
      add_initializer(g, name + "_zero_point", zero_tensor(p.storage, p.zero_point, {}));
  ValueId codes = add_value(g, name + "_quantized", p.storage, shape);
  ValueId in = from;
  const bool clips = narrower_than_container(p);
  if (clips && !style.clips_codes) in = clipped(g, name, from, p, shape);
  append(g, name + "_QuantizeLinear", "QuantizeLinear", {in, scale, zero}, codes);
  if (clips && style.clips_codes) codes = clipped_codes(g, name, codes, p, shape);
  append(g, name + "_DequantizeLinear", "DequantizeLinear", {codes, scale, zero}, after);
}

// Codes scaled by place have no one scale for a sum, and floats no sum of whole numbers; one that is too large for
// int32 stays float, too, where the codes are levels that cannot shrink.
bool takes_integer_bias(const LayerResult& result, const QParams& input) {
  if (result.weight.block > 0 || result.weight.codes.dtype() != DType::kInt8) return false;
  if (computes_in_float(result)) return false;
  const auto fits = [&](std::span<const float> bias) {
    for (size_t c = 0; result.weight.codebook && c < bias.size(); ++c) {
      if (std::fabs(bias[c]) >= 1073741824.0 * input.scale[0] * result.weight.scales[c])
        return false;
    }
    return true;
  };
  return fits(result.bias) && std::ranges::all_of(result.narrow_biases, fits);
}

}  // namespace

void quantize_activation(Graph& g, const ActivationSite& site, const ActivationCodes& codes,
                         const ExportStyle& style) {
  const std::string& name = site.name;
  const QParams& p = codes.branch ? *codes.branch : codes;
  const ValueId value = g.find(name);
  const auto shape = g.value(value).shape;
  // Where only some readers take codes, a graph output stays the float value, too.
  const bool is_output = site.readers.empty() &&
                         std::find(g.outputs.begin(), g.outputs.end(), value) != g.outputs.end();
  // A graph output keeps its name: what makes it is renamed, and the DQ makes it instead.
  const ValueId from = is_output ? add_value(g, name + "_float", DType::kFloat, shape) : value;
  const ValueId after =
      is_output ? value : add_value(g, name + "_dequantized", DType::kFloat, shape);
  if (is_output) {
    for (Node& node : g.nodes) std::replace(node.outputs.begin(), node.outputs.end(), value, from);
  } else if (site.readers.empty()) {
    replace_uses(g, from, after, OutputUses::kKeep);
  } else {
    for (Node& node : g.nodes) {
      if (site.readers.contains(node.name))
        std::replace(node.inputs.begin(), node.inputs.end(), from, after);
    }
  }
  append_pair(g, name, from, after, p, shape, style);
  if (!codes.branch) return;
  const ValueId read = add_value(g, name + "_read", DType::kFloat, shape);
  for (Node& node : g.nodes)
    if (site.layers.contains(node.name)) std::ranges::replace(node.inputs, after, read);
  append_pair(g, name + "_narrow", after, read, codes, shape, style);
}

ValueId append_bias(Graph& g, WeightNodes& weights, const LayerSite& site,
                    const LayerResult& result, const QParams* input) {
  const std::string name = site.bias.empty() ? site.name + "_bias" : site.bias;
  const auto channels = static_cast<int64_t>(result.bias.size());
  if (!input || dtype_bits(input->storage) > 8 || !takes_integer_bias(result, *input)) {
    return weights.bias(name, result, {channels}, [&](std::span<const float> bias) {
      return Tensor::of<float>({channels}, {bias.begin(), bias.end()});
    });
  }
  std::vector<float> scales;
  for (float scale : result.weight.scales) scales.push_back(input->scale[0] * scale);
  const auto codes_of = [&](std::span<const float> bias) {
    std::vector<int32_t> codes;
    for (size_t c = 0; c < bias.size(); ++c) {
      const double code = std::nearbyint(static_cast<double>(bias[c]) / scales[c]);
      codes.push_back(static_cast<int32_t>(std::clamp(code, -2147483648.0, 2147483647.0)));
    }
    return Tensor::of<int32_t>({channels}, codes);
  };
  const ValueId q = weights.bias(name + "_quantized", result, {channels}, codes_of);
  const ValueId scale = add_initializer(g, name + "_scale", Tensor::of<float>({channels}, scales));
  const ValueId zero = add_initializer(g, name + "_zero_point", Tensor(DType::kInt32, {channels}));
  const ValueId out = add_value(g, name + "_dequantized", DType::kFloat, Shape{channels});
  Node& dq =
      append(g, g.value(q).name + "_DequantizeLinear", "DequantizeLinear", {q, scale, zero}, out);
  set_attribute(dq, "axis", int64_t{0});
  return out;
}

}  // namespace qtool::qdq
