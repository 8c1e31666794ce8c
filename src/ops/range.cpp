// Range: numbers from a start, with a step, up to a limit.
#include <cmath>

#include "ops/dispatch.hpp"

namespace qtool {
namespace {

template <typename T>
int64_t range_count(const Call& call, T start, T limit, T delta) {
  require(delta != 0, call, "delta is 0");
  if constexpr (std::is_integral_v<T>) {
    const __int128 distance = static_cast<__int128>(limit) - start;
    const __int128 step = delta;
    if ((distance > 0) != (step > 0) || distance == 0) return 0;
    const __int128 count = (distance + step + (step > 0 ? -1 : 1)) / step;
    require(count < (__int128{1} << 56), call, "the range has too many numbers");
    return static_cast<int64_t>(count);
  } else {
    const double count = std::ceil((static_cast<double>(limit) - start) / delta);
    require(!std::isnan(count) && count < 0x1p56, call, "the range has too many numbers");
    return count > 0 ? static_cast<int64_t>(count) : 0;
  }
}

std::vector<Tensor> eval_range(const Call& call) {
  const DType type = call.in(0).dtype();
  for (size_t i = 0; i < 3; ++i) {
    require(call.in(i).size() == 1, call, "input ", i, " is not a scalar");
  }
  refuse(call.integer("stash_type", 1) != 1, call, "stash_type is not supported");
  return {with_number(call, type, [&](auto zero) {
    using T = decltype(zero);
    const T start = input_data<T>(call, 0)[0], delta = input_data<T>(call, 2)[0];
    const int64_t count = range_count(call, start, input_data<T>(call, 1)[0], delta);
    Tensor out = Tensor::uninitialized(type, {count});
    const auto y = out.mutable_data<T>();
    for (size_t i = 0; i < y.size(); ++i) {
      if constexpr (std::is_integral_v<T>) {
        y[i] = static_cast<T>(static_cast<uint64_t>(start) + i * static_cast<uint64_t>(delta));
      } else {
        y[i] = start + static_cast<T>(i) * delta;
      }
    }
    return out;
  })};
}

}  // namespace

extern const OpDef kRange{.type = "Range",
                          .since = 11,
                          .eval = half_as_float<eval_range>,
                          .quant = {.reason = "numbers that are positions, not activations"}};

}  // namespace qtool
