// Operators that give the same elements other dimensions; the bytes are shared, never copied.
#include <algorithm>

#include "ops/movable.hpp"

namespace qtool {
namespace {

std::vector<Tensor> eval_identity(const Call& call) { return {call.in(0)}; }

// Dimensions as Reshape's rules resolve them: 0 copies the input's, one −1 takes what is left.
Shape resolve_shape(const Call& call, const Tensor& x, Shape shape) {
  const bool allow_zero = call.integer("allowzero", 0) != 0;
  int64_t open = -1;
  for (size_t d = 0; d < shape.size(); ++d) {
    require(shape[d] >= -1, call, "dimension ", shape[d], " is negative");
    if (shape[d] == -1) {
      require(open < 0, call, "more than one dimension is -1 in ", shape_text(shape));
      open = static_cast<int64_t>(d);
    } else if (shape[d] == 0 && !allow_zero) {
      require(d < x.shape().size(), call, "dimension ", d, " is to be copied from ",
              shape_text(x.shape()));
      shape[d] = x.shape()[d];
    }
  }
  if (open >= 0) {
    shape[static_cast<size_t>(open)] = 1;
    const int64_t known = element_count(shape);
    require(known > 0 && x.size() % known == 0, call, shape_text(x.shape()),
            " does not fit dimensions of ", known, " elements and one -1");
    shape[static_cast<size_t>(open)] = x.size() / known;
  }
  require(element_count(shape) == x.size(), call, shape_text(x.shape()), " has another size than ",
          shape_text(shape));
  return shape;
}

std::vector<Tensor> eval_reshape(const Call& call) {
  const Tensor& x = call.in(0);
  require(call.has(1) || find_attribute(call.node, "shape"), call, "no shape is given");
  return {x.reshaped(resolve_shape(call, x, call.integers_or_input("shape", 1)))};
}

std::vector<Tensor> eval_flatten(const Call& call) {
  const Tensor& x = call.in(0);
  int64_t axis = call.integer("axis", 1);
  // One more than an axis: everything may go to the outer dimension.
  if (axis != x.rank()) axis = normalize_axis(axis, x.rank(), call.node);
  const auto middle = x.shape().begin() + axis;
  return {x.reshaped({element_count(Shape(x.shape().begin(), middle)),
                      element_count(Shape(middle, x.shape().end()))})};
}

std::vector<Tensor> eval_squeeze(const Call& call) {
  const Tensor& x = call.in(0);
  const std::vector<int64_t> axes =
      normalize_axes(call.integers_or_input("axes", 1), x.rank(), call.node);
  Shape shape;
  for (int64_t d = 0; d < x.rank(); ++d) {
    const bool listed = std::binary_search(axes.begin(), axes.end(), d);
    require(!listed || x.dim(d) == 1, call, "dimension ", d, " of ", shape_text(x.shape()),
            " is not 1");
    if (!listed && !(axes.empty() && x.dim(d) == 1)) shape.push_back(x.dim(d));
  }
  return {x.reshaped(shape)};
}

std::vector<Tensor> eval_unsqueeze(const Call& call) {
  const Tensor& x = call.in(0);
  std::vector<int64_t> axes = call.integers_or_input("axes", 1);
  axes = normalize_axes(axes, x.rank() + static_cast<int64_t>(axes.size()), call.node);
  Shape shape = x.shape();
  for (const int64_t a : axes) shape.insert(shape.begin() + a, 1);
  return {x.reshaped(shape)};
}

constexpr QuantRule kMovement{.kind = QuantKind::kMovement};

}  // namespace

extern const OpDef kIdentity{
    .type = "Identity", .eval = eval_identity, .quant = kMovement, .containers = true};
extern const OpDef kReshape{.type = "Reshape", .eval = eval_reshape, .quant = kMovement};
extern const OpDef kFlatten{.type = "Flatten", .eval = eval_flatten, .quant = kMovement};
extern const OpDef kSqueeze{.type = "Squeeze", .eval = eval_squeeze, .quant = kMovement};
extern const OpDef kUnsqueeze{.type = "Unsqueeze", .eval = eval_unsqueeze, .quant = kMovement};

}  // namespace qtool
