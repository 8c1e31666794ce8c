// Pipeline layer: the stages in order, one call a stage, and the workspace that carries artifacts
// from one command to the next.
//
//   Calibrated c = run_calibrate({.model = "net.onnx", .data = {"images/"}});
//   Searched s = run_search(open_workspace(), {.budget = "4.5bits"});
//   QuantizeReport q = run_quantize(open_workspace(), {.output = "net.q.onnx"});
//   Evaluation e = run_eval({.model = "net.q.onnx"});
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "qtool/assign.hpp"
#include "qtool/calibrate.hpp"
#include "qtool/data.hpp"
#include "qtool/evaluate.hpp"
#include "qtool/output_types.hpp"
#include "qtool/quantize.hpp"

namespace qtool {

// What calibrate remembers in `.qtool/workspace.json`.
struct Workspace {
  std::filesystem::path root;   // the folder itself
  std::filesystem::path model;  // absolute
  std::string fingerprint;
  std::vector<std::filesystem::path> data;  // absolute; empty: random data
  Preprocess preprocess;
  DataOptions data_options;
  int64_t random_samples = 0;
  uint64_t seed = 0;
  // That calibration chose; its statistics are of the edited model.
  std::vector<ChannelEdit> channel_edits;
  std::map<std::string, int64_t> ranks;  // of values, where only the data tells them
  std::set<std::string> unreached;       // values in bodies that no sample reached
  std::filesystem::path quantized;       // the last output of quantize; may be empty
  std::filesystem::path file(const std::string& name) const { return root / name; }
};
// `given`, or the nearest `.qtool` upward from the current directory. Throws Error{kUsage, QT-E140}.
Workspace open_workspace(const std::optional<std::filesystem::path>& given = std::nullopt);
void save_workspace(const Workspace& workspace);

struct Prepared {
  Model model;
  Sites sites;
  OutputTypes outputs;     // as the file has them
  int64_t file_bytes = 0;  // of the file and its external data
};
// The workspace's model, unchanged since calibration, as quantization sees it.
Prepared load_prepared(const Workspace& workspace, const std::string& target);

// Flags about data and threads that several commands share.
struct DataRequest {
  std::vector<std::filesystem::path> data;
  std::optional<std::filesystem::path> preprocess_file;  // else MODEL.json beside the model
  // Flags that override the sidecar's keys.
  std::optional<std::string> layout, channel_order, resize, interpolation, mean, std;
  std::optional<double> scale;
  std::optional<int64_t> resize_short_side, resize_height, pad_width_to, center_crop;
  bool grayscale = false;
  DataOptions options;
  int64_t random_samples = 0;
  uint64_t seed = 0;
};
// The model's preprocessing: sidecar, then flags.
Preprocess resolve_preprocess(const DataRequest& request, const std::filesystem::path& model);
std::vector<InputSpec> input_specs(const Model& model);
// The request's data. Inputs that it does not hold and that follow from the model are added to
// request.options.constants, with a warning.
std::unique_ptr<SampleSource> open_source(DataRequest& request, const Model& model);

struct CalibrateRequest {
  std::filesystem::path model;
  DataRequest data;
  std::optional<std::filesystem::path> workspace;
  int64_t synthetic_samples = 0;  // made from the model itself, in place of data
  bool equalize = true;           // scale channels where the model stays what it is, see equalize()
  std::vector<std::string> outliers =
      {};  // methods for what dense layers read, see ease_outliers()
  int threads = 1;
};
struct Calibrated {
  Workspace workspace;
  std::vector<EditedValue> equalized, eased;
  CalibrationTable table;
  std::string data;  // "500 pictures in calib_images"
  int64_t skipped = 0;
  double seconds = 0;
};
Calibrated run_calibrate(const CalibrateRequest& request);

struct PlanRequest {
  std::vector<std::string> budgets;  // joined with commas
  std::optional<std::string> uniform;
  std::vector<int> weight_bits = {2, 3, 4, 5, 6, 8};
  std::vector<int> activation_bits = {8};
  std::vector<std::string> keep;
  std::string score = "auto", solver = "auto", optimizer = "cd", range = "mse", target = "ort-cpu";
  std::string weight_scale = "channel", granularity = "layer", activation_mode = "static";
  std::vector<std::string> formats = {"uniform"};  // candidates; the one of a uniform plan
  Storage storage = Storage::kWidths;              // that sizes are counted in
  std::string export_style = "qdq";                // written into the plan
  bool signed_activations = false;
  bool narrow_branches = false;                // below 8 bits, too; see branches.hpp
  bool power_of_two_scales = false;            // of weights and activations; a profile has its own
  std::vector<std::string> equal_around = {};  // see ActivationStyle; a profile has its own
  bool keep_loud = true;      // uniform plans: what loud_activations finds stays in float
  int64_t score_samples = 0;  // 0: 64 to 256, as many as the network's size allows
  // fast: the solver's plan; balanced: that, or one of a few that is better beyond chance, their candidates'
  // weights run together on samples that scores did not see; best: those plans are quantized for real, and
  // prices found again around the best one where its noise is more than they add up to.
  std::string effort = "balanced";
  std::string profile;  // of a device: name or file; "" for none; asks for style and formats, too
  // Random plans to compare predicted with measured noise on; absent: 16, with `fast` none.
  std::optional<int64_t> verify_plans = {};
  int64_t frontier_points = 0;  // of the frontier of the first limit, see frontier(); 0: none
  int threads = 1;
};
struct Searched {
  Assignment assignment;
  Frontier frontier;  // without points: not asked for
  // Of the plan, on calibration samples that its weights were not fitted to.
  std::optional<Evaluation> measured;
  std::string measured_how;  // "" or what stands in for the quantized model
  int64_t plans_tried = 1;
  std::optional<Verification> verification;  // absent: not wanted, or there is nothing to choose
  std::optional<Rescoring> rescoring;
  ScoreTable scores;  // empty groups for a uniform plan
  bool uniform = false;
  double seconds = 0;
};
Searched run_search(const Workspace& workspace, const PlanRequest& request);

struct QuantizeRequest {
  std::filesystem::path output;     // empty: `<model>.q.onnx` in the current directory
  std::optional<PlanRequest> plan;  // a new plan; else plan.json, else uniform w8a8
  std::string export_style = {};    // empty: the plan's
  std::string effort = "balanced";  // best: fitted layers' scales and biases are tuned together
  // Further steps of fitting while they gain, see QuantizeOptions: for so many seconds from the start, or until so many
  // are done; what they make is kept in the workspace. 0: none of either.
  double seconds = 0;
  int64_t steps = 0;
  bool bias_correction = true;
  int threads = 1;
};
struct QuantizeReport {
  Quantized quantized;
  QuantPlan plan;
  std::filesystem::path output;
  int64_t size_bytes = 0, float_bytes = 0;
  double seconds = 0;
};
QuantizeReport run_quantize(const Workspace& workspace, const QuantizeRequest& request);

struct ProfileRequest {
  std::filesystem::path model;
  std::string target = "ort-cpu";
  double seconds = 1;  // to measure each of the two networks for, at least
  int threads = 1;     // inside one run
};
struct Profiled {
  DeviceProfile profile;
  double float_ms = 0, integer_ms = 0;  // whole runs, measured without timing their steps
};
// Times of every layer on this machine, in float and in 8 bits, one sample at a time, for latency limits.
Profiled run_profile(const ProfileRequest& request);

struct EvalRequest {
  std::optional<std::filesystem::path> model;      // else the workspace's quantized model
  std::optional<std::filesystem::path> reference;  // else the workspace's float model
  std::optional<std::filesystem::path> workspace;
  DataRequest data;  // empty data: the sidecar's test set, else the calibration data
  EvaluateOptions options;
};
struct EvalReport {
  Evaluation evaluation;
  std::filesystem::path model, reference;
  std::string data;
  int64_t model_bytes = 0;
};
EvalReport run_eval(const EvalRequest& request);

}  // namespace qtool
