// What LSTM, GRU and RNN share: shapes, directions, layouts, activations, and the walk over time.
#pragma once

#include <algorithm>
#include <functional>

#include "ops/dispatch.hpp"

namespace qtool {

using Activation = std::function<double(double)>;

// Checked inputs 0 to 5 of a recurrent node: X, W, R, B, sequence_lens, initial_h.
struct Recurrent {
  int64_t steps, batch, input, hidden, directions, gates;
  bool batch_first, reverse;            // reverse: the only direction runs backwards
  std::vector<int64_t> lengths;         // of every sequence
  std::vector<Activation> activations;  // functions of one direction, then of the other
  double clip;                          // limit of what goes into an activation; infinity: none

  // Where the vectors of a time step, a direction and a sequence begin, in elements.
  int64_t x_at(int64_t t, int64_t b) const {
    return (batch_first ? b * steps + t : t * batch + b) * input;
  }
  int64_t state_at(int64_t d, int64_t b) const {
    return (batch_first ? b * directions + d : d * batch + b) * hidden;
  }
  int64_t y_at(int64_t t, int64_t d, int64_t b) const {
    return (batch_first ? (b * steps + t) * directions + d : (t * directions + d) * batch + b) *
           hidden;
  }
  Shape y_shape() const;
  Shape state_shape() const;
  double clipped(double x) const { return x > clip ? clip : x < -clip ? -clip : x; }
  size_t functions() const { return activations.size() / static_cast<size_t>(directions); }
};
Recurrent resolve_recurrent(const Call& call, int64_t gates,
                            const std::vector<std::string>& defaults);

int64_t recurrent_macs(const Node& node, std::span<const Shape> inputs,
                       std::span<const Shape> outputs);

// sums[i] += Σ_k matrix[i, k] · x[k]
template <typename T>
void add_product(const T* matrix, std::span<const double> x, std::span<double> sums) {
  for (double& sum : sums) {
    // Four partial sums, so that additions need not wait for each other.
    double part[4] = {0, 0, 0, 0};
    size_t k = 0;
    for (; k + 4 <= x.size(); k += 4) {
      for (size_t j = 0; j < 4; ++j) part[j] += matrix[k + j] * x[k + j];
    }
    for (; k < x.size(); ++k) part[0] += matrix[k] * x[k];
    sum += (part[0] + part[1]) + (part[2] + part[3]);
    matrix += x.size();
  }
}

// Input i of the given shape, or zeros when absent.
template <typename T>
std::vector<T> optional_input(const Call& call, size_t i, const Shape& shape) {
  if (!call.has(i)) return std::vector<T>(static_cast<size_t>(element_count(shape)), T(0));
  require(call.in(i).shape() == shape, call, "input ", i, " is ", shape_text(call.in(i).shape()),
          ", expected ", shape_text(shape));
  const auto data = input_data<T>(call, i);
  return {data.begin(), data.end()};
}

// The hidden state of one sequence and direction, and what a cell needs to advance it.
template <typename T>
struct CellInput {
  std::span<const Activation> functions;
  std::span<const double> from_x;         // W·x, one value a gate and neuron, without biases
  const T *recurrence, *bias_x, *bias_h;  // R, Wb, Rb of this direction
  std::vector<double>& hidden;            // H(t−1) in, H(t) out
};

// Walks every sequence in every direction. `cell(input)` advances the hidden state by one time
// step; it is told of a new sequence by `begin(direction, batch)` and of its end by `end(direction,
// batch)`. Returns Y and Y_h.
template <typename T, typename Begin, typename Cell, typename End>
std::vector<Tensor> walk(const Call& call, const Recurrent& r, Begin&& begin, Cell&& cell,
                         End&& end) {
  const T *x = input_data<T>(call, 0).data(), *w = input_data<T>(call, 1).data(),
          *u = input_data<T>(call, 2).data();
  const auto bias = optional_input<T>(call, 3, {r.directions, 2 * r.gates * r.hidden});
  const auto initial = optional_input<T>(call, 5, r.state_shape());
  Tensor y(dtype_of<T>(), r.y_shape()), last(dtype_of<T>(), r.state_shape());
  T *out = y.mutable_data<T>().data(), *final_state = last.mutable_data<T>().data();
  const int64_t rows = r.gates * r.hidden;
  std::vector<double> from_x(static_cast<size_t>(rows)), step_input(static_cast<size_t>(r.input));
  for (int64_t d = 0; d < r.directions; ++d) {
    const bool backwards = d == 1 || r.reverse;
    const auto functions =
        std::span(r.activations).subspan(static_cast<size_t>(d) * r.functions(), r.functions());
    const T* biases = bias.data() + d * 2 * rows;
    for (int64_t b = 0; b < r.batch; ++b) {
      const T* h0 = initial.data() + r.state_at(d, b);
      std::vector<double> hidden(h0, h0 + r.hidden);
      begin(d, b);
      const int64_t length = r.lengths[static_cast<size_t>(b)];
      for (int64_t i = 0; i < length; ++i) {
        const int64_t t = backwards ? length - 1 - i : i;
        std::copy_n(x + r.x_at(t, b), r.input, step_input.begin());
        std::fill(from_x.begin(), from_x.end(), 0.0);
        add_product(w + d * rows * r.input, step_input, std::span(from_x));
        cell(CellInput<T>{functions, from_x, u + d * rows * r.hidden, biases, biases + rows,
                          hidden});
        for (int64_t k = 0; k < r.hidden; ++k)
          out[r.y_at(t, d, b) + k] = static_cast<T>(hidden[static_cast<size_t>(k)]);
      }
      for (int64_t k = 0; k < r.hidden; ++k)
        final_state[r.state_at(d, b) + k] = static_cast<T>(hidden[static_cast<size_t>(k)]);
      end(d, b);
    }
  }
  return {y, last};
}

inline constexpr QuantRule kRecurrentRule{
    .reason = "a loop over time that carries its state: no integer kernel",
    .stored = {{{1, "W"}, {2, "R"}}},  // [directions, gates · hidden, in]
    .stored_axis = 1};

}  // namespace qtool
