#include "qtool/evaluate.hpp"

#include <algorithm>
#include <cmath>
#include <optional>

#include "evaluate/expected_drop.hpp"
#include "evaluate/integer_checks.hpp"
#include "evaluate/metrics.hpp"
#include "evaluate/outputs.hpp"

namespace qtool {
namespace {

using metrics::Difference;
using metrics::Scores;

constexpr int64_t kTop = 5;

struct Hits {
  int64_t top1 = 0, top5 = 0;
  void count(std::span<const double> row, int64_t label) {
    const int64_t rank = metrics::rank_of(row, label);
    top1 += rank < 1;
    top5 += rank < kTop;
  }
  void add(const Hits& other) {
    top1 += other.top1;
    top5 += other.top5;
  }
};

// What the chunks up to now, or one of them, add up to.
struct Tally {
  int64_t samples = 0, agreeing = 0;
  metrics::DropEstimate drop;
  bool classifier = true;
  Hits model, reference;
  std::vector<Difference> differences;  // by output
  std::vector<double> noise_by_sample;  // of the first output
  metrics::IntegerTally integers;
  double busy_seconds = 0;  // inside `model`

  void add(const Tally& other) {
    samples += other.samples;
    agreeing += other.agreeing;
    drop.add(other.drop);
    classifier = classifier && other.classifier;
    model.add(other.model);
    reference.add(other.reference);
    integers.add(other.integers);
    busy_seconds += other.busy_seconds;
    noise_by_sample.insert(noise_by_sample.end(), other.noise_by_sample.begin(),
                           other.noise_by_sample.end());
    differences.resize(std::max(differences.size(), other.differences.size()));
    for (size_t i = 0; i < other.differences.size(); ++i) differences[i].add(other.differences[i]);
  }
};

// Names and declared dimensions of outputs.
std::vector<Value> outputs_of(const Model& model) {
  std::vector<Value> outputs;
  for (ValueId v : model.graph.outputs) outputs.push_back(model.graph.value(v));
  return outputs;
}

std::vector<std::string> names_of(const std::vector<Value>& values) {
  std::vector<std::string> names;
  for (const Value& value : values) names.push_back(value.name);
  return names;
}

// Whether the data, not the model, makes the outputs differ in dimensions.
bool depends_on_data(const Value& declared, const Shape& a, const Shape& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (a[i] != b[i] && declared.shape && i < declared.shape->size() && (*declared.shape)[i] >= 0)
      return false;
  return true;
}

void check_label(int64_t label, const Scores& scores, int64_t sample) {
  if (label >= 0 && label < scores.classes) return;
  throw_data("QT-E442", cat("the label ", label, " of sample ", sample, " is none of the model's ",
                            scores.classes, " classes"));
}

// Top-1, top-5 and agreement of one chunk.
void tally_classes(Tally& tally, const Batch& batch, const Tensor& output,
                   const Tensor* reference) {
  const Scores have = metrics::scores_of(output, batch.samples);
  const Scores want = reference ? metrics::scores_of(*reference, batch.samples) : Scores();
  tally.classifier = have.classes > 0 && (!reference || want.classes == have.classes);
  if (!tally.classifier) return;
  for (int64_t s = 0; s < batch.samples; ++s) {
    if (reference) {
      tally.agreeing += metrics::arg_max(have.row(s)) == metrics::arg_max(want.row(s));
      tally.drop.add_noise(want.row(s), have.row(s));
    }
    if (batch.labels.empty()) continue;
    const int64_t label = batch.labels[static_cast<size_t>(s)];
    check_label(label, have, batch.first_sample + s);
    tally.model.count(have.row(s), label);
    if (reference) tally.reference.count(want.row(s), label);
  }
}

void tally_differences(Tally& tally, const std::vector<Value>& outputs,
                       const std::vector<Tensor>& have, const std::vector<Tensor>& want) {
  if (have.size() != want.size()) {
    throw_usage("QT-E160",
                cat("the model has ", have.size(), " outputs, the reference ", want.size()));
  }
  tally.differences.resize(have.size());
  for (size_t i = 0; i < have.size(); ++i) {
    const bool resized = have[i].shape() != want[i].shape();
    if (resized && !depends_on_data(outputs[i], have[i].shape(), want[i].shape())) {
      throw_usage("QT-E160",
                  cat("output '", printable(outputs[i].name), "' is ", shape_text(have[i].shape()),
                      " in the model and ", shape_text(want[i].shape()), " in the reference"));
    }
    if (!metrics::is_numeric(have[i].dtype()) || !metrics::is_numeric(want[i].dtype())) continue;
    tally.differences[i] = resized ? metrics::nothing_in_common(want[i], tally.samples)
                                   : metrics::difference(have[i], want[i]);
    if (i > 0) continue;
    tally.noise_by_sample = resized ? std::vector<double>{tally.differences[0].noise}
                                    : metrics::noise_by_sample(have[0], want[0], tally.samples);
  }
}

// Runs chunks; every call is one thread's.
class Runner {
 public:
  Runner(const Model& model, const Model* reference,
         const std::optional<metrics::IntegerChecks>& checks)
      : executor_(model, {.observe = checks ? checks->observed() : std::set<std::string>()}),
        checks_(checks ? &*checks : nullptr),
        outputs_(outputs_of(model)) {
    if (reference) reference_.emplace(*reference);
  }

