// OneHot and EyeLike: tensors that are one value but for a few places.
#include <algorithm>
#include <cmath>

#include "ops/movable.hpp"

namespace qtool {
namespace {

// Any number as int64, towards zero; −2^63 when there is none.
int64_t whole_number(const Tensor& t, int64_t i) {
  if (is_integer(t.dtype())) return t.integer(i);
  const double v = t.number(i);
  return std::abs(v) < 0x1p62 ? static_cast<int64_t>(v) : INT64_MIN;
}

bool is_count_type(DType type) { return is_integer(type) || is_real(type); }

std::vector<Tensor> eval_one_hot(const Call& call) {
  const Tensor &indices = call.in(0), &values = call.in(2);
  for (size_t i : {0, 1}) {
    if (!is_count_type(call.in(i).dtype())) unsupported_type(call, call.in(i).dtype());
  }
  require(call.in(1).size() == 1, call, "depth is not a scalar");
  require(values.shape() == Shape{2}, call, "values are ", shape_text(values.shape()),
          ", expected [2]");
  const int64_t depth = whole_number(call.in(1), 0);
  require(depth >= 0, call, "depth ", depth, " is negative");
  const int64_t axis = normalize_axis(call.integer("axis", -1), indices.rank() + 1, call.node);
  Shape shape = indices.shape();
  shape.insert(shape.begin() + axis, depth);
  const AxisView view = view_axis(shape, axis);
  const Movable m(call, {values});
  const int64_t width = width_of(m[0]);
  Tensor out = strided(m[0], shape, Shape(shape.size(), 0));
  if (out.size() == 0) return {m.restore(out)};
  const char* on = bytes_of(m[0]) + width;
  char* to = bytes_of(out);
  for (int64_t o = 0; o < view.outer; ++o) {
    for (int64_t i = 0; i < view.inner; ++i) {
      int64_t hot = whole_number(indices, o * view.inner + i);
      if (hot < 0 && hot >= -depth) hot += depth;
      if (hot < 0 || hot >= depth) continue;
      const int64_t at = (o * depth + hot) * view.inner + i;
      std::memcpy(to + at * width, on, static_cast<size_t>(width));
    }
  }
  return {m.restore(out)};
}

std::vector<Tensor> eval_eye_like(const Call& call) {
  const Tensor& x = call.in(0);
  require(x.rank() == 2, call, "input ", shape_text(x.shape()), " is not of rank 2");
  const DType type = checked_dtype(call.integer("dtype", static_cast<int64_t>(x.dtype())), call);
  if (!is_count_type(type) && type != DType::kBool) unsupported_type(call, type);
  const int64_t k = call.integer("k", 0), rows = x.dim(0), columns = x.dim(1);
  Tensor out(DType::kUint8, x.shape());
  const auto y = out.mutable_data<uint8_t>();
  for (int64_t r = 0; r < rows; ++r) {
    // r + k, without overflow for any k.
    if (k < -r || k >= columns - r) continue;
    y[static_cast<size_t>(r * columns + r + k)] = 1;
  }
  return {cast(out, type)};
}

}  // namespace

extern const OpDef kOneHot{.type = "OneHot",
                           .since = 9,
                           .eval = eval_one_hot,
                           .quant = {.reason = "the output has two values only"}};
extern const OpDef kEyeLike{.type = "EyeLike",
                            .since = 9,
                            .eval = eval_eye_like,
                            .quant = {.reason = "the output has two values only"}};

}  // namespace qtool
