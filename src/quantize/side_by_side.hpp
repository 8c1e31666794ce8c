// The float and the quantized network, run side by side over chunks of data, layer by layer: every
// layer is optimised on the inputs that the quantized layers before it leave, and no prefix runs twice.
#pragma once

#include "qtool/exec.hpp"
#include "quantize/moments.hpp"

namespace qtool::qdq {

class SideBySide {
 public:
  // `quantized`: activations quantized, weights and biases still float initializers of their names.
  // Both networks' values stay under `memory` bytes: fewer chunks are taken where they would not.
  SideBySide(const Model& reference, const Model& quantized,
             const std::vector<const LayerSite*>& layers, const SampleSource& source,
             int64_t chunks, int64_t memory, int threads);

  int64_t chunks() const { return static_cast<int64_t>(chunks_.size()); }
  // Runs both up to the layer's inputs.
  void advance_to(const LayerSite& site);
  // The layer's input in both, of one chunk; after advance_to.
  InputPair input(const LayerSite& site, int64_t chunk) const;
  // Runs both past the layer, the quantized one with this weight; returns what has to be added to its
  // bias so that the mean output is the float network's, per channel.
  std::vector<float> run_layer(const LayerSite& site, const Tensor& weight);
  // Adds to the quantized network's output of the layer that ran last.
  void shift_output(const LayerSite& site, const std::vector<float>& shift);

 private:
  struct Pair {
    State reference, quantized;
  };
  struct Names {
    std::string reference_input, quantized_input, reference_output, quantized_output;
  };
  const Names& names(const LayerSite& site) const { return names_.at(site.name); }

  std::map<std::string, Names> names_;
  int threads_;
  std::optional<Executor> reference_, quantized_;
  std::vector<Pair> chunks_;
};

}  // namespace qtool::qdq
