// Shape and Size: dimensions as data.
#include <algorithm>

#include "ops/dispatch.hpp"

namespace qtool {
namespace {

std::vector<Tensor> eval_shape(const Call& call) {
  const Shape& shape = call.in(0).shape();
  const auto rank = static_cast<int64_t>(shape.size());
  const auto position = [&](int64_t p) {
    return std::clamp<int64_t>(p < 0 ? p + rank : p, 0, rank);
  };
  const int64_t start = position(call.integer("start", 0));
  const int64_t end = std::max(start, position(call.integer("end", rank)));
  return {
      Tensor::of({end - start}, std::vector<int64_t>(shape.begin() + start, shape.begin() + end))};
}

std::vector<Tensor> eval_size(const Call& call) { return {Tensor::scalar(call.in(0).size())}; }

constexpr QuantRule kDimensions{.reason = "the output is a dimension, not a value"};

}  // namespace

extern const OpDef kShape{.type = "Shape", .eval = eval_shape, .quant = kDimensions};
extern const OpDef kSize{.type = "Size", .eval = eval_size, .quant = kDimensions};

}  // namespace qtool
