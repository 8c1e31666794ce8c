// The float and the quantized network, run side by side over chunks of data, layer by layer: every
// layer is optimised on the inputs that the quantized layers before it leave, and no prefix runs twice.
#pragma once

#include "qtool/exec.hpp"
#include "quantize/fit/active_shift.hpp"
#include "quantize/fit/channel_means.hpp"
#include "quantize/fit/moments.hpp"

namespace qtool::qdq {

class SideBySide {
 public:
  // `quantized`: activations quantized, weights and biases still float initializers of their names.
  // Takes `wanted` of the first `chunks` chunks, spread over them. Both networks' values stay under `memory`
  // bytes: where they would not, some chunks wait in front of the network until a layer from which on there
  // is room for them. `layers` in order.
  SideBySide(const Model& reference, const Model& quantized,
             const std::vector<const LayerSite*>& layers, const SampleSource& source,
             int64_t chunks, int64_t wanted, int64_t memory, int threads);

  // Chunks that take part by now.
  int64_t chunks() const { return static_cast<int64_t>(chunks_.size()); }
  // Runs the quantized network up to the layer's inputs, the float network past the layer, for value(); run_layer
  // alone takes both from wherever they are.
  void advance_to(const LayerSite& site);
  // What surrounds the layer in both, of one chunk; after advance_to.
  ChannelBlocks value(const LayerSite& site, LayerValue what, int64_t chunk) const;
  // The float network's value that is added to the layer's output right behind it; empty: none.
  const std::string& residual(const LayerSite& site) const {
    return names(site).reference_residual;
  }
  // Runs both past the layer, the quantized one with this weight; returns what has to be added to its
  // bias, per channel, so that the mean of its output (and of what is added to that) is the float
  // network's; `rounded`: an ActiveShift where an activation with constant ends is right behind it, which counts for
  // much where the weights are not fitted.
  std::vector<float> run_layer(const LayerSite& site, const Tensor& weight, bool rounded);
  // Adds to the quantized network's output of the layer that ran last, when the chunks run on.
  void shift_output(const std::vector<float>& shift);

 private:
  struct Pair {
    State reference, quantized;
    State before = {};       // of the float network, in front of the layer that it has just passed
    bool shift_due = false;  // to the output of the layer that ran last
  };
  // What became of a layer that ran, for chunks that follow later.
  struct Decided {
    const LayerSite* site;
    Tensor weight;
    std::vector<float> shift;
  };
  struct Names {
    std::string reference_input, quantized_input, reference_output, quantized_output;
    std::string reference_residual, quantized_residual;  // empty: nothing is added to the output
    std::optional<std::pair<double, double>> active;     // where what follows is not constant
  };
  // Drops the kernels, and with them the packed weights, of the steps behind.
  void forget_passed();
  const Names& names(const LayerSite& site) const { return names_.at(site.name); }
  void find_room(const std::vector<const LayerSite*>& layers, int64_t memory, int64_t wanted);
  void admit(int64_t count);
  void arrive_at(const LayerSite& site);
  // Every chunk and its number, in parallel.
  void sweep(const std::function<void(Pair&, size_t)>& visit);
  // Sums over the layer's outputs, which have just been computed.
  void add_missing(MissingMeans& means, const Pair& pair, const LayerSite& site) const;
  void add_missing(ActiveShift& shift, const Pair& pair, const LayerSite& site) const;
  Pair caught_up(int64_t chunk) const;
  void shift_output(State& state, const Decided& layer) const;

  std::map<std::string, Names> names_;
  const SampleSource& source_;
  int threads_;
  int64_t stride_ = 1;                   // between the chunks of the source that take part
  std::map<std::string, int64_t> room_;  // by layer: chunks that fit from there on
  int64_t most_ = 1;                     // of them
  std::optional<Executor> reference_, quantized_;
  std::vector<Pair> chunks_;
  std::vector<Decided> decided_;  // the last layer, and all of them while chunks are still to come
  int reference_forgotten_ = 0, quantized_forgotten_ = 0;
};

}  // namespace qtool::qdq
