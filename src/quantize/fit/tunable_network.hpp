// The quantized network as a float graph whose row scales, biases and activation scales are inputs, so
// that they have gradients: codes stay what they are, but for layers whose real weights are inputs, too.
#pragma once

#include "quantize/internal.hpp"

namespace qtool::qdq {

class TunableNetwork {
 public:
  // `open`: layers whose weights are inputs, but for weights that several layers share. Throws Unsupported (QT-E320)
  // for layers inside bodies.
  TunableNetwork(const Model& model, const Sites& sites, const QuantPlan& plan,
                 const ActivationParams& activations, const LayerResults& layers,
                 const std::set<std::string>& open = {});

  // One tensor that may change, fed under `name`; where it starts, the network is that of the layers given.
  struct Knob {
    enum class Kind { kGain, kShift, kScale, kWeight };  // of rows, of biases, of an activation
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

  // What the knobs make of layers and activations, weights left out; `values` as knobs().
  void apply(std::span<const Tensor> values, LayerResults& layers,
             ActivationParams& activations) const;

 private:
  void add_layer(const LayerSite& site, const LayerResult& layer, bool shared, bool open);
  void add_activation(const ActivationSite& site, const ActivationCodes& codes);
  void round(const std::string& name, ValueId from, ValueId to, ValueId scale, const QParams& p);
  ValueId add_knob(Knob::Kind kind, const std::string& of, Tensor start, bool dense = false);

  Model model_;
  std::vector<Knob> knobs_;
  std::map<std::string, ValueId> scales_;            // knobs by activation
  std::map<std::string, std::string> raw_outputs_;   // by layer
  std::map<std::string, std::string> scale_leader_;  // by activation
};

}  // namespace qtool::qdq
