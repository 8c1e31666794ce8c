// Gradients (layer exec): reverse mode over a float model, of its values; and of one node's weights.
//
//   Gradient gradient(prepared, {"conv1_out", "conv2_out"});
//   Gradient::Tape tape = gradient.forward(feed);             // one forward pass
//   auto d = gradient.backward(tape, seeds);                  // as often as wanted; d["conv1_out"]
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "qtool/graph.hpp"

namespace qtool {

// Immutable after construction; every member may be called from several threads at once.
class Gradient {
 public:
  // What a forward pass leaves for the backward passes. Copying is cheap.
  struct Tape {
    std::vector<Tensor> outputs;  // of the model, in graph order
    std::vector<Tensor> values;   // by value id; undefined where no vjp asks for it
    std::vector<Shape> shapes;    // by value id; empty where no vjp asks for it
  };

  // `values`: names of values or inputs of `model`, which is prepared; `kept`: of those that value()
  // is asked for. Throws Unsupported (QT-E320) that names the node when an operator between `values`
  // and a float output has no vjp.
  Gradient(const Model& model, const std::vector<std::string>& values,
           const std::vector<std::string>& kept = {});
  ~Gradient();
  Gradient(Gradient&&) noexcept;

  Tape forward(const std::map<std::string, Tensor>& feed) const;
  // One of `kept`, or a constant.
  Tensor value(const Tape& tape, const std::string& name) const;
  // ∂(Σ over outputs of seed · output) / ∂value for each of the names, float32, in the value's shape.
  // `seeds`: one an output in graph order, in the output's shape; undefined: zero. Values that no seed
  // reaches are absent.
  std::map<std::string, Tensor> backward(const Tape& tape, const std::vector<Tensor>& seeds) const;
  // The same for several seeds at once: `visit` gets each name's gradients, one a seed (undefined: none),
  // as soon as they are complete; they die behind it. So do the tape's values that lie behind the name.
  using Visit = std::function<void(const std::string& name, const std::vector<Tensor>& gradients)>;
  void backward(Tape& tape, const std::vector<std::vector<Tensor>>& seeds,
                const Visit& visit) const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

// The gradient of a layer's weight, its second input, from what the layer read and the gradient of its
// result. Immutable after construction; of() may be called from several threads at once.
class WeightGradient {
 public:
  // `weight`: the shape of the weight, which may have other channels than the node's own. Throws
  // Unsupported (QT-E320) when the node's operator has no vjp.
  WeightGradient(const Model& model, const Node& node, Shape weight);
  ~WeightGradient();
  WeightGradient(WeightGradient&&) noexcept;

  // float32, summed over everything that the weight multiplies.
  Tensor of(const Tensor& x, const Tensor& dy) const;

 private:
  struct Impl;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace qtool
