// Gradient descent on the knobs of a tunable network.
#pragma once

#include "qtool/gradient.hpp"
#include "quantize/fit/adam.hpp"
#include "quantize/fit/tunable_network.hpp"

namespace qtool::qdq {

// Gradients by name, one entry a chunk of data.
using ChunkGradients = std::vector<std::map<std::string, Tensor>>;
// Sums of one name's over the chunks, in their order; empty: no chunk has any.
std::vector<double> summed(const ChunkGradients& chunks, const std::string& name);

// One knob, its value and its Adam. Steps are told in the knob's unit: a share of a scale, or of the root mean square
// of an output channel.
class KnobDescent {
 public:
  using Knob = TunableNetwork::Knob;
  // `raw`: the layer's output in front of its gain and shift, for knobs of shifts.
  KnobDescent(const Knob& knob, const Tensor& raw);

  // One step against the gradients, their mean over the chunks.
  void step(double rate, const ChunkGradients& gradients);
  const Tensor& value() const { return value_; }
  void set(Tensor value) { value_ = std::move(value); }

 private:
  const Knob& knob_;
  Tensor value_;
  std::vector<double> unit_;
  Adam adam_;
};

}  // namespace qtool::qdq