  Tally run(const Batch& batch, std::vector<Tensor>& outputs) const {
    Tally tally;
    tally.samples = batch.samples;
    const double begin = now_seconds();
    outputs =
        checks_ ? checks_->run(executor_, batch.feed, tally.integers) : executor_.run(batch.feed);
    tally.busy_seconds = now_seconds() - begin;
    std::vector<Tensor> wanted;
    if (reference_) {
      wanted = reference_->run(batch.feed);
      tally_differences(tally, outputs_, outputs, wanted);
    }
    if (outputs.empty())
      tally.classifier = false;
    else
      tally_classes(tally, batch, outputs[0], reference_ ? &wanted[0] : nullptr);
    return tally;
  }

  std::vector<std::string> names() const { return names_of(outputs_); }

 private:
  Executor executor_;
  const metrics::IntegerChecks* checks_;
  std::optional<Executor> reference_;
  std::vector<Value> outputs_;
};

double share(int64_t part, int64_t all) {
  return all ? static_cast<double>(part) / static_cast<double>(all) : 0;
}

void fill_quality(Evaluation& e, const Tally& t, const std::vector<std::string>& names) {
  e.samples = t.samples;
  e.classifier = t.classifier && t.samples > 0;
  e.labelled = e.labelled && e.classifier;
  if (e.labelled) {
    e.top1 = share(t.model.top1, t.samples);
    e.top5 = share(t.model.top5, t.samples);
  }
  if (!e.has_reference) return;
  if (e.labelled) {
    e.reference_top1 = share(t.reference.top1, t.samples);
    e.reference_top5 = share(t.reference.top5, t.samples);
  }
  if (e.classifier) {
    e.agreement = share(t.agreeing, t.samples);
    e.agreement_ci = wilson(t.agreeing, t.samples);
  }
  for (size_t i = 0; i < t.differences.size(); ++i) {
    const Difference& d = t.differences[i];
    e.outputs.push_back({names[i], d.sqnr_db(), d.cosine(), d.max_error, d.resized});
  }
  if (!e.outputs.empty()) e.sqnr_db = e.outputs[0].sqnr_db;
  e.noise_by_sample = t.noise_by_sample;
}

// The model as the asked kernels run it; says which layers they are.
Model runnable(const Model& model, Kernels kernels, Evaluation& e,
               std::optional<metrics::IntegerChecks>& checks) {
  if (kernels != Kernels::kInteger && kernels != Kernels::kIntegerOnly) return model;
  Lowered lowered = lower_qdq(model);
  if (kernels == Kernels::kIntegerOnly) {
    IntegerOnly integers = integer_only(model);
    checks.emplace(integers, lowered.model);
    lowered.model = std::move(integers.model);
  }
  e.layers = std::move(lowered.layers);
  for (const LayerStatus& layer : e.layers) {
    if (layer.integer)
      ++e.integer_layers;
    else
      e.float_layers.emplace_back(layer.name, layer.reason);
  }
  if (saturates_u8s8()) {
    for (const SaturatingLayer& s : saturating_layers(lowered.model)) {
      e.saturating_layers.push_back(cat(s.name, " (", s.rows, " of ", s.of, " rows)"));
    }
  }
  return std::move(lowered.model);
}

}  // namespace

Vicinity::Vicinity(const Model& reference, const SampleSource& source, int threads)
    : scores_(std::make_shared<const metrics::DropEstimate>(
          metrics::vicinity(reference, source, threads))) {}

Evaluation evaluate(const Model& model, const Model* reference, const SampleSource& source,
                    const EvaluateOptions& options) {
  const double begin = now_seconds();
  Evaluation e;
  e.has_reference = reference != nullptr;
  e.labelled = source.has_labels();
  std::optional<metrics::IntegerChecks> checks;
  const Model run = runnable(model, options.kernels, e, checks);
  const Runner runner(run, reference, checks);
  const bool save = !options.save_outputs.empty();
  OutputFile file(runner.names());
  Tally total;
  Progress progress("eval", source.samples(), "samples");
  const int threads = std::max(1, options.threads);
  parallel_ordered(threads, source.chunk_count(), [&](int64_t index, int) -> std::function<void()> {
    const Batch batch = source.chunk(index);
    std::vector<Tensor> outputs;
    Tally tally = runner.run(batch, outputs);
    progress.advance(batch.samples);
    if (!save) outputs.clear();
    return [&total, &file, tally = std::move(tally), outputs = std::move(outputs)] {
      total.add(tally);
      file.add(outputs);
    };
  });
  if (reference && total.classifier && options.vicinity) {
    total.drop.add(options.vicinity->scores());
    const metrics::DropEstimate::Result drop = total.drop.result();
    e.expected_drop = drop.drop;
    e.expected_drop_error = drop.error;
  }
  fill_quality(e, total, runner.names());
  if (checks) e.integer_only = checks->result(total.integers);
  if (save) file.write(options.save_outputs);
  e.seconds = now_seconds() - begin;
  if (total.busy_seconds > 0)
    e.samples_per_second = static_cast<double>(total.samples) * threads / total.busy_seconds;
  return e;
}

}  // namespace qtool
