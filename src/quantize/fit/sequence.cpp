#include <algorithm>

#include "quantize/fit/side_by_side.hpp"
#include "quantize/internal.hpp"

namespace qtool::qdq {
namespace {

// For the values of both networks over all chunks.
constexpr int64_t kMemory = int64_t{512} << 20;
// Means of channels, all that bias correction asks for, need no more samples than these; fitted weights want
// every one.
constexpr int64_t kSamplesForMeans = 32;

std::vector<const LayerSite*> in_order(const Sites& sites, const LayerResults& layers,
                                       const Model& quantized) {
  std::vector<const LayerSite*> order;
  for (const Node& node : quantized.graph.nodes) {
    const LayerSite* site = sites.layer(node.name);
    if (site && layers.contains(site->name)) order.push_back(site);
  }
  return order;
}

int64_t wanted_chunks(const QuantPlan& plan, const SampleSource& source, int64_t chunks) {
  const bool fitted = std::any_of(
      plan.layers.begin(), plan.layers.end(),
      [](const LayerChoice& choice) { return find_optimizer(choice.method).needs_moments; });
  if (fitted) return chunks;
  return std::min(chunks, (kSamplesForMeans * source.chunk_count() + source.samples() - 1) /
                              std::max<int64_t>(1, source.samples()));
}

// The layers one by one, along the side-by-side run.
class Sequence {
 public:
  Sequence(const Model& model, SideBySide& run, const QuantizeOptions& options,
           std::map<std::string, WeightGrid> grids)
      : model_(model), run_(run), options_(options), grids_(std::move(grids)) {}

  void optimize(const LayerSite& site, const LayerChoice& choice, LayerResult& layer) {
    const OptimizerDef& wanted = find_optimizer(choice.method);
    const Node& node = *std::find_if(model_.graph.nodes.begin(), model_.graph.nodes.end(),
                                     [&](const Node& n) { return n.name == site.name; });
    const Tensor& weight = *model_.graph.constant(model_.graph.find(site.weight));
    const bool corrected = options_.bias_correction && site.takes_bias;
    const RowLayout rows = row_layout(weight.shape(), site.channel_axis);
    const OptimizerDef& optimizer = affordable(wanted, rows.rows, rows.columns());
    if (&optimizer != &wanted)
      layer.note =
          cat(optimizer.needs_moments ? optimizer.name : "rounded", ": ", wanted.name,
              " is too much work for ", rows.rows, " rows of ", rows.columns(), " columns");
    const auto solved = solved_.find(site.weight);
    if (solved != solved_.end() && solved->second.site->channel_axis == site.channel_axis &&
        same_codes(*solved->second.choice, choice)) {
      layer.weight = *solved->second.codes;  // one weight, one set of codes
    } else if (optimizer.needs_moments && !site.column_product) {
      layer.note = cat("rounded: ", optimizer.name, " does not know this kind of product");
    } else if (optimizer.needs_moments) {
      run_.advance_to(site);
      const InputMoments& moments = moments_of(site, node, weight, corrected);
      layer.weight = optimize_rows(optimizer, {.weight = weight,
                                               .channel_axis = site.channel_axis,
                                               .bits = choice.weight_bits,
                                               .input_mean_square = {},
                                               .exact_pairs = choice.activation_bits != kFloatBits,
                                               .scale = choice.scale,
                                               .row_bits = choice.filter_bits,
                                               .moments = &moments,
                                               .threads = options_.threads,
                                               .grid = grids_.at(site.name)});
      layer.weight.method = optimizer.name;
    }
    weight.drop_pages();
    solved_.emplace(site.weight, Solved{&site, &choice, &layer.weight});
    const bool rounded = !find_optimizer(layer.weight.method).needs_moments;
    const std::vector<float> shift =
        run_.run_layer(site, dequantized(layer.weight, site.channel_axis), rounded);
    if (!corrected) return;
    run_.shift_output(shift);
    layer.bias.resize(shift.size(), 0.f);
    for (size_t c = 0; c < shift.size(); ++c) layer.bias[c] += shift[c];
  }

 private:
  struct Solved {
    const LayerSite* site;
    const LayerChoice* choice;
    const WeightCodes* codes;
  };

  // Dense layers that read one value (queries, keys, values) share its moments.
  const InputMoments& moments_of(const LayerSite& site, const Node& node, const Tensor& weight,
                                 bool centred) {
    const std::string key = cat(site.input, '\n', run_.residual(site), centred ? "\ncentred" : "");
    if (site.dense && key == key_) return moments_;
    const ColumnReader reader(node, site, weight);
    MomentOptions options;
    options.centred = centred;
    std::vector<float> rows;
    if (!site.dense)
      rows = rows_of(weight, site.channel_axis);  // what dense layers share is columns
    options.rows = rows;
    options.threads = options_.threads;
    moments_ = input_moments(
        reader, run_.chunks(),
        [&](LayerValue what, int64_t chunk) { return run_.value(site, what, chunk); }, options);
    key_ = site.dense ? key : "";
    return moments_;
  }

  const Model& model_;
  SideBySide& run_;
  const QuantizeOptions& options_;
  std::map<std::string, WeightGrid> grids_;  // by layer
  std::map<std::string, Solved> solved_;     // by weight
  std::string key_;
  InputMoments moments_;
};

}  // namespace

LayerResults optimize_in_sequence(const Model& model, const Sites& sites, const QuantPlan& plan,
                                  const CalibrationTable& table,
                                  const ActivationParams& activations, const LayerResults& stored,
                                  LayerResults layers, const SampleSource& source, int64_t chunks,
                                  const QuantizeOptions& options) {
  const Model quantized = insert_qdq(model, sites, activations, stored);
  const std::vector<const LayerSite*> order = in_order(sites, layers, quantized);
  const int64_t wanted = wanted_chunks(plan, source, chunks);
  SideBySide run(model, quantized, order, source, chunks, wanted, kMemory, options.threads);
  if (run.chunks() < wanted)
    log(LogLevel::kInfo, cat("the first layers are fitted on ", run.chunks(), " of ", wanted,
                             " chunks of data: more would not fit into ", kMemory >> 20, " MiB"));
  std::map<std::string, WeightGrid> grids = weight_grids(model, sites, plan, table);
  stay_in_cells(grids, options);
  Sequence sequence(model, run, options, std::move(grids));
  Progress progress("optimising", static_cast<int64_t>(order.size()), "layers");
  for (const LayerSite* site : order) {
    sequence.optimize(*site, *plan.layer(site->name), layers[site->name]);
    progress.advance(1);
  }
  return layers;
}

}  // namespace qtool::qdq
