// Report layer: results as people read them (text, HTML) and as scripts read them (JSON, one object a
// command, "schema": "qtool.<command>/1"). Text and JSON of a command come from the same value.
//
//   EvalSummary s{.evaluation = e, .model = "net.q.onnx"};
//   std::fputs(json ? eval_json(s).c_str() : eval_text(s).c_str(), stdout);
//
// Names from models are made printable in text, escaped in JSON (pure ASCII) and in HTML. Numbers that are
// not finite are null in JSON. All texts end with a line feed.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "qtool/assign.hpp"
#include "qtool/calibrate.hpp"
#include "qtool/evaluate.hpp"
#include "qtool/quantize.hpp"

namespace qtool {

// --- inspect ------------------------------------------------------------------------------------
struct Inspection {
  struct Port {
    std::string name, type;
    Shape shape;
    bool shape_known = true;
  };
  std::string path, sha256;
  int64_t ir_version = 0, opset = 0;
  std::vector<Port> inputs, outputs;
  int64_t parameters = 0;                    // elements of all initializers
  int64_t macs = 0;                          // per sample, of layers with weights
  std::map<std::string, int64_t> operators;  // how many nodes of each type
  std::vector<LayerSite> layers;
  std::vector<NodeSite> nodes;
  std::vector<StoredSite> stored;
};
// `model` as loaded, `sites` of it prepared.
Inspection inspect(const Model& model, const Sites& sites);
std::string inspect_text(const Inspection& inspection);
std::string inspect_json(const Inspection& inspection);

// --- stages -------------------------------------------------------------------------------------
struct CalibrateSummary {
  const CalibrationTable& table;
  const std::vector<EditedValue>&equalized, &eased;
  std::string data, workspace;
  int64_t skipped = 0;
  double seconds = 0;
};
std::string calibrate_text(const CalibrateSummary& summary);
std::string calibrate_json(const CalibrateSummary& summary);

struct SearchSummary {
  const Assignment& assignment;
  const ScoreTable& scores;  // without groups for a uniform plan
  const Sites& sites;
  std::string plan_file;
  bool random_data = false;
  double seconds = 0;
  std::optional<Evaluation> measured = {};  // of the plan, where the search measured it
  std::string measured_how = {};            // what stood in for the quantized model; "" nothing
  int64_t plans_tried = 1;
  std::optional<Verification> verification = {};  // on random plans
  std::optional<Rescoring> rescoring = {};
  Frontier frontier = {};
};
std::string search_text(const SearchSummary& summary);
std::string search_json(const SearchSummary& summary);
// A frontier as a table with a line of names, and as a picture. `in_noise`: losses are relative noise power.
std::string frontier_csv(const Frontier& frontier, bool in_noise);
std::string frontier_svg(const Frontier& frontier, bool in_noise);

struct QuantizeSummary {
  const Quantized& quantized;
  const QuantPlan& plan;
  std::string output;
  int64_t size_bytes = 0, float_bytes = 0;
  bool random_data = false;
  double seconds = 0;
};
std::string quantize_text(const QuantizeSummary& summary);
std::string quantize_json(const QuantizeSummary& summary);

// --- eval and its gates -------------------------------------------------------------------------
// What CI demands; fractions in [0, 1], SQNR in dB, size in bytes.
struct Gates {
  std::optional<double> min_top1, max_drop, min_agreement, min_sqnr_db, max_size_bytes;
  std::optional<std::filesystem::path>
      baseline;  // an earlier `--json` of eval or auto: nothing may be worse
};
struct GateResult {
  std::string name;  // "--min-top1", "baseline agreement"
  double limit = 0, value = 0;
  bool passed = false;
  std::string unit;  // "%" (numbers are fractions), "dB", "B"
};
// Throws Error{kUsage, QT-E150} for a gate that this evaluation cannot judge (no labels, no reference) and
// QT-E151 for a baseline that is no result of eval or auto.
std::vector<GateResult> check_gates(const Gates& gates, const Evaluation& evaluation,
                                    int64_t size_bytes);
// "missed: --min-top1 97.0 % of at least 98.0 %"; "" when all hold.
std::string missed_gates(const std::vector<GateResult>& results);

struct EvalSummary {
  Evaluation evaluation;
  std::string model, reference, data;
  Kernels kernels = Kernels::kInteger;
  int64_t model_bytes = 0;
  bool random_data = false;
  std::vector<GateResult> gates = {};
};
std::string eval_text(const EvalSummary& summary);
std::string eval_json(const EvalSummary& summary);
// The workspace's evaluation.json: the same without what differs from run to run.
void save_evaluation(const EvalSummary& summary, const std::filesystem::path& path);
// Reads evaluation.json, or the output of `eval --json` or `auto --json`. Throws Error{kUsage, QT-E151}.
EvalSummary load_evaluation(const std::filesystem::path& path);
std::string kernels_name(Kernels kernels);
std::optional<Kernels> find_kernels(std::string_view name);

// --- the other commands -------------------------------------------------------------------------
std::string verify_text(const std::vector<CaseResult>& cases);
std::string verify_json(const std::vector<CaseResult>& cases, double seconds);

// Wall times of whole batches, in milliseconds.
struct Latency {
  double fastest = 0, median = 0, p90 = 0, p95 = 0, p99 = 0;
};
Latency latency_of(std::vector<double> milliseconds);  // nearest ranks; at least one time

struct BenchResult {
  std::string model, kernels;
  int64_t batch = 1, runs = 0;
  int threads = 1;
  int threads_used = 1;  // as many, or one where that is faster
  bool random_data = false;
  double samples_per_second = 0;
  double cpu_ms = 0;  // processor time of a batch, all threads
  Latency latency;
  MachinePeak peak;  // of `threads` threads
  std::vector<StepInfo>
      layers;  // milliseconds and work of one run of one thread's share of the batch
  // The same file and data in another engine.
  struct Rival {
    std::string name;
    double samples_per_second = 0;
    Latency latency;
  };
  std::optional<Rival> rival;
};
std::string bench_text(const BenchResult& result);
std::string bench_json(const BenchResult& result);

// Values of the same name in two models.
struct Comparison {
  struct Row {
    std::string name, op;
    double sqnr_db = 0, max_abs_error = 0;
    std::string note = {};  // why it could not be compared; empty
  };
  std::string a, b, data;
  int64_t samples = 0;
  double threshold_db = 0;  // below it values have diverged
  bool random_data = false;
  std::vector<Row> rows;  // in the order of `a`
  const Row* first_divergence() const;
};
std::string compare_text(const Comparison& comparison);
std::string compare_json(const Comparison& comparison);

// The network that `qtool narrow` wrote.
struct NarrowResult {
  std::string output;
  int weight_bits = 0;
  int64_t size_bytes = 0;
};
std::string narrow_text(const NarrowResult& result);
std::string narrow_json(const NarrowResult& result);

// What `qtool list` shows of one kind.
struct Listing {
  std::string kind;
  std::vector<std::pair<std::string, std::string>> rows;  // name, summary
  // What else there is to say of every row: keys, and [row][key].
  std::vector<std::string> keys = {};
  std::vector<std::vector<std::string>> facts = {};
};
std::string list_text(const std::vector<Listing>& listings);
std::string list_json(const std::vector<Listing>& listings);
// An SVG picture: the weights of a model's largest layer (nullptr: normal weights), channels at one size, and the
// numbers that each number format rounds a channel of them to. Throws Error{kModel, QT-E360} for a model without layers.
std::string format_plot(const Model* trained = nullptr);

// What a command with --dry-run would do: label and value of each step.
std::string dry_run_text(const std::vector<std::pair<std::string, std::string>>& steps);
std::string dry_run_json(std::string_view command,
                         const std::vector<std::pair<std::string, std::string>>& steps);
// One object of several: {"schema": "qtool.auto/1", "calibrate": {…}, …} from finished JSON texts.
std::string joined_json(std::string_view command,
                        const std::vector<std::pair<std::string, std::string>>& parts);
std::string error_json(const Error& error);

// --- report -------------------------------------------------------------------------------------
// A workspace's artifacts, those that are there.
struct WorkspaceReport {
  std::string model, fingerprint, data;
  Sites sites;
  std::optional<CalibrationTable> calibration;
  std::optional<QuantPlan> plan;
  PlanCost cost;  // of the plan
  std::optional<EvalSummary> evaluation;
};
std::string report_text(const WorkspaceReport& report);
std::string report_json(const WorkspaceReport& report, const std::string& output);
// One self-contained page without scripts.
std::string report_html(const WorkspaceReport& report);

}  // namespace qtool
