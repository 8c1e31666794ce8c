// A vector-Jacobian product: the gradients of a node's inputs from those of its outputs. A new one is
// a function in a file of this folder and one line in list.cpp.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <span>

#include "ops/elementwise.hpp"

namespace qtool::gradient {

// What one node's vjp prepares once for inputs of one shape (primitives, packed weights).
class Cache {
 public:
  template <typename T>
  std::shared_ptr<const T> get(const Shape& key, const std::function<T()>& make) {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<const void>& slot = slots_[key];
    if (!slot) slot = std::make_shared<const T>(make());
    return std::static_pointer_cast<const T>(slot);
  }

 private:
  std::mutex mutex_;
  std::map<Shape, std::shared_ptr<const void>> slots_;
};

struct VjpCall {
  const Node& node;
  int64_t opset;
  std::span<const Tensor> inputs, outputs;  // undefined where the record does not keep them
  std::span<const Shape> shapes;            // of inputs, where the record keeps them
  std::span<const Tensor> gradients;        // of outputs; undefined: zero
  const std::vector<bool>& wanted;          // by input
  Cache& cache;

  // The gradient of the node's first output.
  const Tensor& dy() const { return gradients[0]; }
};

// What a vjp reads; constants are there always.
enum Keep : unsigned {
  kNothing = 0,
  kShapes = 1,  // shapes of the inputs
  kFixed = 2,   // values of inputs that get no gradient
  kOthers = 4,  // values of an input's siblings when it gets one
  kInputs = 8,  // values of all inputs
  kOutput = 16  // values of all outputs
};

struct VjpDef {
  std::string_view type, domain;
  unsigned keep = kNothing;
  // One gradient an input; undefined where none is wanted. nullptr: zero almost everywhere.
  std::vector<Tensor> (*vjp)(const VjpCall&) = nullptr;
};
std::span<const VjpDef> vjps();
// nullptr when there is none.
const VjpDef* find_vjp(const Node& node);

// Sums over the dimensions along which a tensor of `shape` was broadcast.
Tensor sum_to(const Tensor& gradient, const Shape& shape);
// A tensor repeated along dimensions of one.
Tensor broadcast_to(const Tensor& value, const Shape& shape);
Tensor zeros(const Shape& shape);
// The node's operator, on other inputs.
std::vector<Tensor> evaluate(const VjpCall& call, std::span<const Tensor> inputs);
// dx[i] = dy[i] · derivative(at[i]).
template <typename Derivative>
std::vector<Tensor> chain(const Tensor& dy, const Tensor& at, Derivative derivative) {
  Tensor dx = Tensor::uninitialized(DType::kFloat, dy.shape());
  const float *d = dy.data<float>().data(), *x = at.data<float>().data();
  float* out = dx.mutable_data<float>().data();
  const int64_t n = dx.size();
  for (int64_t i = 0; i < n; ++i) out[i] = d[i] * static_cast<float>(derivative(x[i]));
  return {std::move(dx)};
}

using Gradients = std::vector<Tensor>;
Gradients relu(const VjpCall&);
Gradients clip(const VjpCall&);
Gradients leaky_relu(const VjpCall&);
Gradients elu(const VjpCall&);
Gradients selu(const VjpCall&);
Gradients celu(const VjpCall&);
Gradients thresholded_relu(const VjpCall&);
Gradients prelu(const VjpCall&);
Gradients sigmoid(const VjpCall&);
Gradients hard_sigmoid(const VjpCall&);
Gradients hard_swish(const VjpCall&);
Gradients swish(const VjpCall&);
Gradients mish(const VjpCall&);
Gradients softplus(const VjpCall&);
Gradients softsign(const VjpCall&);
Gradients gelu(const VjpCall&);
Gradients tanh(const VjpCall&);
Gradients erf(const VjpCall&);
Gradients exp(const VjpCall&);
Gradients log(const VjpCall&);
Gradients sqrt(const VjpCall&);
Gradients reciprocal(const VjpCall&);
Gradients abs(const VjpCall&);
Gradients neg(const VjpCall&);
Gradients sin(const VjpCall&);
Gradients cos(const VjpCall&);

Gradients add(const VjpCall&);
Gradients sub(const VjpCall&);
Gradients mul(const VjpCall&);
Gradients div(const VjpCall&);
Gradients pow(const VjpCall&);
Gradients extreme(const VjpCall&);  // Max, Min
Gradients mean(const VjpCall&);

Gradients conv(const VjpCall&);
Gradients conv_transpose(const VjpCall&);
Gradients gemm(const VjpCall&);
Gradients matmul(const VjpCall&);

Gradients global_average_pool(const VjpCall&);
Gradients average_pool(const VjpCall&);
Gradients max_pool(const VjpCall&);
Gradients global_max_pool(const VjpCall&);
Gradients reduce_mean(const VjpCall&);
Gradients reduce_sum(const VjpCall&);

Gradients reshape(const VjpCall&);
Gradients movement(const VjpCall&);
Gradients resize(const VjpCall&);

Gradients batch_normalization(const VjpCall&);
Gradients channel_affine(const VjpCall&);
Gradients fake_quantize(const VjpCall&);
Gradients layer_normalization(const VjpCall&);
Gradients lp_normalization(const VjpCall&);
Gradients softmax(const VjpCall&);
Gradients log_softmax(const VjpCall&);

}  // namespace qtool::gradient
