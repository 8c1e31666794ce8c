// The "qdq" export style. Rules for onnxruntime are those of docs/export.md: explicit zero points,
// rank-0 scales per tensor, one Q per tensor feeding all consumers, int32 biases.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "graph/subgraphs.hpp"
#include "passes/passes.hpp"
#include "qtool/onnx.hpp"
#include "quantize/export/dynamic_nodes.hpp"
#include "quantize/export/table_nodes.hpp"

namespace qtool::qdq {
namespace {

using SharedGraph = std::shared_ptr<const Graph>;

constexpr int64_t kWideOpset = 21;    // 16-bit codes, 4-bit codes, blocks
constexpr int64_t kTwoBitOpset = 25;  // 2-bit codes
constexpr int64_t kFloat8Opset = 19;

Tensor zero_tensor(DType type, const std::vector<int32_t>& values, Shape shape) {
  Tensor t(type, std::move(shape));
  for (int64_t i = 0; i < t.size(); ++i) t.set_number(i, values[static_cast<size_t>(i)]);
  return t;
}

// What becomes of the model, by names.
struct Decisions {
  const Sites& sites;
  const ActivationParams& activations;
  const LayerResults& layers;
  const ExportStyle& style;
  int64_t opset;
};

// Rewrites one graph, and by others of its kind the bodies that its nodes carry.
class Rewriter {
 public:
  Rewriter(Graph& graph, const Decisions& decisions, Rewriter* around = nullptr)
      : g_(graph),
        around_(around),
        decisions_(decisions),
        sites_(decisions.sites),
        activations_(decisions.activations),
        layers_(decisions.layers),
        style_(decisions.style),
        weights_(graph, style_, around != nullptr),
        dynamic_(graph, decisions.opset, weights_),
        tables_(graph) {}

  void run() {
    std::set<std::string> own;
    for (const Node& node : g_.nodes) own.insert(node.name);
    for (const LayerSite& site : sites_.layers) {
      if (auto it = layers_.find(site.name); it != layers_.end() && own.contains(site.name))
        layer(site, it->second);
    }
    for (const ActivationSite& site : sites_.activations) {
      const auto it = activations_.find(site.name);
      const ValueId value = g_.find(site.name);
      if (it != activations_.end() && value != ValueId::kNone && !is_capture(g_, value))
        activation(site, it->second);
    }
    bodies();
    for (const StoredSite& site : sites_.stored) {
      if (auto it = layers_.find(site.name); it != layers_.end() && own.contains(site.node))
        stored(site, it->second);
    }
    sort_nodes(g_);
    remove_dead(g_);
  }

 private:
  void bodies() {
    for (size_t n = 0; n < g_.nodes.size(); ++n) {
      if (subgraphs_of(g_.nodes[n]).empty()) continue;
      Node node = g_.nodes[n];  // what is read from inside may add nodes here
      for (Attribute& attribute : node.attributes) {
        if (auto* one = std::get_if<SharedGraph>(&attribute.value)) body(*one);
        if (auto* many = std::get_if<std::vector<SharedGraph>>(&attribute.value))
          for (SharedGraph& graph : *many) body(graph);
      }
      g_.nodes[n] = std::move(node);
    }
  }

  void body(SharedGraph& shared) {
    if (!shared) return;
    auto inner = std::make_shared<Graph>(*shared);
    Rewriter(*inner, decisions_, this).run();
    shared = std::move(inner);
  }

  // A value of a graph around this one, seen from here.
  ValueId captured(const std::string& name) {
    if (!around_) return g_.find(name);
    return capture(g_, around_->g_.value(around_->captured(name)));
  }

  Rewriter& main_graph() { return around_ ? around_->main_graph() : *this; }

  Node& append(std::string name, std::string type, std::vector<ValueId> inputs, ValueId output) {
    g_.nodes.push_back(
        make_node(g_, std::move(name), std::move(type), std::move(inputs), {output}));
    return g_.nodes.back();
  }

  Node& node_named(const std::string& name) {
    return *std::find_if(g_.nodes.begin(), g_.nodes.end(),
                         [&](const Node& n) { return n.name == name; });
  }

  // value → (Clip →) Q → DQ → everything that read value. A graph output keeps its name behind the DQ. Where codes are
  // narrow for layers alone they have a pair of their own behind that of the branch.
  void activation(const ActivationSite& site, const ActivationCodes& codes) {
    const std::string& name = site.name;
    const QParams& p = codes.branch ? *codes.branch : codes;
    const ValueId value = g_.find(name);
    const auto shape = g_.value(value).shape;
    // Where only some readers take codes, a graph output stays the float value, too.
    const bool is_output = site.readers.empty() && std::find(g_.outputs.begin(), g_.outputs.end(),
                                                             value) != g_.outputs.end();
    // A graph output keeps its name: what makes it is renamed, and the DQ makes it instead.
    const ValueId from = is_output ? add_value(g_, name + "_float", DType::kFloat, shape) : value;
    const ValueId after =
        is_output ? value : add_value(g_, name + "_dequantized", DType::kFloat, shape);
    if (is_output) {
      for (Node& node : g_.nodes)
        std::replace(node.outputs.begin(), node.outputs.end(), value, from);
    } else if (site.readers.empty()) {
      replace_uses(g_, from, after, OutputUses::kKeep);
    } else {
      for (Node& node : g_.nodes) {
        if (site.readers.contains(node.name))
          std::replace(node.inputs.begin(), node.inputs.end(), from, after);
      }
    }
    pair(name, from, after, p, shape);
    if (!codes.branch) return;
    const ValueId read = add_value(g_, name + "_read", DType::kFloat, shape);
    for (Node& node : g_.nodes)
      if (site.layers.contains(node.name)) std::ranges::replace(node.inputs, after, read);
    pair(name + "_narrow", after, read, codes, shape);
  }

