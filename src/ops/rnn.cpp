// RNN: H(t) = f(W·X + R·H(t−1) + biases).
#include "ops/recurrent.hpp"

namespace qtool {
namespace {

std::vector<Tensor> eval_rnn(const Call& call) {
  const Recurrent r = resolve_recurrent(call, 1, {"Tanh"});
  const auto nothing = [](int64_t, int64_t) {};
  return with_float(call, call.in(0).dtype(), [&](auto zero) {
    using T = decltype(zero);
    return walk<T>(
        call, r, nothing,
        [&](const CellInput<T>& in) {
          std::vector<double> sums(in.from_x.begin(), in.from_x.end());
          add_product(in.recurrence, in.hidden, std::span(sums));
          for (size_t k = 0; k < sums.size(); ++k) {
            in.hidden[k] = in.functions[0](r.clipped(sums[k] + in.bias_x[k] + in.bias_h[k]));
          }
        },
        nothing);
  });
}

}  // namespace

extern const OpDef kRNN{.type = "RNN",
                        .since = 7,
                        .eval = half_as_float<eval_rnn>,
                        .macs = recurrent_macs,
                        .quant = kRecurrentRule};

}  // namespace qtool
