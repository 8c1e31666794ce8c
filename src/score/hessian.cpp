// HAWQ-V2 (arXiv 1911.03852): a row's price is the mean trace of the loss's Hessian over its weights times
// the squared change of the weights. The loss is the relative noise at the outputs, so that the Hessian at
// the float network is JᵀJ (its Gauss-Newton part, exact there), and its trace E_v ‖∂(v · outputs)/∂w‖²
// over random directions v (Hutchinson's estimate): one backward pass a direction, weights' gradients from
// the layers' inputs and the outputs' gradients.
#include <algorithm>

#include "qtool/exec.hpp"
#include "qtool/gradient.hpp"
#include "quantize/fit/columns.hpp"
#include "score/float_walk.hpp"
#include "score/output_noise.hpp"
#include "score/score_methods.hpp"

namespace qtool {
namespace {

constexpr int kDirections = 2;
constexpr int64_t kBlock = 1024;  // positions read at once

struct Layer {
  const LayerSite* site;
  qdq::ColumnReader reader;
  std::string input, output;
};

std::vector<Layer> layers_of(const Model& model, const Sites& sites) {
  std::vector<Layer> layers;
  for (const LayerSite* site : quantizable_layers(sites)) {
    if (!site->column_product) {
      throw Error(ErrorKind::kUsage, "QT-E139",
                  cat("the score 'hessian' does not know the kind of product of '",
                      printable(site->name), "' (", site->type, ")"))
          .hint("take another --score");
    }
    const Node& node = node_of(model, *site);
    const Tensor& weight = *model.graph.constant(model.graph.find(site->weight));
    layers.push_back({site, qdq::ColumnReader(node, *site, weight),
                      model.graph.value(node.inputs[0]).name,
                      model.graph.value(node.outputs[0]).name});
  }
  return layers;
}

// Σ over samples of ‖∂/∂w‖² of every row. Positions of a sample are neighbours.
std::vector<double> squared_gradients(const Layer& layer, const Tensor& x, const Tensor& gradient,
                                      int64_t samples) {
  const auto k = static_cast<size_t>(layer.reader.columns());
  const auto each = static_cast<size_t>(layer.reader.channels_per_group());
  const int64_t positions = layer.reader.positions(x.shape());
  const int64_t parts = positions % std::max<int64_t>(samples, 1) == 0 ? samples : 1;
  std::vector<double> squares(each * static_cast<size_t>(layer.reader.groups()), 0);
  std::vector<float> columns, errors, product;
  for (int64_t g = 0; g < layer.reader.groups(); ++g) {
    for (int64_t s = 0; s < parts; ++s) {
      const int64_t begin = positions / parts * s, end = positions / parts * (s + 1);
      product.assign(each * k, 0.f);
      for (int64_t at = begin; at < end; at += kBlock) {
        std::vector<int64_t> block;
        for (int64_t p = at; p < std::min(end, at + kBlock); ++p) block.push_back(p);
        columns.resize(block.size() * k);
        errors.resize(block.size() * each);
        layer.reader.read(row_major(x), layer.reader.patches(x.shape(), block), g, columns.data());
        layer.reader.read_output(row_major(gradient), block, g, errors.data());
        add_product(errors.data(), static_cast<int64_t>(each), columns.data(),
                    static_cast<int64_t>(k), product.data(), static_cast<int64_t>(k),
                    static_cast<int64_t>(each), static_cast<int64_t>(k),
                    static_cast<int64_t>(block.size()));
      }
      for (size_t i = 0; i < product.size(); ++i)
        squares[static_cast<size_t>(g) * each + i / k] += double{product[i]} * product[i];
    }
  }
  return squares;
}

// Trace of each layer's rows, summed over samples and directions of a chunk.
std::vector<std::vector<double>> chunk_traces(const std::vector<Layer>& layers,
                                              const Gradient& gradient, const Batch& batch) {
  const Gradient::Tape tape = gradient.forward(batch.feed);
  std::vector<std::vector<double>> traces(layers.size());
  for (int direction = 0; direction < kDirections; ++direction) {
    const auto found =
        gradient.backward(tape, fisher::random_seeds(tape.outputs, batch, direction));
    for (size_t l = 0; l < layers.size(); ++l) {
      const auto at = found.find(layers[l].output);
      if (at == found.end()) continue;
      const auto squares = squared_gradients(layers[l], gradient.value(tape, layers[l].input),
                                             at->second, batch.samples);
      traces[l].resize(squares.size(), 0.0);
      // Relative to the chunk's outputs: as many samples, as many parts.
      for (size_t i = 0; i < squares.size(); ++i)
        traces[l][i] += squares[i] * static_cast<double>(batch.samples) / kDirections;
    }
  }
  return traces;
}

ScoreTable run(const Model& model, const Sites& sites, const CalibrationTable& table,
               const SampleSource& source, const ScoreOptions& options) {
  require_fixed_activations("hessian", options);
  require_main_graph("hessian", sites);
  const std::vector<Layer> layers = layers_of(model, sites);
  std::vector<std::string> inputs, outputs;
  for (const Layer& layer : layers) {
    inputs.push_back(layer.input);
    outputs.push_back(layer.output);
  }
  const Gradient gradient(model, outputs, inputs);
  const ScoredChunks scored = scored_chunks(source, options.samples);
  std::vector<std::vector<double>> traces(layers.size());
  parallel_ordered(options.threads, scored.chunks, [&](int64_t c, int) -> std::function<void()> {
    auto chunk = std::make_shared<std::vector<std::vector<double>>>(
        chunk_traces(layers, gradient, source.chunk(c)));
    return [&, chunk] {
      for (size_t l = 0; l < traces.size(); ++l) {
        traces[l].resize(std::max(traces[l].size(), (*chunk)[l].size()), 0.0);
        for (size_t i = 0; i < (*chunk)[l].size(); ++i) traces[l][i] += (*chunk)[l][i];
      }
    };
  });
  ScoreTable scores{table.model_fingerprint, "hessian", scored.samples, {}};
  const CalibrationTable no_data;
  for (size_t l = 0; l < layers.size(); ++l) {
    const LayerSite& site = *layers[l].site;
    GroupScore& group = scores.groups.emplace_back(unpriced_filters(site, options.weights));
    traces[l].resize(group.filter_noise.size(), 0.0);
    const Tensor& weight = *model.graph.constant(model.graph.find(site.weight));
    const double weights = static_cast<double>(layers[l].reader.columns()) *
                           static_cast<double>(std::max<int64_t>(scored.samples, 1));
    for (size_t c = 0; c < group.widths.size(); ++c) {
      const WeightCodes& codes = options.candidates->layers.at(site.name).codes[c];
      if (!codes.codes.defined()) continue;
      const std::vector<double> change = row_errors(weight, site, codes, no_data);
      for (size_t f = 0; f < change.size(); ++f)
        set_price(group, f, c, traces[l][f] / weights * change[f]);
    }
  }
  return scores;
}

}  // namespace

extern const ScoreMethod kHessian = {
    .name = "hessian",
    .summary = "trace of the Hessian times the weights' squared change (HAWQ-V2); weights only",
    .run = run};

}  // namespace qtool
