// Global pools: one value a plane, the spatial dimensions become one.
#include <algorithm>
#include <cmath>

#include "ops/dispatch.hpp"

namespace qtool {
namespace {

// y[plane] = fn(elements of the plane).
template <typename Fn>
std::vector<Tensor> pool_planes(const Call& call, Fn fn) {
  const Tensor& x = call.in(0);
  require(x.rank() >= 2, call, "input ", shape_text(x.shape()), " has no channels");
  Shape shape(static_cast<size_t>(x.rank()), 1);
  shape[0] = x.dim(0), shape[1] = x.dim(1);
  return {with_float(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    Tensor out = Tensor::uninitialized(x.dtype(), shape);
    const auto y = out.mutable_data<T>();
    if (y.empty()) return out;
    const size_t area = static_cast<size_t>(x.size()) / y.size();
    require(area > 0, call, "planes have no elements");
    const auto in = x.data<T>();
    for (size_t p = 0; p < y.size(); ++p) y[p] = static_cast<T>(fn(in.subspan(p * area, area)));
    return out;
  })};
}

std::vector<Tensor> eval_average(const Call& call) {
  return pool_planes(call, [](auto plane) {
    double sum = 0;
    for (auto v : plane) sum += v;
    return sum / static_cast<double>(plane.size());
  });
}

std::vector<Tensor> eval_max(const Call& call) {
  return pool_planes(call,
                     [](auto plane) { return *std::max_element(plane.begin(), plane.end()); });
}

std::vector<Tensor> eval_lp(const Call& call) {
  const double p = call.opset < 2 ? call.real("p", 2) : static_cast<double>(call.integer("p", 2));
  return pool_planes(call, [p](auto plane) {
    double sum = 0;
    for (auto v : plane) sum += std::pow(std::abs(static_cast<double>(v)), p);
    return std::pow(sum, 1 / p);
  });
}

}  // namespace

extern const OpDef kGlobalAveragePool{.type = "GlobalAveragePool",
                                      .eval = half_as_float<eval_average>,
                                      .quant = {.kind = QuantKind::kAverage, .reason = ""}};
extern const OpDef kGlobalMaxPool{.type = "GlobalMaxPool",
                                  .eval = half_as_float<eval_max>,
                                  .quant = {.kind = QuantKind::kMovement, .reason = ""}};
extern const OpDef kGlobalLpPool{.type = "GlobalLpPool", .eval = half_as_float<eval_lp>};

}  // namespace qtool
