// LSTM: gates i, o, f, c in that order, with peepholes.
#include "ops/recurrent.hpp"

namespace qtool {
namespace {

// One step; `cell` is C(t−1) in and C(t) out, `peephole` holds P for i, o and f.
template <typename T>
void advance(const Recurrent& r, bool coupled, const T* peephole, std::vector<double>& cell,
             const CellInput<T>& in) {
  const auto n = static_cast<size_t>(r.hidden);
  std::vector<double> sums(in.from_x.begin(), in.from_x.end());
  add_product(in.recurrence, in.hidden, std::span(sums));
  for (size_t k = 0; k < sums.size(); ++k) sums[k] += in.bias_x[k] + in.bias_h[k];
  // Clipped is what goes into the gates' functions, not the cell state.
  for (size_t k = 0; k < n; ++k) {
    const double i = in.functions[0](r.clipped(sums[k] + peephole[k] * cell[k]));
    const double f =
        coupled ? 1 - i
                : in.functions[0](r.clipped(sums[2 * n + k] + peephole[2 * n + k] * cell[k]));
    const double c = in.functions[1](r.clipped(sums[3 * n + k]));
    cell[k] = f * cell[k] + i * c;
    const double o = in.functions[0](r.clipped(sums[n + k] + peephole[n + k] * cell[k]));
    in.hidden[k] = o * in.functions[2](cell[k]);
  }
}

template <typename T>
std::vector<Tensor> lstm(const Call& call, const Recurrent& r) {
  const auto initial = optional_input<T>(call, 6, r.state_shape());
  const auto peepholes = optional_input<T>(call, 7, {r.directions, 3 * r.hidden});
  const bool coupled = call.integer("input_forget", 0) != 0;
  Tensor last_cell(dtype_of<T>(), r.state_shape());
  T* final_cell = last_cell.mutable_data<T>().data();
  std::vector<double> cell;
  const T* peephole = nullptr;
  const auto begin = [&](int64_t d, int64_t b) {
    const T* c0 = initial.data() + r.state_at(d, b);
    cell.assign(c0, c0 + r.hidden);
    peephole = peepholes.data() + d * 3 * r.hidden;
  };
  const auto end = [&](int64_t d, int64_t b) {
    for (size_t k = 0; k < cell.size(); ++k)
      final_cell[r.state_at(d, b) + static_cast<int64_t>(k)] = static_cast<T>(cell[k]);
  };
  std::vector<Tensor> out = walk<T>(
      call, r, begin, [&](const CellInput<T>& in) { advance(r, coupled, peephole, cell, in); },
      end);
  out.push_back(last_cell);
  return out;
}

std::vector<Tensor> eval_lstm(const Call& call) {
  const Recurrent r = resolve_recurrent(call, 4, {"Sigmoid", "Tanh", "Tanh"});
  return with_float(call, call.in(0).dtype(),
                    [&](auto zero) { return lstm<decltype(zero)>(call, r); });
}

}  // namespace

extern const OpDef kLSTM{.type = "LSTM",
                         .since = 7,
                         .eval = half_as_float<eval_lstm>,
                         .macs = recurrent_macs,
                         .quant = kRecurrentRule};

}  // namespace qtool
