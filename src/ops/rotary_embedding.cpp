// RotaryEmbedding: pairs of features turned by an angle that depends on the token's position.
#include "ops/movable.hpp"

namespace qtool {
namespace {

struct Rotation {
  int64_t batch, heads, length, size,
      half;  // `half` pairs of each vector are turned, the rest stays
  bool flat, interleaved;
};

Rotation resolve(const Call& call) {
  const Tensor& x = call.in(0);
  require(x.rank() == 3 || x.rank() == 4, call, "input ", shape_text(x.shape()),
          " must have rank 3 or 4");
  Rotation r{};
  r.flat = x.rank() == 3;
  r.interleaved = call.integer("interleaved", 0) != 0;
  r.batch = x.dim(0);
  r.heads = r.flat ? call.integer("num_heads", 0) : x.dim(1);
  require(!r.flat || (r.heads >= 1 && x.dim(2) % r.heads == 0), call, "num_heads is ", r.heads);
  r.length = x.dim(r.flat ? 1 : 2);
  r.size = r.flat ? x.dim(2) / r.heads : x.dim(3);
  const int64_t turned = call.integer("rotary_embedding_dim", 0);
  require(turned >= 0 && turned <= r.size && (turned == 0 ? r.size : turned) % 2 == 0, call,
          "rotary_embedding_dim is ", turned, " of ", r.size);
  r.half = (turned == 0 ? r.size : turned) / 2;
  return r;
}

// Row of the caches for every token: its position, or its own place when the caches list every
// token.
std::vector<int64_t> cache_rows(const Call& call, const Rotation& r) {
  const Shape& cache = call.in(1).shape();
  require(call.in(2).shape() == cache, call, "cos_cache and sin_cache differ in shape");
  std::vector<int64_t> rows(static_cast<size_t>(r.batch * r.length));
  if (!call.has(3)) {
    require(cache == Shape{r.batch, r.length, r.half}, call, "caches are ", shape_text(cache),
            ", expected ", shape_text({r.batch, r.length, r.half}));
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int64_t>(i);
    return rows;
  }
  require(cache.size() == 2 && cache[1] == r.half, call, "caches are ", shape_text(cache), " for ",
          r.half, " pairs");
  require(call.in(3).shape() == Shape{r.batch, r.length}, call, "position_ids are ",
          shape_text(call.in(3).shape()));
  rows = index_data(call, 3);
  for (int64_t p : rows) require(p >= 0 && p < cache[0], call, "position ", p, " of ", cache[0]);
  return rows;
}

template <typename T>
Tensor rotate(const Call& call, const Rotation& r) {
  const std::vector<int64_t> rows = cache_rows(call, r);
  const T *cosines = input_data<T>(call, 1).data(), *sines = input_data<T>(call, 2).data();
  Tensor out = call.in(0);
  T* y = out.mutable_data<T>().data();
  for (int64_t b = 0; b < r.batch; ++b) {
    for (int64_t h = 0; h < r.heads; ++h) {
      for (int64_t s = 0; s < r.length; ++s) {
        T* v = y + (r.flat ? (b * r.length + s) * r.heads + h : (b * r.heads + h) * r.length + s) *
                       r.size;
        const int64_t row = rows[static_cast<size_t>(b * r.length + s)] * r.half;
        for (int64_t k = 0; k < r.half; ++k) {
          T& first = v[r.interleaved ? 2 * k : k];
          T& second = v[r.interleaved ? 2 * k + 1 : k + r.half];
          const T c = cosines[row + k], n = sines[row + k], a = first;
          first = c * a - n * second;
          second = n * a + c * second;
        }
      }
    }
  }
  return out;
}

std::vector<Tensor> eval_rotary(const Call& call) {
  const Rotation rotation = resolve(call);
  return {with_float(call, call.in(0).dtype(),
                     [&](auto zero) { return rotate<decltype(zero)>(call, rotation); })};
}

}  // namespace

extern const OpDef kRotaryEmbedding{
    .type = "RotaryEmbedding",
    .since = 23,
    .eval = half_as_float<eval_rotary>,
    .quant = {.reason = "turns pairs of features in float: no integer kernel"}};

}  // namespace qtool
