// Class-based scores (CQ, arXiv 2211.14928): in how many classes a filter takes part. For a sample of
// class m, s = |a · ∂Φₘ/∂a| for every element a of the layer's output (behind its folded activation), Φₘ
// the network's output for the class; β^m = share of the class's samples with s > ε; γ = Σ_m β^m; a
// filter has the largest γ of its positions. Samples have no labels: m is the float model's answer.
// What the paper leaves open: ε is 1e-6 of the sample's largest s in the layer; equal γ are told apart
// by mean s, which counts less than any step of γ.
#include <algorithm>
#include <cmath>

#include "qtool/gradient.hpp"
#include "score/score_methods.hpp"

namespace qtool {
namespace {

constexpr double kEpsilon = 1e-6;
// A step of γ is at least 1 / samples.
constexpr double kTie = 1e-6;

// The float output that classes are read from, and its answer, per sample.
struct Answers {
  size_t output = 0;
  std::vector<int64_t> classes;
};

Answers answers_of(const std::vector<Tensor>& outputs, int64_t samples) {
  Answers a;
  while (a.output < outputs.size() &&
         (outputs[a.output].dtype() != DType::kFloat || outputs[a.output].size() == 0))
    ++a.output;
  if (a.output == outputs.size() || samples <= 0 || outputs[a.output].size() % samples != 0) {
    throw Error(ErrorKind::kUsage, "QT-E139", "the score 'class' needs a float output of classes")
        .hint("take another --score");
  }
  const int64_t each = outputs[a.output].size() / samples;
  const float* y = outputs[a.output].data<float>().data();
  for (int64_t s = 0; s < samples; ++s, y += each)
    a.classes.push_back(std::max_element(y, y + each) - y);
  return a;
}

// Σ over a class's samples of each layer's indicators and of s.
struct LayerCounts {
  std::vector<double>
      active;  // [channel × position], each sample weighted by 1 / its class's samples
  std::vector<double> size;  // [channel]: Σ of s
  void add(const LayerCounts& other) {
    active.resize(std::max(active.size(), other.active.size()), 0.0);
    size.resize(std::max(size.size(), other.size.size()), 0.0);
    for (size_t i = 0; i < other.active.size(); ++i) active[i] += other.active[i];
    for (size_t i = 0; i < other.size.size(); ++i) size[i] += other.size[i];
  }
};

// A layer's output of one sample as [outer][channel][inner].
LayerCounts count_sample(const float* a, const float* g, int64_t outer, int64_t channels,
                         int64_t inner, double weight) {
  const int64_t n = outer * channels * inner;
  std::vector<float> s(static_cast<size_t>(n));
  float largest = 0;
  for (int64_t i = 0; i < n; ++i) {
    s[static_cast<size_t>(i)] = std::fabs(a[i] * g[i]);
    largest = std::max(largest, s[static_cast<size_t>(i)]);
  }
  const auto least = static_cast<float>(kEpsilon * largest);
  LayerCounts counts;
  counts.active.assign(static_cast<size_t>(n), 0);
  counts.size.assign(static_cast<size_t>(channels), 0);
  for (int64_t i = 0; i < n; ++i) {
    const auto channel = static_cast<size_t>(i / inner % channels);
    counts.size[channel] += s[static_cast<size_t>(i)];
    if (s[static_cast<size_t>(i)] > least) counts.active[static_cast<size_t>(i)] = weight;
  }
  return counts;
}

class Counter {
 public:
  Counter(const Model& model, const std::vector<const LayerSite*>& layers, int64_t chunks)
      : layers_(layers), answers_(static_cast<size_t>(chunks)) {
    std::vector<std::string> outputs;
    for (const LayerSite* site : layers) outputs.push_back(site->output);
    gradient_.emplace(model, outputs, outputs);
  }

  std::vector<LayerCounts> count(const SampleSource& source, int threads) {
    const auto chunks = static_cast<int64_t>(answers_.size());
    std::vector<LayerCounts> all(layers_.size());
    Progress progress("classes", chunks, "chunks");
    count_classes(source, threads);
    parallel_ordered(threads, chunks, [&](int64_t c, int) -> std::function<void()> {
      auto counts = std::make_shared<std::vector<LayerCounts>>(chunk(source.chunk(c), c));
      return [&, counts] {
        for (size_t l = 0; l < all.size(); ++l) all[l].add((*counts)[l]);
        progress.advance(1);
      };
    });
    return all;
  }
  double classes() const { return static_cast<double>(class_sizes_.size()); }

 private:
  void count_classes(const SampleSource& source, int threads) {
    parallel_for(threads, static_cast<int64_t>(answers_.size()), [&](int64_t c, int) {
      const Batch batch = source.chunk(c);
      answers_[static_cast<size_t>(c)] =
          answers_of(gradient_->forward(batch.feed).outputs, batch.samples);
    });
    for (const Answers& chunk : answers_)
      for (int64_t m : chunk.classes) ++class_sizes_[m];
  }

