// The "encodings" export style: the float model with its weights moved to their grids, and a JSON file of
// all grids in the form of AIMET's encodings, version 0.6.1.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "qtool/branches.hpp"
#include "quantize/internal.hpp"

namespace qtool::qdq {
namespace {

using Json = nlohmann::ordered_json;

// A grid of whole numbers times `scale`, from `low` to `high`: real 0 is the number 0.
Json encoding(int bits, double scale, int32_t low, int32_t high, bool symmetric) {
  return {
      {"bitwidth", bits},    {"dtype", "int"},     {"is_symmetric", symmetric ? "True" : "False"},
      {"max", high * scale}, {"min", low * scale}, {"offset", low},
      {"scale", scale}};
}

Json of_activation(const QParams& p) {
  const int32_t zero = p.zero_point[0], low = p.code_min[0] - zero, high = p.code_max[0] - zero;
  int bits = 1;
  while ((int64_t{1} << bits) <= int64_t{high} - low) ++bits;
  return Json::array({encoding(bits, static_cast<double>(p.scale[0]), low, high,
                               is_signed(p.storage) && zero == 0)});
}

// One a channel, even where all are equal. Levels of a codebook are whole numbers of 8 bits.
Json of_weight(const LayerSite& site, const LayerResult& layer) {
  if (layer.weight.block > 0 || !layer.weight.place_scales.empty()) {
    throw Error(ErrorKind::kUsage, "QT-E132",
                cat("the weight of '", printable(site.name),
                    "' has several scales a channel, which encodings cannot say"))
        .hint("use --export qdq, or --weight-scale channel");
  }
  if (layer.weight.codes.dtype() != DType::kInt8) {
    throw Error(ErrorKind::kUsage, "QT-E132",
                cat("the weight of '", printable(site.name), "' has codes of ",
                    dtype_name(layer.weight.codes.dtype()), ", which encodings cannot say"))
        .hint("use --export qdq, or another --format");
  }
  const int bits = layer.weight.codebook ? 8 : std::max(layer.bits, 2);
  const int32_t low = -(1 << (bits - 1));
  Json all = Json::array();
  for (float scale : layer.weight.scales)
    all.push_back(encoding(bits, static_cast<double>(scale), low, -low - 1, true));
  return all;
}

class FloatOnGrids {
 public:
  FloatOnGrids(Model& model, Json& weights) : g_(model.graph), weights_(weights) {}

  void layer(const LayerSite& site, const LayerResult& result) {
    if (result.dynamic()) {
      throw Error(ErrorKind::kUsage, "QT-E132",
                  cat("'", printable(site.name),
                      "' finds the range of its input at run time, which encodings cannot say"))
          .hint("use --export qdq, or --activation-mode static");
    }
    if (!site.inside.empty()) {
      throw Error(ErrorKind::kUsage, "QT-E132",
                  cat("'", printable(site.name), "' stands inside a body of '",
                      printable(site.inside), "', which encodings do not name"))
          .hint("use --export qdq, or keep the layer in float with --keep NAME=float");
    }
    const std::string weight = weight_value(site, result);
    for (Node& node : g_.nodes) {
      if (node.name != site.name) continue;
      for (size_t i = 1; i < node.inputs.size(); ++i) {
        if (node.inputs[i] != ValueId::kNone && g_.value(node.inputs[i]).name == site.weight)
          node.inputs[i] = g_.find(weight);
      }
      if (!result.bias.empty()) bias(node, site, result.bias);
      return;
    }
  }

  void stored(const LayerSite& site, const LayerResult& result) {
    (void)weight_value(site, result);
  }

 private:
  void bias(Node& node, const LayerSite& site, const std::vector<float>& values) {
    Tensor data = Tensor::of<float>({static_cast<int64_t>(values.size())}, values);
    if (!site.bias.empty() && biases_.insert(site.bias).second) {
      g_.initializers[g_.find(site.bias)].data = std::move(data);
      return;
    }
    if (node.inputs.size() < 3) node.inputs.resize(3, ValueId::kNone);
    node.inputs[2] =
        add_initializer(g_, site.bias.empty() ? site.name + "_bias" : site.bias, std::move(data));
  }

  struct Made {
    const LayerResult* layer;
    std::string name;
  };

  // Layers that share a weight but not its codes get their own.
  std::string weight_value(const LayerSite& site, const LayerResult& result) {
    std::vector<Made>& made = made_[site.weight];
    for (const Made& m : made) {
      if (m.layer->weight.codes.shares_bytes_with(result.weight.codes)) return m.name;
    }
    Tensor real = dequantized(result.weight, site.channel_axis);
    std::string name = site.weight;
    if (made.empty())
      g_.initializers[g_.find(site.weight)].data = std::move(real);
    else
      name = g_.value(add_initializer(g_, site.weight, std::move(real))).name;
    weights_[name] = of_weight(site, result);
    made.push_back({&result, name});
    return name;
  }

  Graph& g_;
  Json& weights_;
  std::map<std::string, std::vector<Made>> made_;  // by weight
  std::set<std::string> biases_;                   // that have their values
};

}  // namespace

Described describe_float(const Model& model, const Sites& sites,
                         const ActivationParams& activations, const LayerResults& layers) {
  Json weights = Json::object(), values = Json::object();
  const bool apart =
      std::ranges::any_of(activations, [](const auto& a) { return a.second.branch.has_value(); });
  Described result{apart ? split_branches(model, sites) : model, ""};
  for (const auto& [name, p] : activations) {
    values[name] = of_activation(p.branch ? *p.branch : p);
    const std::string read = read_by_layers(name);
    if (apart && result.model.graph.find(read) != ValueId::kNone) values[read] = of_activation(p);
  }
  FloatOnGrids floats(result.model, weights);
  for (const LayerSite& site : sites.layers) {
    if (const auto at = layers.find(site.name); at != layers.end()) floats.layer(site, at->second);
  }
  for (const StoredSite& site : sites.stored) {
    if (const auto at = layers.find(site.name); at != layers.end()) floats.stored(site, at->second);
  }
  remove_dead(result.model.graph);
  verify(result.model.graph);
  const Json json = {{"version", "0.6.1"},
                     {"producer", {{"name", "qtool"}, {"version", kVersion}}},
                     {"activation_encodings", values},
                     {"param_encodings", weights},
                     {"excluded_layers", Json::array()}};
  result.json = json.dump(1, ' ', true, Json::error_handler_t::replace) + "\n";
  return result;
}

}  // namespace qtool::qdq
