// NonZero and Compress: what a condition selects.
#include "ops/movable.hpp"

namespace qtool {
namespace {

template <typename T>
std::vector<int64_t> nonzero_positions(const Tensor& x) {
  std::vector<int64_t> positions;
  const auto data = x.data<T>();
  for (size_t i = 0; i < data.size(); ++i) {
    if (data[i] != T{}) positions.push_back(static_cast<int64_t>(i));
  }
  return positions;
}

std::vector<Tensor> eval_nonzero(const Call& call) {
  const Tensor& x = call.in(0);
  const std::vector<int64_t> found = x.dtype() == DType::kBool
                                         ? nonzero_positions<bool>(x)
                                         : with_number(call, x.dtype(), [&](auto zero) {
                                             return nonzero_positions<decltype(zero)>(x);
                                           });
  const auto count = static_cast<int64_t>(found.size());
  Tensor out = Tensor::uninitialized(DType::kInt64, {x.rank(), count});
  const auto y = out.mutable_data<int64_t>();
  const Shape strides = strides_of(x.shape());
  for (size_t d = 0; d < strides.size(); ++d) {
    for (size_t i = 0; i < found.size(); ++i) {
      y[d * found.size() + i] = found[i] / strides[d] % x.shape()[d];
    }
  }
  return {out};
}

std::vector<Tensor> eval_compress(const Call& call) {
  const Tensor& x = call.in(0);
  require(call.in(1).rank() == 1, call, "the condition is not a list");
  const auto condition = input_data<bool>(call, 1);
  const bool flat = find_attribute(call.node, "axis") == nullptr;
  const int64_t axis = flat ? 0 : normalize_axis(call.integer("axis", 0), x.rank(), call.node);
  const Movable m(call, {x});
  const Tensor from = flat ? m[0].reshaped({x.size()}) : m[0];
  std::vector<int64_t> positions;
  for (size_t i = 0; i < condition.size(); ++i) {
    if (condition[i])
      positions.push_back(checked_index(static_cast<int64_t>(i), from.dim(axis), call));
  }
  return {m.restore(take(from, axis, positions))};
}

constexpr QuantRule kDataDependent{.reason = "the output's size depends on the data"};

}  // namespace

extern const OpDef kNonZero{
    .type = "NonZero", .since = 9, .eval = half_as_float<eval_nonzero>, .quant = kDataDependent};
extern const OpDef kCompress{
    .type = "Compress", .since = 9, .eval = eval_compress, .quant = kDataDependent};

}  // namespace qtool
