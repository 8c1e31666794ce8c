// Fitting in steps of one fixed order. What a step does depends on what the network is before it, never on time; it is
// kept where held-out outputs come closer to the float network's.
#pragma once

#include "quantize/fit/acceptance.hpp"
#include "quantize/fit/reconstruct.hpp"

namespace qtool::qdq {

// A network on its way.
struct FitState {
  Candidate best;
  std::set<std::string> kept = {};  // layers of which some fit was kept
  double noise = 0;                 // held-out distance of `best`
  bool fitted = false;              // weights, not biases alone
  std::vector<FitStep> done = {}, next = {};
  int64_t rounds = 0;      // of steps that no plan asks for: see FitSteps::more()
  double round_noise = 0;  // when the last of them began
};

// What all steps work with; all of it outlives them.
struct FitContext {
  const Model& model;
  const Sites& sites;
  const QuantPlan& plan;
  const CalibrationTable& table;
  const ActivationParams& activations;
  const LayerResults& stored;  // what else becomes codes
  const LayerResults& plain;   // every layer rounded by itself
  const SampleSource& data;    // the first fit_chunks of which layers are fitted to
  int64_t fit_chunks;
  int tuning_rounds;
  const QuantizeOptions& options;
  std::function<double(const Candidate&, Distance)> distance;  // on held-out data
};

class FitSteps {
 public:
  explicit FitSteps(const FitContext& context);
  // Layers that steps may change.
  bool any() const { return !walked_.empty(); }
  // The first step: all layers in sequence, against rounding. Others follow where the plan asks for them.
  FitState begin();
  // Takes the first of state.next.
  void take(FitState& state);
  // Puts further steps into state.next where they may gain; returns whether there are any. First descents over the
  // widths, then rounds: scales and biases together, then one by one the blocks that make most of the held-out noise;
  // until a round gains next to nothing.
  bool more(FitState& state);

 private:
  // A plan for all layers in sequence, and what is new in it beside the one before.
  struct Sequence {
    std::string name;
    QuantPlan plan;
  };
  LayerResults in_sequence(const Sequence& sequence) const;
  // Takes what brings held-out outputs closer into state.best.
  std::set<std::string> accepted(const Candidate& proposal, const std::vector<Unit>& units,
                                 int trials, FitState& state, FitStep& step) const;
  void fit_layers(FitState& state, FitStep& step);
  void fit_block(FitState& state, FitStep& step);
  void tune(FitState& state, FitStep& step);
  bool asks_for(const std::string& optimizer) const;
  // Those whose blocks the plan fits by it; all that are fitted where it does not ask for it.
  LayerResults layers_of(const std::string& optimizer) const;
  std::vector<FitStep> noisy_blocks(const FitState& state) const;

  const FitContext& c_;
  LayerResults walked_,
      others_;  // layers of the main graph; what stands inside bodies or is stored
  std::vector<Unit> units_;
  std::vector<Sequence> sequences_;
  size_t asked_ = 0;                     // sequences that the plan asks for
  std::set<std::string> impossible_;     // steps for which an operator has no gradient
  std::optional<Reconstruction> sweep_;  // over blocks, as far as it has come
  std::string sweep_of_;
  size_t passed_ = 0;
};

// What steps have made, in a file; `key` says what it depends on.
void save_steps(const FitState& state, const std::string& key, const std::filesystem::path& path);
// Nothing where there is no such file, or one of another key; a damaged one is a warning. `start`: the network that
// fitting begins with.
std::optional<FitState> load_steps(const std::string& key, const std::filesystem::path& path,
                                   const Candidate& start);

}  // namespace qtool::qdq
