// The quantized network as a float graph whose row scales, biases and activation scales are inputs, so
// that they have gradients: codes stay what they are.
#pragma once

#include "quantize/internal.hpp"

namespace qtool::qdq {

class TunableNetwork {
 public:
  TunableNetwork(const Model& model, const Sites& sites, const QuantPlan& plan,
                 const ActivationParams& activations, const LayerResults& layers);

  // One tensor that may change, fed under `name`; where it starts, the network is that of the layers given.
  struct Knob {
    enum class Kind { kGain, kShift, kScale };  // of rows, of biases, of an activation
    Kind kind;
    std::string name;
    std::string of;  // the layer, or the activation that others share parameters with
    Tensor start;
    bool dense;  // channels are the last axis of the layer's output, else axis 1
  };
  const Model& model() const { return model_; }
  const std::vector<Knob>& knobs() const { return knobs_; }
  // The layer's output in front of its gain and shift.
  const std::map<std::string, std::string>& raw_outputs() const { return raw_outputs_; }

  // What the knobs make of layers and activations; `values` as knobs().
  void apply(std::span<const Tensor> values, LayerResults& layers,
             ActivationParams& activations) const;

 private:
  void add_layer(const LayerSite& site, const LayerResult& layer, bool shared);
  void add_activation(const ActivationSite& site, const QParams& p);
  ValueId add_knob(Knob::Kind kind, const std::string& of, Tensor start, bool dense = false);

  Model model_;
  std::vector<Knob> knobs_;
  std::map<std::string, ValueId> scales_;            // knobs by activation
  std::map<std::string, std::string> raw_outputs_;   // by layer
  std::map<std::string, std::string> scale_leader_;  // by activation
};

}  // namespace qtool::qdq
