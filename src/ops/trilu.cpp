// Trilu: the upper or lower triangle of matrices, zero elsewhere.
#include <algorithm>

#include "ops/movable.hpp"

namespace qtool {
namespace {

std::vector<Tensor> eval_trilu(const Call& call) {
  const Tensor& x = call.in(0);
  require(x.rank() >= 2, call, "input ", shape_text(x.shape()), " is not a matrix");
  const bool upper = call.integer("upper", 1) != 0;
  const int64_t rows = x.dim(-2), columns = x.dim(-1);
  const int64_t k = std::clamp(call.has(1) ? index_scalar(call, 1) : 0, -rows, columns);
  const Movable m(call, {x});
  Tensor out(m[0].dtype(), x.shape());
  if (out.size() == 0) return {m.restore(out)};
  const int64_t width = width_of(m[0]);
  char* to = bytes_of(out);
  const char* from = bytes_of(m[0]);
  for (int64_t row = 0; row < x.size() / columns; ++row) {
    // Column of the diagonal: the first kept one of an upper, the last of a lower triangle.
    const int64_t diagonal = row % rows + k;
    const int64_t first = upper ? std::clamp<int64_t>(diagonal, 0, columns) : 0;
    const int64_t end = upper ? columns : std::clamp<int64_t>(diagonal + 1, 0, columns);
    const int64_t offset = (row * columns + first) * width;
    std::memcpy(to + offset, from + offset, static_cast<size_t>((end - first) * width));
  }
  return {m.restore(out)};
}

}  // namespace

extern const OpDef kTrilu{.type = "Trilu",
                          .since = 14,
                          .eval = eval_trilu,
                          .quant = {.reason = "a mask over the elements; left in float"}};

}  // namespace qtool
