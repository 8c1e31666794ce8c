// Min, Max, Sum and Mean over any number of inputs with broadcasting.
#include "ops/elementwise.hpp"

namespace qtool {
namespace {

// A NaN in either operand is the result, as in NumPy.
struct Larger {
  template <typename T>
  T operator()(T a, T b) const {
    return a < b || b != b ? b : a;
  }
};
struct Smaller {
  template <typename T>
  T operator()(T a, T b) const {
    return b < a || b != b ? b : a;
  }
};
struct Plus {
  template <typename T>
  T operator()(T a, T b) const {
    return static_cast<T>(a + b);
  }
};

// fn over all inputs from left to right; T is the element type of them all.
template <typename T, typename Fn>
Tensor fold(const Call& call) {
  input_data<T>(call, 0);
  Tensor result = call.in(0);
  for (size_t i = 1; i < call.inputs.size(); ++i) {
    input_data<T>(call, i);
    result = zip<T, T, T>(result, call.in(i), Fn{});
  }
  return result;
}

template <typename Fn>
std::vector<Tensor> eval_extreme(const Call& call) {
  return {with_number(call, call.in(0).dtype(),
                      [&](auto zero) { return fold<decltype(zero), Fn>(call); })};
}

std::vector<Tensor> eval_sum(const Call& call) {
  return {with_float(call, call.in(0).dtype(),
                     [&](auto zero) { return fold<decltype(zero), Plus>(call); })};
}

std::vector<Tensor> eval_mean(const Call& call) {
  return {with_float(call, call.in(0).dtype(), [&](auto zero) {
    using T = decltype(zero);
    Tensor sum = fold<T, Plus>(call);
    for (T& v : sum.mutable_data<T>()) v /= static_cast<T>(call.inputs.size());
    return sum;
  })};
}

}  // namespace

extern const OpDef kMax{.type = "Max", .eval = half_as_float<eval_extreme<Larger>>};
extern const OpDef kMin{.type = "Min", .eval = half_as_float<eval_extreme<Smaller>>};
extern const OpDef kSum{
    .type = "Sum",
    .eval = half_as_float<eval_sum>,
    .quant = {.reason = "any number of inputs; a Sum of two could be written as Add"}};
extern const OpDef kMean{.type = "Mean", .eval = half_as_float<eval_mean>};

}  // namespace qtool
