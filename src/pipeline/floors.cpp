#include "pipeline/floors.hpp"

#include <algorithm>

namespace qtool::pipeline {
namespace {

// Some neighbouring chunks of a source.
class Chunks : public SampleSource {
 public:
  Chunks(const SampleSource& source, int64_t first, int64_t last)
      : source_(source), first_(first), last_(last) {
    for (int64_t c = first; c < last; ++c) samples_ += source.samples_in(c);
  }
  int64_t samples() const override { return samples_; }
  int64_t chunk_count() const override { return last_ - first_; }
  Batch chunk(int64_t index) const override { return source_.chunk(first_ + index); }
  int64_t samples_in(int64_t chunk_index) const override {
    return source_.samples_in(first_ + chunk_index);
  }
  bool has_labels() const override { return source_.has_labels(); }
  std::string describe() const override { return source_.describe(); }

 private:
  const SampleSource& source_;
  int64_t first_, last_, samples_ = 0;
};

// Chunks that plans are fitted to; the others measure them.
int64_t fitted_chunks(const SampleSource& source) {
  const int64_t all = source.chunk_count();
  return all - std::max<int64_t>(1, all / 4);
}

std::string described(const Evaluation& m) {
  std::string text = cat("SQNR ", fixed(m.sqnr_db, 1), " dB");
  if (m.classifier) text += cat(", agreement ", fixed(100 * m.agreement, 2), " %");
  if (m.expected_drop) {
    text += cat(", expected drop ", fixed(100 * *m.expected_drop, 2), " ± ",
                fixed(100 * m.expected_drop_error, 2), " %");
  }
  return cat(text, " on ", m.samples, " samples");
}

}  // namespace

Assignment FloorSearch::plan_of(double bits) const {
  AssignOptions narrowed = options;
  std::erase_if(narrowed.limits, is_quality_floor);
  narrowed.limits.push_back({Limit::kBits, bits, ""});
  return assign(prepared.model, prepared.sites, scores, narrowed);
}

Evaluation FloorSearch::measure(const QuantPlan& plan) const {
  const int64_t fitted = fitted_chunks(source);
  const Chunks fit(source, 0, fitted), rest(source, fitted, source.chunk_count());
  const Quantized q = quantize_model(prepared.model, prepared.sites, plan, table, &fit, quantizing);
  return evaluate(q.model, &prepared.model, rest,
                  {.threads = quantizing.threads, .vicinity = vicinity ? &*vicinity : nullptr});
}

bool FloorSearch::keeps_floors(const Evaluation& m) const {
  return std::all_of(options.limits.begin(), options.limits.end(), [&](const Limit& limit) {
    if (!is_quality_floor(limit)) return true;
    if (limit.kind == Limit::kSqnr) return m.sqnr_db >= limit.value;
    if (!m.classifier) {
      throw Error(ErrorKind::kUsage, "QT-E138",
                  cat("the model is no classifier: ", limit_text(limit), " cannot be measured"))
          .hint("give a floor in decibels, for example --budget sqnr=20dB");
    }
    // On the safe side: a network that is sure of its own training pictures loses more on others.
    return limit.kind == Limit::kDrop ? *m.expected_drop + m.expected_drop_error <= limit.value
                                      : m.agreement >= limit.value;
  });
}

Assignment FloorSearch::cheapest(std::optional<Evaluation>& measured) const {
  if (source.chunk_count() < 2) {
    throw Error(ErrorKind::kData, "QT-E462", "a quality floor needs samples to measure it on")
        .hint("calibrate with more data: a quarter of it is held out");
  }
  // In eighths of a bit: finer steps are below what a few samples can tell apart.
  constexpr int kSteps = 8;
  const auto [low, high] =
      std::minmax_element(request.weight_bits.begin(), request.weight_bits.end());
  int fails = *low * kSteps - 1, keeps = std::min(*high, 8) * kSteps;
  Assignment best = plan_of(static_cast<double>(keeps) / kSteps);
  measured = measure(best.plan);
  log(LogLevel::kInfo,
      cat("floor: ", fixed(best.cost.mean_weight_bits, 2), " bits: ", described(*measured)));
  if (!keeps_floors(*measured)) {
    throw Error(ErrorKind::kInfeasible, "QT-E503",
                cat("no plan keeps the quality floor: the widest has ", described(*measured)))
        .hint("lower the floor, raise the other limits, or calibrate with more data");
  }
  while (keeps - fails > 1) {
    const int middle = (keeps + fails) / 2;
    Assignment plan;
    try {
      plan = plan_of(static_cast<double>(middle) / kSteps);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInfeasible) throw;
      fails = middle;  // what is kept by --keep needs more already
      continue;
    }
    const Evaluation now = measure(plan.plan);
    const bool good = keeps_floors(now);
    log(LogLevel::kInfo, cat("floor: ", fixed(plan.cost.mean_weight_bits, 2),
                             " bits: ", described(now), good ? ", kept" : ", not enough"));
    if (!good) {
      fails = middle;
      continue;
    }
    keeps = middle;
    best = std::move(plan);
    measured = now;
  }
  return best;
}

}  // namespace qtool::pipeline
