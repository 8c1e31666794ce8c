// The "qdq" export style. Rules for onnxruntime are those of docs/export.md: explicit zero points,
// rank-0 scales per tensor, one Q per tensor feeding all consumers (narrow codes of a branched value but layers),
// int32 biases.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "graph/subgraphs.hpp"
#include "passes/passes.hpp"
#include "qtool/onnx.hpp"
#include "quantize/export/dynamic_nodes.hpp"
#include "quantize/export/pair_nodes.hpp"
#include "quantize/export/table_nodes.hpp"

namespace qtool::qdq {
namespace {

using SharedGraph = std::shared_ptr<const Graph>;

constexpr int64_t kWideOpset = 21;    // 16-bit codes, 4-bit codes, blocks
constexpr int64_t kTwoBitOpset = 25;  // 2-bit codes
constexpr int64_t kFloat8Opset = 19;

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
        weights_(graph, style_, around ? captured_codebooks() : WeightNodes::SharedCodebooks()),
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
        quantize_activation(g_, site, it->second, style_);
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

  WeightNodes::SharedCodebooks captured_codebooks() {
    return [this](const Codebook& book) {
      Rewriter& main = main_graph();
      return captured(main.g_.value(main.weights_.codebook(book)).name);
    };
  }

  Node& node_named(const std::string& name) {
    return *std::find_if(g_.nodes.begin(), g_.nodes.end(),
                         [&](const Node& n) { return n.name == name; });
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
    const ValueId bias = append_bias(g_, weights_, site, result, input_params(site, activations_));
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
    wide |= bits < 8 || (computes_in_float(layer) && input_params(site, activations));
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