  void pair(const std::string& name, ValueId from, ValueId after, const QParams& p,
            const std::optional<Shape>& shape) {
    const ValueId scale = add_initializer(g_, name + "_scale", Tensor::scalar<float>(p.scale[0]));
    const ValueId zero =
        add_initializer(g_, name + "_zero_point", zero_tensor(p.storage, p.zero_point, {}));
    ValueId codes = add_value(g_, name + "_quantized", p.storage, shape);
    ValueId in = from;
    const bool clips = narrower_than_container(p);
    if (clips && !style_.clips_codes) in = clipped(name, from, p, shape);
    append(name + "_QuantizeLinear", "QuantizeLinear", {in, scale, zero}, codes);
    if (clips && style_.clips_codes) codes = clipped_codes(name, codes, p, shape);
    append(name + "_DequantizeLinear", "DequantizeLinear", {codes, scale, zero}, after);
  }

  static bool narrower_than_container(const QParams& p) {
    const int bits = dtype_bits(p.storage);
    return static_cast<int64_t>(p.code_max[0]) - p.code_min[0] + 1 < (int64_t{1} << bits);
  }

  // Codes of fewer bits than the container: clipped as reals, which onnxruntime understands.
  ValueId clipped(const std::string& name, ValueId from, const QParams& p,
                  const std::optional<Shape>& shape) {
    const auto real = [&](int32_t code) {
      return Tensor::scalar<float>(static_cast<float>(code - p.zero_point[0]) * p.scale[0]);
    };
    const ValueId lo = add_initializer(g_, name + "_clip_min", real(p.code_min[0]));
    const ValueId hi = add_initializer(g_, name + "_clip_max", real(p.code_max[0]));
    const ValueId out = add_value(g_, name + "_clipped", DType::kFloat, shape);
    append(name + "_Clip", "Clip", {from, lo, hi}, out);
    return out;
  }

  ValueId clipped_codes(const std::string& name, ValueId codes, const QParams& p,
                        const std::optional<Shape>& shape) {
    const ValueId lo =
        add_initializer(g_, name + "_code_min", zero_tensor(p.storage, p.code_min, {}));
    const ValueId hi =
        add_initializer(g_, name + "_code_max", zero_tensor(p.storage, p.code_max, {}));
    const ValueId out = add_value(g_, name + "_clipped_codes", p.storage, shape);
    append(name + "_Clip", "Clip", {codes, lo, hi}, out);
    return out;
  }

  void layer(const LayerSite& site, const LayerResult& result) {
    if (result.dynamic()) return dynamic_.replace(site, result);
    const ValueId weight = weight_value(site, result);
    Node& node = node_named(site.name);
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      if (node.inputs[i] != ValueId::kNone && g_.value(node.inputs[i]).name == site.weight)
        node.inputs[i] = weight;
    }
    if (result.bias.empty()) return;
    const ValueId bias = bias_value(site, result);
    Node& again = node_named(site.name);  // appending may have moved it
    if (again.inputs.size() < 3) again.inputs.resize(3, ValueId::kNone);
    again.inputs[2] = bias;
  }

  void stored(const StoredSite& site, const LayerResult& result) {
    if (site.picks_rows) return tables_.replace(site, result);
    const ValueId weight = dequantized_weight(site, result);
    Node& node = node_named(site.node);
    std::replace(node.inputs.begin(), node.inputs.end(), g_.find(site.weight), weight);
    rename_captures(node, site.weight, g_.value(weight).name);
  }

  // A weight that is made real before it is used, not in every round of a loop, unless an integer kernel takes it.
  ValueId weight_value(const LayerSite& site, const LayerResult& result) {
    if (!around_ || input_params(site, activations_)) return dequantized_weight(site, result);
    Rewriter& main = main_graph();
    return captured(main.g_.value(main.dequantized_weight(site, result)).name);
  }

  // Layers that share a weight and its width share its codes.
  ValueId dequantized_weight(const LayerSite& site, const LayerResult& result) {
    for (const auto& [codes, scales, value] : made_[site.weight]) {
      if (codes->shares_bytes_with(result.weight.codes) || same(*codes, result.weight.codes)) {
        if (*scales == result.weight.scales) return value;
      }
    }
    const ValueId out = weights_.append(site, result, input_params(site, activations_));
    made_[site.weight].push_back({&result.weight.codes, &result.weight.scales, out});
    return out;
  }

