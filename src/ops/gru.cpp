// GRU: gates z (update), r (reset) and h (candidate), in that order.
#include "ops/recurrent.hpp"

namespace qtool {
namespace {

template <typename T>
void advance(const Recurrent& r, bool linear_before_reset, const CellInput<T>& in) {
  const auto n = static_cast<size_t>(r.hidden);
  const Activation &f = in.functions[0], &g = in.functions[1];
  std::vector<double> z(n), reset(n), candidate(n, 0), sums(2 * n, 0);
  add_product(in.recurrence, in.hidden, std::span(sums));
  for (size_t k = 0; k < n; ++k) {
    z[k] = f(r.clipped(in.from_x[k] + sums[k] + in.bias_x[k] + in.bias_h[k]));
    reset[k] = f(r.clipped(in.from_x[n + k] + sums[n + k] + in.bias_x[n + k] + in.bias_h[n + k]));
  }
  std::vector<double> source(in.hidden);
  if (!linear_before_reset) {
    for (size_t k = 0; k < n; ++k) source[k] *= reset[k];
  }
  add_product(in.recurrence + 2 * n * n, source, std::span(candidate));
  for (size_t k = 0; k < n; ++k) {
    const double recurrent = candidate[k] + in.bias_h[2 * n + k];
    const double sum = in.from_x[2 * n + k] + in.bias_x[2 * n + k];
    const double h = g(r.clipped(sum + (linear_before_reset ? reset[k] * recurrent : recurrent)));
    in.hidden[k] = (1 - z[k]) * h + z[k] * in.hidden[k];
  }
}

std::vector<Tensor> eval_gru(const Call& call) {
  const Recurrent r = resolve_recurrent(call, 3, {"Sigmoid", "Tanh"});
  const bool linear_before_reset = call.integer("linear_before_reset", 0) != 0;
  const auto nothing = [](int64_t, int64_t) {};
  return with_float(call, call.in(0).dtype(), [&](auto zero) {
    using T = decltype(zero);
    return walk<T>(
        call, r, nothing, [&](const CellInput<T>& in) { advance(r, linear_before_reset, in); },
        nothing);
  });
}

}  // namespace

extern const OpDef kGRU{.type = "GRU",
                        .since = 7,
                        .eval = half_as_float<eval_gru>,
                        .macs = recurrent_macs,
                        .quant = kRecurrentRule};

}  // namespace qtool
