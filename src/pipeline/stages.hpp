// What the stages share: artifacts of a workspace, opened and checked.
#pragma once

#include <algorithm>

#include "qtool/pipeline.hpp"

namespace qtool::pipeline {

inline constexpr const char* kCalibration = "calibration.json";
inline constexpr const char* kScores = "scores.json";
inline constexpr const char* kCandidates = "candidates.npz";
inline constexpr const char* kPlan = "plan.json";
inline constexpr const char* kSteps = "steps.npz";

// Sites of a prepared model, what the data says of them, and which values in bodies no sample reached.
struct Observed {
  Sites sites;
  CalibrationTable table;
  std::set<std::string> unreached;
};
Observed observe(const Model& prepared, const Target& target, const SampleSource& source,
                 int threads);
// The workspace's data with the preprocessing that calibration used.
std::unique_ptr<SampleSource> source_of(const Workspace& workspace, const Model& model);
// Opens DATA. An input that it does not hold gets a number when the model itself says which one: no result
// depends on it, or it chooses a branch and only one choice runs on this data. That is said in a warning and
// added to options.constants. Throws Error{kData, QT-E432} otherwise.
std::unique_ptr<SampleSource> open_fed(const std::vector<std::filesystem::path>& paths,
                                       const Preprocess& preprocess, const Model& model,
                                       DataOptions& options);
CalibrationTable load_table(const Workspace& workspace);

// Chooses widths and writes the workspace's plan. `request`: checked(); `prepared`: for its target.
Searched choose_plan(const Workspace& workspace, const PlanRequest& request, Prepared prepared);

// "a,b,c".
std::string joined(const std::vector<std::string>& parts);

// A few chunks spread over the data that hold about so many samples.
class Spread : public SampleSource {
 public:
  Spread(const SampleSource& source, int64_t samples) : source_(source) {
    const int64_t each = std::max<int64_t>(1, source.samples() / std::max<int64_t>(1, all()));
    // Two at least: recordings begin with silence.
    count_ = std::min(all(), std::max<int64_t>(2, (samples + each - 1) / each));
  }
  int64_t samples() const override {
    return source_.samples() * count_ / std::max<int64_t>(1, all());
  }
  int64_t chunk_count() const override { return count_; }
  Batch chunk(int64_t index) const override {
    return source_.chunk((2 * index + 1) * all() / (2 * count_));
  }
  bool has_labels() const override { return source_.has_labels(); }
  std::string describe() const override { return source_.describe(); }

 private:
  int64_t all() const { return source_.chunk_count(); }
  const SampleSource& source_;
  int64_t count_ = 0;
};

std::vector<ChannelEdit> edits_of(const std::vector<EditedValue>& values);
// Edits by these outlier_methods(), where they take half a decibel off the noise of the network rounded to 8 bits.
std::vector<EditedValue> choose_outlier_edits(const Model& prepared, const SampleSource& source,
                                              const std::vector<std::string>& methods, int threads);

// Leaves in float what loud_activations finds, with a warning, unless --keep names a layer that reads it.
void keep_loud(const Prepared& p, const SampleSource& source, const CalibrationTable& table,
               const PlanRequest& request, QuantPlan& plan);

}  // namespace qtool::pipeline
