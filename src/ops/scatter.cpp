// ScatterElements (once Scatter), ScatterND and TensorScatter: a copy of a tensor with updates
// written, added … at given places.
#include <utility>

#include "ops/movable.hpp"

namespace qtool {
namespace {

// One element after an update.
template <typename T>
T combine(const std::string& reduction, T old, T update) {
  if (reduction == "max") return update > old || update != update ? update : old;
  if (reduction == "min") return update < old || update != update ? update : old;
  if constexpr (std::is_integral_v<T>) {  // wraps without overflow
    const auto a = static_cast<uint64_t>(old), b = static_cast<uint64_t>(update);
    return static_cast<T>(reduction == "add" ? a + b : a * b);
  } else {
    return reduction == "add" ? old + update : old * update;
  }
}

// One block of elements to be written: where to, where from.
struct Move {
  int64_t to, from;
};

Tensor apply(const Call& call, const Tensor& data, const Tensor& updates, int64_t block,
             const std::vector<Move>& moves, const std::string& reduction) {
  Tensor out = data;
  if (moves.empty() || block == 0) return out;
  if (reduction == "none") {
    const int64_t width = width_of(data);
    char* to = bytes_of(out);
    const char* from = bytes_of(updates);
    const auto size = static_cast<size_t>(block * width);
    for (const Move& m : moves) std::memcpy(to + m.to * width, from + m.from * width, size);
    return out;
  }
  with_number(call, data.dtype(), [&](auto zero) {
    using T = decltype(zero);
    T* to = out.mutable_data<T>().data();
    const T* from = updates.data<T>().data();
    for (const Move& m : moves) {
      for (int64_t i = 0; i < block; ++i) {
        to[m.to + i] = combine(reduction, to[m.to + i], from[m.from + i]);
      }
    }
  });
  return out;
}

// The scatter itself; `plan` lists the moves and gives the block of each.
template <auto plan>
std::vector<Tensor> scatter(const Call& call) {
  const Tensor &data = call.in(0), &updates = call.in(2);
  require(data.dtype() == updates.dtype(), call, "data is ", dtype_name(data.dtype()),
          ", updates are ", dtype_name(updates.dtype()));
  const std::string reduction = call.text("reduction", "none");
  int64_t block = 1;
  const std::vector<Move> moves = plan(call, block);
  if (reduction == "none") {
    const Movable m(call, {data, updates});
    return {m.restore(apply(call, m[0], m[1], block, moves, reduction))};
  }
  const bool known =
      reduction == "add" || reduction == "mul" || reduction == "max" || reduction == "min";
  require(known, call, "reduction '", printable(reduction), "' is not known");
  return {apply(call, data, updates, block, moves, reduction)};
}

// 16-bit floats are only computed with when there is something to compute.
template <auto plan>
std::vector<Tensor> eval_scatter(const Call& call) {
  if (call.text("reduction", "none") == "none") return scatter<plan>(call);
  return eval_half_as_float(call, scatter<plan>);
}

std::vector<Move> plan_elements(const Call& call, int64_t&) {
  const Shape &data = call.in(0).shape(), &where = call.in(1).shape();
  const auto rank = static_cast<int64_t>(data.size());
  const auto axis = static_cast<size_t>(normalize_axis(call.integer("axis", 0), rank, call.node));
  require(where.size() == data.size() && where == call.in(2).shape(), call, "indices ",
          shape_text(where), " and updates ", shape_text(call.in(2).shape()), " for data ",
          shape_text(data));
  for (size_t d = 0; d < data.size(); ++d) {
    require(d == axis || where[d] <= data[d], call, "indices ", shape_text(where),
            " reach beyond data ", shape_text(data));
  }
  const std::vector<int64_t> positions = index_data(call, 1);
  Shape strides = strides_of(data);
  const int64_t stride = std::exchange(strides[axis], 0);
  std::vector<Move> moves;
  moves.reserve(positions.size());
  for_each_run(simplified(LoopNest<2>{where, {strides_of(where), strides}}),
               [&](const auto& at, int64_t count, const auto& step) {
                 for (int64_t i = 0; i < count; ++i) {
                   const int64_t from = at[0] + i * step[0];
                   const int64_t p =
                       checked_index(positions[static_cast<size_t>(from)], data[axis], call);
                   moves.push_back({at[1] + i * step[1] + p * stride, from});
                 }
               });
  return moves;
}

std::vector<Move> plan_nd(const Call& call, int64_t& block) {
  const Shape &data = call.in(0).shape(), &where = call.in(1).shape();
  require(!where.empty(), call, "indices are a scalar");
  const int64_t depth = where.back();
  require(depth >= 1 && depth <= static_cast<int64_t>(data.size()), call, "index tuples of ", depth,
          " for data ", shape_text(data));
  Shape expected(where.begin(), where.end() - 1);
  expected.insert(expected.end(), data.begin() + depth, data.end());
  require(call.in(2).shape() == expected, call, "updates ", shape_text(call.in(2).shape()),
          ", expected ", shape_text(expected));
  block = element_count(Shape(data.begin() + depth, data.end()));
  const std::vector<int64_t> positions = index_data(call, 1);
  const Shape strides = strides_of(data);
  std::vector<Move> moves(positions.size() / static_cast<size_t>(depth));
  for (size_t t = 0; t < moves.size(); ++t) {
    moves[t].from = static_cast<int64_t>(t) * block;
    for (size_t k = 0; k < static_cast<size_t>(depth); ++k) {
      const int64_t index = positions[t * static_cast<size_t>(depth) + k];
      moves[t].to += checked_index(index, data[k], call) * strides[k];
    }
  }
  return moves;
}

std::vector<Tensor> eval_tensor_scatter(const Call& call) {
  const Tensor &past = call.in(0), &update = call.in(1);
  const int64_t axis = normalize_axis(call.integer("axis", -2), past.rank(), call.node);
  const auto at = static_cast<size_t>(axis);
  const std::string mode = call.text("mode", "linear");
  require(mode == "linear" || mode == "circular", call, "mode '", printable(mode),
          "' is not known");
  require(axis > 0 && update.rank() == past.rank(), call, "axis ", axis, " of cache ",
          shape_text(past.shape()), " with an update ", shape_text(update.shape()));
  Shape expected = past.shape();
  const int64_t room = expected[at], length = update.dim(axis);
  expected[at] = length;
  require(expected == update.shape() && length <= room, call, "an update ",
          shape_text(update.shape()), " for a cache ", shape_text(past.shape()));
  const auto batch = static_cast<size_t>(past.dim(0));
  const std::vector<int64_t> first =
      call.has(2) ? index_data(call, 2) : std::vector<int64_t>(batch, 0);
  require(first.size() == batch, call, first.size(), " write indices for a batch of ", batch);
  const AxisView view = view_axis(past.shape(), axis);
  std::vector<Move> moves;
  for (int64_t o = 0; o < view.outer; ++o) {
    const int64_t start = first[static_cast<size_t>(o / (view.outer / past.dim(0)))];
    const bool fits = mode == "circular" || start <= room - length;
    require(start >= 0 && fits, call, "write index ", start, " with an update of ", length,
            " for a cache of ", room);
    for (int64_t i = 0; i < length; ++i) {
      const int64_t p = (start % room + i) % room;
      moves.push_back({(o * room + p) * view.inner, (o * length + i) * view.inner});
    }
  }
  const Movable m(call, {past, update});
  return {m.restore(apply(call, m[0], m[1], view.inner, moves, "none"))};
}

constexpr QuantRule kUpdates{.reason = "writes single elements by index; left in float"};

}  // namespace

extern const OpDef kScatter{
    .type = "Scatter", .since = 9, .eval = eval_scatter<plan_elements>, .quant = kUpdates};
extern const OpDef kScatterElements{
    .type = "ScatterElements", .since = 11, .eval = eval_scatter<plan_elements>, .quant = kUpdates};
extern const OpDef kScatterND{
    .type = "ScatterND", .since = 11, .eval = eval_scatter<plan_nd>, .quant = kUpdates};
extern const OpDef kTensorScatter{
    .type = "TensorScatter", .since = 24, .eval = eval_tensor_scatter, .quant = kUpdates};

}  // namespace qtool