  std::vector<LayerCounts> chunk(const Batch& batch, int64_t index) const {
    const Answers& answers = answers_[static_cast<size_t>(index)];
    const Gradient::Tape tape = gradient_->forward(batch.feed);
    std::vector<Tensor> seeds(tape.outputs.size());
    seeds[answers.output] = Tensor(DType::kFloat, tape.outputs[answers.output].shape());
    const int64_t each = seeds[answers.output].size() / batch.samples;
    for (int64_t s = 0; s < batch.samples; ++s) {
      seeds[answers.output].mutable_data<float>()[static_cast<size_t>(
          s * each + answers.classes[static_cast<size_t>(s)])] = 1;
    }
    const auto gradients = gradient_->backward(tape, seeds);
    std::vector<LayerCounts> all(layers_.size());
    for (size_t l = 0; l < layers_.size(); ++l) {
      const auto found = gradients.find(layers_[l]->output);
      if (found == gradients.end()) continue;
      const Tensor value = gradient_->value(tape, layers_[l]->output);
      all[l] = layer(*layers_[l], value, found->second, batch.samples, answers);
    }
    return all;
  }

  LayerCounts layer(const LayerSite& site, const Tensor& value, const Tensor& gradient,
                    int64_t samples, const Answers& answers) const {
    const int64_t axis = site.dense ? value.rank() - 1 : std::min<int64_t>(1, value.rank() - 1);
    int64_t inner = 1;
    for (int64_t d = axis + 1; d < value.rank(); ++d) inner *= value.dim(d);
    LayerCounts counts;
    if (value.size() % (samples * value.dim(axis) * inner) != 0) return counts;
    const int64_t each = value.size() / samples, outer = each / (value.dim(axis) * inner);
    for (int64_t s = 0; s < samples; ++s) {
      const int64_t of_class = class_sizes_.at(answers.classes[static_cast<size_t>(s)]);
      counts.add(count_sample(value.data<float>().data() + s * each,
                              gradient.data<float>().data() + s * each, outer, value.dim(axis),
                              inner, 1.0 / static_cast<double>(of_class)));
    }
    return counts;
  }

  const std::vector<const LayerSite*>& layers_;
  std::optional<Gradient> gradient_;
  std::vector<Answers> answers_;  // by chunk
  std::map<int64_t, int64_t> class_sizes_;
};

// γ of every row of the weight, and mean s; several output channels may belong to one row.
struct FilterScores {
  std::vector<double> gamma, size;
};
FilterScores filters_of(const LayerSite& site, const LayerCounts& counts, double samples) {
  const auto rows = static_cast<size_t>(site.channels);
  FilterScores f{std::vector<double>(rows, 0), std::vector<double>(rows, 0)};
  if (counts.size.empty()) return f;
  const size_t channels = counts.size.size();
  // Channels lie last in dense layers, and in front of positions in the others.
  const size_t inner = site.dense ? 1 : counts.active.size() / channels;
  for (size_t i = 0; i < counts.active.size(); ++i) {
    double& gamma = f.gamma[i / inner % channels % rows];
    gamma = std::max(gamma, counts.active[i]);
  }
  const double each = static_cast<double>(counts.active.size() / channels) * samples;
  for (size_t c = 0; c < channels; ++c) f.size[c % rows] += counts.size[c] / each;
  return f;
}

// A filter's price at a width: its part of its layer's relative output error, by what it matters.
GroupScore priced(const Model& model, const LayerSite& site, const FilterScores& filters,
                  double classes, double largest, const CalibrationTable& table,
                  const ScoreOptions& options) {
  GroupScore group = unpriced_filters(site, options.weights);
  const Tensor& weight = *model.graph.constant(model.graph.find(site.weight));
  WeightCodes nothing;
  nothing.codes = Tensor(DType::kInt8, weight.shape());
  nothing.scales.assign(static_cast<size_t>(site.channels), 1.f);
  double power = 0;
  for (double p : row_errors(weight, site, nothing, table)) power += p;
  for (size_t f = 0; f < filters.gamma.size(); ++f)
    group.importance.push_back(filters.gamma[f] +
                               kTie * filters.size[f] / std::max(largest, 1e-30));
  for (size_t c = 0; c < group.widths.size(); ++c) {
    const WeightCodes& codes = options.candidates->layers.at(site.name).codes[c];
    if (!codes.codes.defined()) continue;
    const std::vector<double> errors = row_errors(weight, site, codes, table);
    for (size_t f = 0; f < errors.size(); ++f)
      set_price(group, f, c, filters.gamma[f] / classes * errors[f] / std::max(power, 1e-30));
  }
  return group;
}

ScoreTable run(const Model& model, const Sites& sites, const CalibrationTable& table,
               const SampleSource& source, const ScoreOptions& options) {
  require_fixed_activations("class", options);
  require_main_graph("class", sites);
  const std::vector<const LayerSite*> layers = quantizable_layers(sites);
  const ScoredChunks scored = scored_chunks(source, options.samples);
  Counter counter(model, layers, scored.chunks);
  const std::vector<LayerCounts> counts = counter.count(source, options.threads);
  std::vector<FilterScores> filters;
  double largest = 0;
  for (size_t l = 0; l < layers.size(); ++l) {
    filters.push_back(filters_of(*layers[l], counts[l], static_cast<double>(scored.samples)));
    for (double s : filters.back().size) largest = std::max(largest, s);
  }
  ScoreTable scores{table.model_fingerprint, "class", scored.samples, {}};
  for (size_t l = 0; l < layers.size(); ++l) {
    scores.groups.push_back(
        priced(model, *layers[l], filters[l], counter.classes(), largest, table, options));
  }
  return scores;
}

}  // namespace

extern const ScoreMethod kClass = {
    .name = "class",
    .summary = "in how many classes a filter takes part (CQ, arXiv 2211.14928); weights only",
    .run = run};

}  // namespace qtool