  static bool same(const Tensor& a, const Tensor& b) {
    return a.shape() == b.shape() && a.dtype() == b.dtype() &&
           std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
  }

  // Codes scaled by place have no one scale for a sum, and floats no sum of whole numbers; one that is too large for
  // int32 stays float, too, where the codes are levels that cannot shrink.
  static bool takes_integer_bias(const LayerResult& result, const QParams& input) {
    if (result.weight.block > 0 || result.weight.codes.dtype() != DType::kInt8) return false;
    const auto fits = [&](std::span<const float> bias) {
      for (size_t c = 0; result.weight.codebook && c < bias.size(); ++c) {
        if (std::fabs(bias[c]) >= 1073741824.0 * input.scale[0] * result.weight.scales[c])
          return false;
      }
      return true;
    };
    return fits(result.bias) && std::ranges::all_of(result.narrow_biases, fits);
  }

  ValueId bias_value(const LayerSite& site, const LayerResult& result) {
    const std::string name = site.bias.empty() ? site.name + "_bias" : site.bias;
    const QParams* input = input_params(site, activations_);
    const auto channels = static_cast<int64_t>(result.bias.size());
    if (!input || dtype_bits(input->storage) > 8 || !takes_integer_bias(result, *input)) {
      return weights_.bias(name, result, {channels}, [&](std::span<const float> bias) {
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
    const ValueId q = weights_.bias(name + "_quantized", result, {channels}, codes_of);
    const ValueId scale =
        add_initializer(g_, name + "_scale", Tensor::of<float>({channels}, scales));
    const ValueId zero =
        add_initializer(g_, name + "_zero_point", Tensor(DType::kInt32, {channels}));
    const ValueId out = add_value(g_, name + "_dequantized", DType::kFloat, Shape{channels});
    Node& dq =
        append(g_.value(q).name + "_DequantizeLinear", "DequantizeLinear", {q, scale, zero}, out);
    set_attribute(dq, "axis", int64_t{0});
    return out;
  }

  struct Made {
    const Tensor* codes;
    const std::vector<float>* scales;
    ValueId value;
  };

  Graph& g_;
  Rewriter* around_;  // of the graph that carries this one; nullptr: this is the main graph
  const Decisions& decisions_;
  const Sites& sites_;
  const ActivationParams& activations_;
  const LayerResults& layers_;
  std::map<std::string, std::vector<Made>> made_;
  const ExportStyle& style_;
  WeightNodes weights_;
  DynamicNodes dynamic_;
  TableNodes tables_;
};

// Whole numbers of each layer's width as a codebook; layers of one width share it. Of tables only rows are read.
LayerResults with_codebooks(const Sites& sites, LayerResults layers) {
  std::map<int, std::shared_ptr<const Codebook>> books;
  for (auto& [name, layer] : layers) {
    const StoredSite* stored = sites.stored_weight(name);
    if (layer.weight.codebook || (stored && stored->picks_rows)) continue;
    auto& book = books[layer.bits];
    if (!book) {
      Codebook all;
      const int half = 1 << (layer.bits - 1);
      for (int level = -half; level < half; ++level)
        all.levels.push_back(static_cast<float>(level));
      book = std::make_shared<const Codebook>(std::move(all));
    }
    layer.weight.codebook = book;
  }
  return layers;
}

}  // namespace

Model insert_qdq(const Model& model, const Sites& sites, const ActivationParams& activations,
                 const LayerResults& chosen, const ExportStyle& style) {
  const LayerResults looked_up = style.looks_up ? with_codebooks(sites, chosen) : LayerResults();
  const LayerResults& layers = style.looks_up ? looked_up : chosen;
  bool wide = std::any_of(activations.begin(), activations.end(),
                          [](const auto& a) { return dtype_bits(a.second.storage) > 8; });
  int narrowest = 8;
  bool small_floats = false;
  for (const auto& [name, layer] : layers) {
    wide |= layer.weight.block > 0;
    const StoredSite* stored = sites.stored_weight(name);
    if (stored && stored->picks_rows) continue;
    const LayerSite& site = stored ? *stored : *sites.layer(name);
    const DType type = stored_type(site, layer, input_params(site, activations), style);
    const RowClasses classes = row_classes(site, layer, type, style);
    const int bits = classes.empty() ? dtype_bits(type) : classes.begin()->first;
    wide |= bits < 8;
    small_floats |= !is_integer(type);
    narrowest = std::min(narrowest, bits);
  }
  const int64_t needed = narrowest == 2 ? kTwoBitOpset
                         : wide         ? kWideOpset
                         : small_floats ? kFloat8Opset
                                        : 0;
  Model m = model.opset() < needed ? convert_opset(model, needed) : model;
  Rewriter(m.graph, {sites, activations, layers, style, m.opset()}).run();
  passes::remove_identities_in_bodies(m);
  passes::lift_codes(m);
  passes::name_bodies(m);
  verify(m.graph);
  return m;
}

}  // namespace qtool::qdq
