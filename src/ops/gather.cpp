// Gather, GatherElements and GatherND: elements picked by index.
#include <algorithm>

#include "ops/movable.hpp"

namespace qtool {
namespace {

std::vector<Tensor> eval_gather(const Call& call) {
  const Tensor& x = call.in(0);
  const int64_t axis = normalize_axis(call.integer("axis", 0), x.rank(), call.node);
  std::vector<int64_t> positions = index_data(call, 1);
  for (int64_t& p : positions) p = checked_index(p, x.dim(axis), call);
  Shape shape(x.shape().begin(), x.shape().begin() + axis);
  const Shape& picked = call.in(1).shape();
  shape.insert(shape.end(), picked.begin(), picked.end());
  shape.insert(shape.end(), x.shape().begin() + axis + 1, x.shape().end());
  const Movable m(call, {x});
  return {m.restore(take(m[0], axis, positions).reshaped(shape))};
}

std::vector<Tensor> eval_gather_elements(const Call& call) {
  const Tensor &x = call.in(0), &where = call.in(1);
  const int64_t axis = normalize_axis(call.integer("axis", 0), x.rank(), call.node);
  const std::vector<int64_t> positions = index_data(call, 1);
  require(where.rank() == x.rank(), call, "indices ", shape_text(where.shape()), " for data ",
          shape_text(x.shape()));
  for (int64_t d = 0; d < x.rank(); ++d) {
    require(d == axis || where.dim(d) <= x.dim(d), call, "indices ", shape_text(where.shape()),
            " reach beyond data ", shape_text(x.shape()));
  }
  const int64_t size = x.dim(axis), stride = strides_of(x.shape())[static_cast<size_t>(axis)];
  Shape strides = strides_of(x.shape());
  strides[static_cast<size_t>(axis)] = 0;
  const Movable m(call, {x});
  Tensor out = Tensor::uninitialized(m[0].dtype(), where.shape());
  if (out.size() == 0) return {m.restore(out)};
  char* to = bytes_of(out);
  const char* from = bytes_of(m[0]);
  const LoopNest<2> nest{where.shape(), {strides_of(where.shape()), strides}};
  with_width(width_of(m[0]), [&](auto constant) {
    constexpr size_t kWidth = constant;
    for_each_run(simplified(nest), [&](const auto& at, int64_t count, const auto& step) {
      for (int64_t i = 0; i < count; ++i) {
        const int64_t o = at[0] + i * step[0];
        const int64_t p = checked_index(positions[static_cast<size_t>(o)], size, call);
        const int64_t e = at[1] + i * step[1] + p * stride;
        std::memcpy(to + o * int64_t{kWidth}, from + e * int64_t{kWidth}, kWidth);
      }
    });
  });
  return {m.restore(out)};
}

std::vector<Tensor> eval_gather_nd(const Call& call) {
  const Tensor &x = call.in(0), &where = call.in(1);
  const int64_t batch_dims = call.integer("batch_dims", 0);
  require(where.rank() >= 1 && batch_dims >= 0 && batch_dims < std::min(x.rank(), where.rank()),
          call, "batch_dims ", batch_dims, " with data ", shape_text(x.shape()), " and indices ",
          shape_text(where.shape()));
  const int64_t depth = where.dim(-1);
  require(depth >= 1 && depth <= x.rank() - batch_dims, call, "index tuples of ", depth,
          " for data ", shape_text(x.shape()));
  for (int64_t d = 0; d < batch_dims; ++d) {
    require(x.dim(d) == where.dim(d), call, "batch dimensions of ", shape_text(x.shape()), " and ",
            shape_text(where.shape()), " differ");
  }
  const std::vector<int64_t> positions = index_data(call, 1);
  const auto tail = x.shape().begin() + batch_dims + depth;
  Shape shape(where.shape().begin(), where.shape().end() - 1);
  shape.insert(shape.end(), tail, x.shape().end());
  const Movable m(call, {x});
  Tensor out = Tensor::uninitialized(m[0].dtype(), shape);
  if (out.size() == 0) return {m.restore(out)};
  const Shape strides = strides_of(x.shape());
  const int64_t tuples = where.size() / depth;
  const int64_t batches = element_count(Shape(x.shape().begin(), x.shape().begin() + batch_dims));
  const int64_t per_batch = x.size() / batches;
  const int64_t width = width_of(m[0]), block = element_count(Shape(tail, x.shape().end())) * width;
  char* to = bytes_of(out);
  for (int64_t t = 0; t < tuples; ++t) {
    int64_t e = t / (tuples / batches) * per_batch;
    for (int64_t k = 0; k < depth; ++k) {
      const int64_t index = positions[static_cast<size_t>(t * depth + k)];
      e += checked_index(index, x.dim(batch_dims + k), call) *
           strides[static_cast<size_t>(batch_dims + k)];
    }
    std::memcpy(to + t * block, bytes_of(m[0]) + e * width, static_cast<size_t>(block));
  }
  return {m.restore(out)};
}

constexpr QuantRule kPicks{.reason = "picks single elements by index; left in float"};

}  // namespace

extern const OpDef kGather{
    .type = "Gather",
    .eval = eval_gather,
    .quant = {.kind = QuantKind::kMovement, .stored = {{{0, ""}}}, .picks_rows = true}};
extern const OpDef kGatherElements{
    .type = "GatherElements", .since = 11, .eval = eval_gather_elements, .quant = kPicks};
extern const OpDef kGatherND{
    .type = "GatherND", .since = 11, .eval = eval_gather_nd, .quant = kPicks};

}  // namespace qtool
