// The Reduce family: every element is folded into the output element that it belongs to.
#include <cmath>
#include <limits>
#include <numeric>

#include "ops/dispatch.hpp"
#include "ops/loops.hpp"
#include "ops/reduce_folds.hpp"

namespace qtool {
namespace {

struct Plan {
  Shape kept;  // the output's shape with reduced dimensions of one
  Shape output;
  int64_t count;  // elements that make one output element
};

Plan plan_reduction(const Call& call) {
  const Tensor& x = call.in(0);
  std::vector<int64_t> axes =
      normalize_axes(call.integers_or_input("axes", 1), x.rank(), call.node);
  if (axes.empty() && call.integer("noop_with_empty_axes", 0) == 0) {
    axes.resize(static_cast<size_t>(x.rank()));
    std::iota(axes.begin(), axes.end(), 0);
  }
  const bool keep = call.integer("keepdims", 1) != 0;
  Plan plan{x.shape(), {}, 1};
  std::vector<bool> reduced(static_cast<size_t>(x.rank()), false);
  for (int64_t a : axes) {
    plan.count *= x.dim(a);
    plan.kept[static_cast<size_t>(a)] = 1;
    reduced[static_cast<size_t>(a)] = true;
  }
  for (size_t d = 0; d < reduced.size(); ++d) {
    if (keep || !reduced[d]) plan.output.push_back(plan.kept[d]);
  }
  return plan;
}

LoopNest<2> reduction_nest(const Shape& input, const Shape& kept) {
  return simplified(LoopNest<2>{input, {strides_of(input), broadcast_strides(kept, input)}});
}

// Folds one contiguous run into `into`. Floats go by vectors; of the others eight partial results keep the
// processor busy, their order is fixed.
template <typename Fold, typename A, typename T>
A fold_run(A into, const T* x, int64_t count) {
  if constexpr (std::is_same_v<T, float> && !std::is_same_v<Fold, ProductFold>)
    return Fold::join(into, Fold::floats(x, count));
  A part[8];
  for (A& p : part) p = Fold::template start<A>();
  int64_t i = 0;
  for (; i + 8 <= count; i += 8) {
    for (int64_t k = 0; k < 8; ++k) {
      part[k] = Fold::join(part[k], Fold::element(static_cast<A>(x[i + k])));
    }
  }
  for (; i < count; ++i) into = Fold::join(into, Fold::element(static_cast<A>(x[i])));
  for (A p : part) into = Fold::join(into, p);
  return into;
}

template <typename Fold, typename T>
std::vector<Accumulator<T>> fold_all(const Tensor& x, const Shape& kept) {
  using A = Accumulator<T>;
  std::vector<A> out(static_cast<size_t>(element_count(kept)), Fold::template start<A>());
  const T* in = x.data<T>().data();
  for_each_run(reduction_nest(x.shape(), kept),
               [&](const auto& at, int64_t count, const auto& step) {
                 A* into = out.data() + at[1];
                 const T* from = in + at[0];
                 if (step[1] == 0) {
                   *into = fold_run<Fold>(*into, from, count);
                 } else {
                   for (int64_t i = 0; i < count; ++i) {
                     into[i] = Fold::join(into[i], Fold::element(static_cast<A>(from[i])));
                   }
                 }
               });
  return out;
}

template <typename Fold, typename T>
Tensor reduce(const Tensor& x, const Plan& plan) {
  const auto folded = fold_all<Fold, T>(x, plan.kept);
  Tensor out = Tensor::uninitialized(dtype_of<T>(), plan.output);
  const auto y = out.mutable_data<T>();
  for (size_t i = 0; i < y.size(); ++i) {
    if constexpr (kExact<Fold>) {
      // An empty set of a narrow type gets that type's limit, not the accumulator's.
      if (std::is_integral_v<T> && plan.count == 0)
        y[i] = Fold::template start<T>();
      else
        y[i] = static_cast<T>(folded[i]);
    } else if (std::is_integral_v<T> && plan.count == 0) {
      y[i] = 0;
    } else {
      y[i] = to_element<T>(Fold::finish(folded[i], plan.count));
    }
  }
  return out;
}

template <typename Fold>
std::vector<Tensor> eval_reduce(const Call& call) {
  const Plan plan = plan_reduction(call);
  return {with_number(call, call.in(0).dtype(),
                      [&](auto zero) { return reduce<Fold, decltype(zero)>(call.in(0), plan); })};
}

// Extremes of truth values: any and all.
template <typename Fold>
std::vector<Tensor> eval_extreme(const Call& call) {
  const Tensor& x = call.in(0);
  if (x.dtype() != DType::kBool) return eval_reduce<Fold>(call);
  const Plan plan = plan_reduction(call);
  const Tensor bytes = reduce<Fold, uint8_t>(x.reinterpreted(DType::kUint8), plan);
  return {cast(bytes, DType::kBool)};
}

// log Σ e^x with the maximum taken out first.
std::vector<Tensor> eval_log_sum_exp(const Call& call) {
  const Tensor& x = call.in(0);
  const Plan plan = plan_reduction(call);
  return {with_number(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const auto in = x.data<T>();
    const auto peaks = fold_all<MaxFold, T>(x, plan.kept);
    std::vector<double> sums(peaks.size(), 0);
    for_each_run(reduction_nest(x.shape(), plan.kept),
                 [&](const auto& at, int64_t count, const auto& step) {
                   for (int64_t i = 0; i < count; ++i) {
                     const auto o = static_cast<size_t>(at[1] + i * step[1]);
                     const double peak = static_cast<double>(peaks[o]);
                     const double v = static_cast<double>(in[static_cast<size_t>(at[0] + i)]);
                     sums[o] += std::isinf(peak) ? std::exp(v) : std::exp(v - peak);
                   }
                 });
    Tensor out = Tensor::uninitialized(x.dtype(), plan.output);
    const auto y = out.mutable_data<T>();
    for (size_t i = 0; i < y.size(); ++i) {
      const double peak = static_cast<double>(peaks[i]);
      const double result = std::log(sums[i]) + (std::isinf(peak) || plan.count == 0 ? 0 : peak);
      y[i] = std::is_integral_v<T> && plan.count == 0 ? T(0) : to_element<T>(result);
    }
    return out;
  })};
}

constexpr QuantRule kWide{.reason = "sums over many elements have no integer kernel"};

template <typename Fold>
constexpr OpDef reduce_op(std::string_view type) {
  return {.type = type, .eval = half_as_float<eval_reduce<Fold>>, .quant = kWide};
}

}  // namespace

extern const OpDef kReduceSum = reduce_op<SumFold>("ReduceSum");
extern const OpDef kReduceMean = reduce_op<MeanFold>("ReduceMean");
extern const OpDef kReduceProd = reduce_op<ProductFold>("ReduceProd");
extern const OpDef kReduceL1 = reduce_op<L1Fold>("ReduceL1");
extern const OpDef kReduceL2 = reduce_op<L2Fold>("ReduceL2");
extern const OpDef kReduceSumSquare = reduce_op<SquareFold>("ReduceSumSquare");
extern const OpDef kReduceLogSum = reduce_op<LogSumFold>("ReduceLogSum");
extern const OpDef kReduceLogSumExp{
    .type = "ReduceLogSumExp", .eval = half_as_float<eval_log_sum_exp>, .quant = kWide};
extern const OpDef kReduceMax{
    .type = "ReduceMax", .eval = half_as_float<eval_extreme<MaxFold>>, .quant = kWide};
extern const OpDef kReduceMin{
    .type = "ReduceMin", .eval = half_as_float<eval_extreme<MinFold>>, .quant = kWide};

}  // namespace qtool
