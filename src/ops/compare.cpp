// Comparisons, logic and bit operations on two inputs with broadcasting.
#include <functional>

#include "ops/elementwise.hpp"

namespace qtool {
namespace {

template <typename Fn>
std::vector<Tensor> eval_order(const Call& call) {
  const auto [a, b] = broadcast_inputs(call);
  require_same_type(call, a, b);
  return {with_number(call, a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return zip<T, T, bool>(a, b, Fn{});
  })};
}

Tensor equal_strings(const Tensor& a, const Tensor& b) {
  const Shape shape = broadcast(a.shape(), b.shape());
  Tensor out(DType::kBool, shape);
  const auto result = out.mutable_data<bool>();
  const auto &x = a.string_data(), &y = b.string_data();
  const LoopNest<3> nest{shape,
                         {strides_of(shape), broadcast_strides(a.shape(), shape),
                          broadcast_strides(b.shape(), shape)}};
  for_each_run(simplified(nest), [&](const auto& at, int64_t count, const auto& step) {
    for (int64_t i = 0; i < count; ++i) {
      result[static_cast<size_t>(at[0] + i)] = x[static_cast<size_t>(at[1] + i * step[1])] ==
                                               y[static_cast<size_t>(at[2] + i * step[2])];
    }
  });
  return out;
}

std::vector<Tensor> eval_equal(const Call& call) {
  const auto [a, b] = broadcast_inputs(call);
  require_same_type(call, a, b);
  if (a.dtype() == DType::kString) return {equal_strings(a, b)};
  if (a.dtype() == DType::kBool) return {zip<bool, bool, bool>(a, b, std::equal_to<>{})};
  return eval_order<std::equal_to<>>(call);
}

template <typename Fn>
std::vector<Tensor> eval_logic(const Call& call) {
  input_data<bool>(call, 0);
  input_data<bool>(call, 1);
  const auto [a, b] = broadcast_inputs(call);
  return {zip<bool, bool, bool>(a, b, Fn{})};
}

template <typename Fn>
std::vector<Tensor> eval_bits(const Call& call) {
  const Tensor &a = call.in(0), &b = call.in(1);
  require_same_type(call, a, b);
  return {with_integer(call, a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    return zip<T, T, T>(a, b, Fn{});
  })};
}

// Amounts outside [0, bits of T) shift everything out; a right shift of a signed number keeps its
// sign.
template <typename T>
T shift(T x, T amount, bool left) {
  constexpr T kBits = static_cast<T>(sizeof(T) * 8);
  const bool outside = amount < 0 || amount >= kBits;
  if (!left) return outside ? (x < 0 ? T(-1) : T(0)) : static_cast<T>(x >> amount);
  return outside ? T(0) : static_cast<T>(static_cast<uint64_t>(x) << amount);
}

std::vector<Tensor> eval_bit_shift(const Call& call) {
  const Tensor &a = call.in(0), &b = call.in(1);
  require_same_type(call, a, b);
  const std::string direction = call.text("direction", "");
  require(direction == "LEFT" || direction == "RIGHT", call, "direction must be LEFT or RIGHT");
  return {with_integer(call, a.dtype(), [&, left = direction == "LEFT"](auto zero) {
    using T = decltype(zero);
    return zip<T, T, T>(a, b, [left](T x, T n) { return shift(x, n, left); });
  })};
}

}  // namespace

extern const OpDef kEqual{.type = "Equal", .eval = half_as_float<eval_equal>};
extern const OpDef kGreater{.type = "Greater", .eval = half_as_float<eval_order<std::greater<>>>};
extern const OpDef kLess{.type = "Less", .eval = half_as_float<eval_order<std::less<>>>};
extern const OpDef kGreaterOrEqual{
    .type = "GreaterOrEqual", .since = 12, .eval = half_as_float<eval_order<std::greater_equal<>>>};
extern const OpDef kLessOrEqual{
    .type = "LessOrEqual", .since = 12, .eval = half_as_float<eval_order<std::less_equal<>>>};
extern const OpDef kAnd{.type = "And", .eval = eval_logic<std::logical_and<>>};
extern const OpDef kOr{.type = "Or", .eval = eval_logic<std::logical_or<>>};
extern const OpDef kXor{.type = "Xor", .eval = eval_logic<std::not_equal_to<>>};
extern const OpDef kBitwiseAnd{
    .type = "BitwiseAnd", .since = 18, .eval = eval_bits<std::bit_and<>>};
extern const OpDef kBitwiseOr{.type = "BitwiseOr", .since = 18, .eval = eval_bits<std::bit_or<>>};
extern const OpDef kBitwiseXor{
    .type = "BitwiseXor", .since = 18, .eval = eval_bits<std::bit_xor<>>};
extern const OpDef kBitShift{.type = "BitShift", .since = 11, .eval = eval_bit_shift};

}  // namespace qtool
