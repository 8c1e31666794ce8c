// What a search chooses from, and what its choices do together (layer score).
//
//   WeightCandidates c = weight_candidates(prepared, sites, table, *source, {.widths = {2, 3, 4}});
//   PlanProbe probe(prepared, sites, table, c, *source, 0, 4, threads);
//   double noise = probe.measure(plan).noise;      // of the whole network under the plan
#pragma once

#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "qtool/quantize.hpp"

namespace qtool {

// A layer's weight at every width, as the optimiser leaves it in the float network.
struct LayerCandidates {
  std::vector<WeightCodes> codes;  // one a width; without codes where the width is float
  // [width][output channel]: what the bias takes over so that the float network's mean output stays;
  // empty where the operator has no bias input or the optimiser no moments.
  std::vector<std::vector<float>> bias_shift;
};
struct WeightCandidates {
  std::vector<Width> widths;
  std::map<std::string, LayerCandidates> layers;  // by name; layers that can be quantized
};

struct CandidateOptions {
  std::vector<Width> widths;
  std::string optimizer = "rtn";
  int64_t samples = 64;  // of the calibration data, for optimisers that need moments
  int threads = 1;
  bool power_of_two_scales = false;
};
// All widths of a layer are solved on one Gram matrix and one factor, uniform ones together. Codebooks that layers
// share are fitted to all of them. Optimisers that need moments are
// stood in for by rounding where the layer is no column product.
WeightCandidates weight_candidates(const Model& model, const Sites& sites,
                                   const CalibrationTable& table, const SampleSource& source,
                                   const CandidateOptions& options);

// The candidates of some of the widths, in this order.
WeightCandidates some_widths(const WeightCandidates& candidates, const std::vector<Width>& widths);

// The candidates of these widths in this order, each from the first of the two that has it.
WeightCandidates joined_candidates(const WeightCandidates& first, const WeightCandidates& second,
                                   const std::vector<Width>& widths);

// Candidates in uniform numbers, kept under what they depend on besides their widths; more than a gigabyte is not
// kept. Nothing where the file is not there, damaged or of another key.
void save_candidates(const WeightCandidates& candidates, const std::string& key,
                     const std::filesystem::path& path);
std::optional<WeightCandidates> load_candidates(const std::string& key,
                                                const std::filesystem::path& path);

// The weight of a layer as chosen, filters of several widths put together from candidates, and the shift of its
// bias. Throws Error{kUsage, QT-E131} for a width without candidate.
struct ChosenWeight {
  WeightCodes codes;
  std::vector<float> bias_shift;  // one an output channel, or empty
};
ChosenWeight chosen_weight(const WeightCandidates& candidates, const LayerSite& site,
                           const LayerChoice& choice);

// Whole plans on some chunks of data: candidates' weights and the plan's activation quantizers in the
// exported form, against the float network. An estimate of what quantize makes of the plan, for the
// price of one run: there layers are fitted again, one after another.
class PlanProbe {
 public:
  struct Result {
    double noise = 0;      // relative noise power of the outputs, as scores have it
    double agreement = 0;  // share of samples with the float network's largest output
    int64_t samples = 0;
    std::vector<double> by_sample = {};  // parts of the noise, whose mean it is
  };
  // Runs the float network over chunks [first, first + chunks). Keeps references to its arguments.
  PlanProbe(const Model& model, const Sites& sites, const CalibrationTable& table,
            const WeightCandidates& candidates, const SampleSource& source, int64_t first,
            int64_t chunks, int threads);
  ~PlanProbe();
  // On the first chunks that hold so many samples; does not depend on `threads`. One call at a time.
  Result measure(const QuantPlan& plan,
                 int64_t samples = std::numeric_limits<int64_t>::max()) const;

 private:
  Batch batch(int64_t chunk) const;

  const Model& model_;
  const Sites& sites_;
  const CalibrationTable& table_;
  const WeightCandidates& candidates_;
  const SampleSource& source_;
  int64_t first_;
  int threads_;
  std::vector<Batch> batches_;               // of the chunks, or none where they are large
  std::vector<std::vector<Tensor>> wanted_;  // [chunk][output]
  struct Known;
  const std::unique_ptr<Known> known_;  // activation quantizers so far
};

}  // namespace qtool
