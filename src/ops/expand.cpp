// Expand and Tile: a tensor repeated along its dimensions.
#include <algorithm>

#include "ops/movable.hpp"

namespace qtool {
namespace {

std::vector<Tensor> eval_expand(const Call& call) {
  const Tensor& x = call.in(0);
  const std::vector<int64_t> wanted = index_data(call, 1);
  for (const int64_t d : wanted) require(d >= 0, call, "dimension ", d, " is negative");
  const Shape shape = broadcast(x.shape(), wanted);
  if (shape == x.shape()) return {x};
  element_count(shape);  // throws for absurd dimensions
  const Movable m(call, {x});
  return {m.restore(strided(m[0], shape, broadcast_strides(x.shape(), shape)))};
}

// Before opset 6 one axis is repeated, and the counts have the type of the data.
std::vector<int64_t> repeats_of(const Call& call) {
  const int64_t rank = call.in(0).rank();
  if (call.opset >= 6) return index_data(call, 1);
  require(call.in(1).size() == 1 && call.in(2).size() == 1, call, "tiles and axis must be scalars");
  std::vector<int64_t> repeats(static_cast<size_t>(rank), 1);
  const double tiles = call.in(1).number(0), axis = call.in(2).number(0);
  require(std::abs(tiles) < 1e15 && std::abs(axis) < 1e15, call, "tiles or axis is out of range");
  const int64_t at = normalize_axis(static_cast<int64_t>(axis), rank, call.node);
  repeats[static_cast<size_t>(at)] = static_cast<int64_t>(tiles);
  return repeats;
}

std::vector<Tensor> eval_tile(const Call& call) {
  const Tensor& x = call.in(0);
  const std::vector<int64_t> repeats = repeats_of(call);
  require(static_cast<int64_t>(repeats.size()) == x.rank(), call, repeats.size(),
          " repeats for a tensor of rank ", x.rank());
  const Shape from = strides_of(x.shape());
  Shape merged, shape, strides;
  for (size_t d = 0; d < repeats.size(); ++d) {
    require(repeats[d] >= 0, call, "repeats of ", repeats[d]);
    merged.push_back(checked_multiply(x.shape()[d], repeats[d], call));
    shape.insert(shape.end(), {repeats[d], x.shape()[d]});
    strides.insert(strides.end(), {0, from[d]});
  }
  element_count(merged);  // throws for absurd dimensions
  const Movable m(call, {x});
  return {m.restore(strided(m[0], shape, strides).reshaped(merged))};
}

constexpr QuantRule kMovement{.kind = QuantKind::kMovement};

}  // namespace

extern const OpDef kExpand{.type = "Expand", .since = 8, .eval = eval_expand, .quant = kMovement};
extern const OpDef kTile{.type = "Tile", .eval = eval_tile, .quant = kMovement};

}  // namespace qtool
