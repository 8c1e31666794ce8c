// Transpose, and DepthToSpace and SpaceToDepth, which are transposes of split dimensions.
#include "ops/movable.hpp"

namespace qtool {
namespace {

// x seen with dimensions `split`, these permuted, then given dimensions `merged`.
Tensor permuted(const Tensor& x, const Shape& split, const std::vector<int64_t>& perm,
                const Shape& merged) {
  const Shape from = strides_of(split);
  Shape shape, strides;
  for (const int64_t p : perm) {
    shape.push_back(split[static_cast<size_t>(p)]);
    strides.push_back(from[static_cast<size_t>(p)]);
  }
  return strided(x, shape, strides).reshaped(merged);
}

std::vector<Tensor> eval_transpose(const Call& call) {
  const Tensor& x = call.in(0);
  std::vector<int64_t> perm = call.integers("perm");
  if (perm.empty()) {
    for (int64_t d = x.rank(); d-- > 0;) perm.push_back(d);
  }
  require(static_cast<int64_t>(perm.size()) == x.rank(), call, "perm has ", perm.size(),
          " entries for a tensor of rank ", x.rank());
  normalize_axes(perm, x.rank(), call.node);  // throws when one is listed twice
  Shape shape;
  for (int64_t& p : perm) {
    p = normalize_axis(p, x.rank(), call.node);
    shape.push_back(x.dim(p));
  }
  const Movable m(call, {x});
  return {m.restore(permuted(m[0], x.shape(), perm, shape))};
}

int64_t block_size(const Call& call) {
  const int64_t block = call.integer("blocksize", 0);
  require(block > 0 && block < (1 << 20), call, "blocksize ", block, " is out of range");
  require(call.in(0).rank() == 4, call, "input ", shape_text(call.in(0).shape()),
          " is not of rank 4");
  return block;
}

std::vector<Tensor> eval_depth_to_space(const Call& call) {
  const Tensor& x = call.in(0);
  const int64_t b = block_size(call), depth = x.dim(1) / (b * b);
  require(x.dim(1) == depth * b * b, call, x.dim(1), " channels do not make blocks of ", b);
  const std::string mode = call.text("mode", "DCR");
  require(mode == "DCR" || mode == "CRD", call, "mode '", printable(mode), "' is not known");
  const int64_t n = x.dim(0), h = x.dim(2), w = x.dim(3);
  const Shape merged{n, depth, checked_multiply(h, b, call), checked_multiply(w, b, call)};
  const Movable m(call, {x});
  if (mode == "DCR")
    return {m.restore(permuted(m[0], {n, b, b, depth, h, w}, {0, 3, 4, 1, 5, 2}, merged))};
  return {m.restore(permuted(m[0], {n, depth, b, b, h, w}, {0, 1, 4, 2, 5, 3}, merged))};
}

std::vector<Tensor> eval_space_to_depth(const Call& call) {
  const Tensor& x = call.in(0);
  const int64_t b = block_size(call);
  const int64_t n = x.dim(0), c = x.dim(1), h = x.dim(2) / b, w = x.dim(3) / b;
  require(h * b == x.dim(2) && w * b == x.dim(3), call, shape_text(x.shape()),
          " does not divide into blocks of ", b);
  const std::string mode = call.text("mode", "DCR");
  require(mode == "DCR" || mode == "CRD", call, "mode '", printable(mode), "' is not known");
  const Shape merged{n, checked_multiply(c, b * b, call), h, w};
  const std::vector<int64_t> perm = mode == "DCR" ? std::vector<int64_t>{0, 3, 5, 1, 2, 4}
                                                  : std::vector<int64_t>{0, 1, 3, 5, 2, 4};
  const Movable m(call, {x});
  return {m.restore(permuted(m[0], {n, c, h, b, w, b}, perm, merged))};
}

constexpr QuantRule kMovement{.kind = QuantKind::kMovement};

}  // namespace

extern const OpDef kTranspose{.type = "Transpose", .eval = eval_transpose, .quant = kMovement};
extern const OpDef kDepthToSpace{
    .type = "DepthToSpace", .eval = eval_depth_to_space, .quant = kMovement};
extern const OpDef kSpaceToDepth{
    .type = "SpaceToDepth", .eval = eval_space_to_depth, .quant = kMovement};

}  // namespace qtool
