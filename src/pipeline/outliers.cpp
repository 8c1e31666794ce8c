// Edits of what dense layers read, kept where the network in 8 bits is really closer to float.
#include <cmath>

#include "pipeline/stages.hpp"
#include "quantize/internal.hpp"

namespace qtool::pipeline {
namespace {

constexpr int64_t kSamples = 32;
// Of the whole network: edits may take time at run time.
constexpr double kLeastGainDb = 0.5;

// Of all layers rounded to 8 bits, at the outputs for the reference's chunks.
double noise_in_8_bits(const Model& model, const SampleSource& source,
                       const qdq::OutputReference& reference, int threads) {
  const Observed o = observe(model, *targets().front(), Spread(source, kSamples), threads);
  QuantizeOptions options;
  options.threads = threads;
  const Quantized q =
      quantize_model(model, o.sites, uniform_plan(o.sites, {8, 8}), o.table, nullptr, options);
  return reference.distance(q.model, qdq::Distance::kNoise);
}

}  // namespace

std::vector<ChannelEdit> edits_of(const std::vector<EditedValue>& values) {
  std::vector<ChannelEdit> edits;
  for (const EditedValue& value : values) edits.push_back(value.edit);
  return edits;
}

std::vector<EditedValue> choose_outlier_edits(const Model& prepared, const SampleSource& source,
                                              const std::vector<std::string>& methods,
                                              int threads) {
  const std::vector<EditedValue> found =
      ease_outliers(prepared, dense_inputs(prepared), Spread(source, kSamples),
                    find_outlier_methods(methods), threads);
  if (found.empty()) {
    log(LogLevel::kInfo, "no dense layer reads outliers that an edit of channels would ease");
    return {};
  }
  const int64_t chunks = source.chunk_count();
  int64_t first = chunks;
  for (int64_t samples = 0; first > 0 && samples < kSamples;) samples += source.samples_in(--first);
  const qdq::OutputReference reference(prepared, source, first, chunks, threads);
  const double before = noise_in_8_bits(prepared, source, reference, threads),
               after = noise_in_8_bits(edit_channels(prepared, edits_of(found)), source, reference,
                                       threads);
  const bool worth = 10 * std::log10(before / after) >= kLeastGainDb;
  log(LogLevel::kInfo, cat("outliers of ", found.size(), " values eased: noise in 8 bits ", before,
                           " before, ", after, " after", worth ? "" : ", which is not worth it"));
  return worth ? found : std::vector<EditedValue>{};
}

}  // namespace qtool::pipeline
