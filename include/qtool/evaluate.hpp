// Evaluate layer: what a written model is worth against the float one, on the kernels that will run.
//
//   Evaluation e = evaluate(q_model, &float_model, *source, {.kernels = Kernels::kInteger});
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "qtool/data.hpp"
#include "qtool/exec.hpp"
#include "qtool/passes.hpp"

namespace qtool {

namespace metrics {
class DropEstimate;
}

// How near answers are to where they change: what the float network makes of samples with parts of others mixed in
// (evaluate/expected_drop.hpp). Made once, it tells the expected drop of any number of models.
class Vicinity {
 public:
  Vicinity(const Model& reference, const SampleSource& source, int threads);
  const metrics::DropEstimate& scores() const { return *scores_; }

 private:
  std::shared_ptr<const metrics::DropEstimate> scores_;
};

enum class Kernels {
  kInteger,      // codes, requantized by float scales, as runtimes do
  kIntegerOnly,  // codes and whole numbers alone, see integer_only()
  kSimulated,
  kFloat,
};

struct EvaluateOptions {
  Kernels kernels = Kernels::kInteger;
  int threads = 1;
  std::filesystem::path save_outputs = {};  // .npz of every output, samples stacked; empty: none
  // Tells the expected drop, also where `model` is fitted to its samples; nullptr: not asked for.
  const Vicinity* vicinity = nullptr;
};

struct OutputMetrics {
  std::string name;
  double sqnr_db = 0, cosine = 0, max_abs_error = 0;
  // Samples whose output has other dimensions than the reference's, where these depend on the data (boxes found,
  // words spoken); the whole output of the reference is then noise.
  int64_t resized = 0;
};

// What integers alone took.
struct IntegerArithmetic {
  struct Layer {
    std::string name;
    int bits = 0, bound_bits = 0;  // that its sums took, and may take whatever it reads
  };
  std::vector<Layer> accumulators;
  // Codes that all requantizations made; those unlike the codes that float scales make of the same inputs.
  int64_t codes = 0, different = 0, largest_difference = 0;
  double multiplier_error = 0;           // the largest relative one
  std::vector<std::string> float_nodes;  // around the integer network
  const Layer* widest() const;           // nullptr: no layer
};

struct Evaluation {
  int64_t samples = 0;
  // Classifier: the first output is [samples, classes ≥ 2], dimensions of 1 left out.
  bool labelled = false, classifier = false;
  double top1 = 0, top5 = 0;  // with labels
  double reference_top1 = 0, reference_top5 = 0;
  bool has_reference = false;
  double agreement = 0;                          // of the arg max with the reference
  std::pair<double, double> agreement_ci{0, 0};  // Wilson 95 %
  // Top-1 that is lost, as far as can be told without labels (evaluate/expected_drop.hpp), where asked for.
  std::optional<double> expected_drop = {};
  double expected_drop_error = 0;  // its standard error over the samples
  double sqnr_db = 0;  // of the first output; +inf when equal, −inf when it is not a number
  // Σ (have − want)² of the first output, one a sample where its first axis is theirs, else one a chunk.
  std::vector<double> noise_by_sample = {};
  std::vector<OutputMetrics> outputs;
  std::vector<LayerStatus> layers;  // integer or why not; of integer kernels only
  int64_t integer_layers = 0;
  std::vector<std::pair<std::string, std::string>> float_layers;
  std::vector<std::string>
      saturating_layers;  // "conv1 (3 of 16 rows)": u8×s8 pair sums may saturate on this CPU
  std::optional<IntegerArithmetic> integer_only = {};  // of those kernels
  double seconds = 0;                                  // of the whole call
  double samples_per_second = 0;                       // of `model` alone
};

// Runs `model` (and `reference` when given, which takes the same inputs) over the data, chunk by chunk, side
// by side; the numbers do not depend on the number of threads. Outputs are compared by position.
// Throws Error{kUsage, QT-E160} when the outputs of the two differ in shape, Error{kData, QT-E442} for a
// label that is no class.
Evaluation evaluate(const Model& model, const Model* reference, const SampleSource& source,
                    const EvaluateOptions& options);

// Wilson score interval, 95 %.
std::pair<double, double> wilson(int64_t hits, int64_t trials);

// One ONNX test case: folder with model.onnx and test_data_set_*/.
struct CaseResult {
  std::string name, reason;
  enum class Status { kPassed, kFailed, kUnsupported } status = Status::kPassed;
  double max_abs_error = 0;
};
// |have − want| ≤ atol + rtol · |want| for floats, as numpy.allclose; the relative tolerance is that of
// ONNX's own test runner. float16 and bfloat16 get at least two units in the last place; integers, 8- and 4-bit floats and strings must be equal.
struct VerifyOptions {
  double rtol = 1e-3, atol = 1e-6;
  Backend backend = Backend::kOneDnn;
  double seconds = 0;  // that one case may take; 0: no limit
  int64_t bytes = 0;   // that its tensors may take at once; 0: no limit
};
// Never throws for what the case holds: an error becomes its status and reason.
CaseResult verify_case(const std::filesystem::path& folder, const VerifyOptions& options);

}  // namespace qtool
