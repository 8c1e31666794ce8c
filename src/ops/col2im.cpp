// Col2Im: columns of blocks summed back into an image, the reverse of a convolution's unfolding.
#include "ops/movable.hpp"

namespace qtool {
namespace {

// Everything has one entry a spatial dimension.
struct Blocks {
  std::vector<int64_t> image, block, strides, dilations, begin, count;
};

std::vector<int64_t> spatial(const Call& call, std::string_view name, size_t entries,
                             int64_t fallback, int64_t low) {
  std::vector<int64_t> v = call.integers(name);
  if (v.empty()) v.assign(entries, fallback);
  require(v.size() == entries, call, "'", name, "' has ", v.size(), " entries, expected ", entries);
  for (const int64_t x : v) require(x >= low && x < (1 << 30), call, "'", name, "' is ", x);
  return v;
}

Blocks resolve_blocks(const Call& call) {
  Blocks b;
  b.image = index_data(call, 1);
  b.block = index_data(call, 2);
  const size_t dims = b.image.size();
  require(dims >= 1 && b.block.size() == dims, call, "image_shape has ", dims, " and block_shape ",
          b.block.size(), " entries");
  b.strides = spatial(call, "strides", dims, 1, 1);
  b.dilations = spatial(call, "dilations", dims, 1, 1);
  b.begin = spatial(call, "pads", 2 * dims, 0, 0);
  for (size_t d = 0; d < dims; ++d) {
    const bool fits =
        b.image[d] >= 1 && b.image[d] < (1 << 30) && b.block[d] >= 1 && b.block[d] < (1 << 30);
    require(fits, call, "image ", b.image[d], " with blocks ", b.block[d]);
    const int64_t span = (b.block[d] - 1) * b.dilations[d] + 1;
    const int64_t room = b.image[d] + b.begin[d] + b.begin[d + dims] - span;
    require(room >= 0, call, "a block of ", span, " is larger than the padded image");
    b.count.push_back(room / b.strides[d] + 1);
  }
  b.begin.resize(dims);
  return b;
}

// Counts `at` up in row-major order; false after the last.
bool advance(std::vector<int64_t>& at, const std::vector<int64_t>& limits) {
  for (size_t d = at.size(); d-- > 0;) {
    if (++at[d] < limits[d]) return true;
    at[d] = 0;
  }
  return false;
}

// Offset in the image of element `in_block` of block `where`; −1 when it lies in the padding.
int64_t image_offset(const Blocks& b, const std::vector<int64_t>& in_block,
                     const std::vector<int64_t>& where) {
  int64_t offset = 0;
  for (size_t d = 0; d < b.image.size(); ++d) {
    const int64_t p = where[d] * b.strides[d] + in_block[d] * b.dilations[d] - b.begin[d];
    if (p < 0 || p >= b.image[d]) return -1;
    offset = offset * b.image[d] + p;
  }
  return offset;
}

std::vector<Tensor> eval_col2im(const Call& call) {
  const Tensor& x = call.in(0);
  const Blocks b = resolve_blocks(call);
  require(x.rank() == 3, call, "input ", shape_text(x.shape()), " is not of rank 3");
  const int64_t elements = element_count(b.block), places = element_count(b.count);
  require(x.dim(1) % elements == 0 && x.dim(2) == places, call, "input ", shape_text(x.shape()),
          " for blocks of ", elements, " elements at ", places, " places");
  Shape shape{x.dim(0), x.dim(1) / elements};
  const int64_t images = element_count(shape);
  shape.insert(shape.end(), b.image.begin(), b.image.end());
  return {with_number(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    Tensor out(x.dtype(), shape);
    if (out.size() == 0) return out;
    T* y = out.mutable_data<T>().data();
    const T* from = x.data<T>().data();
    const int64_t pixels = element_count(b.image);
    for (int64_t image = 0; image < images; ++image, y += pixels) {
      std::vector<int64_t> in_block(b.image.size(), 0);
      do {
        std::vector<int64_t> where(b.image.size(), 0);
        do {
          const int64_t offset = image_offset(b, in_block, where);
          if (offset >= 0) y[offset] = static_cast<T>(y[offset] + *from);
          ++from;
        } while (advance(where, b.count));
      } while (advance(in_block, b.block));
    }
    return out;
  })};
}

}  // namespace

extern const OpDef kCol2Im{.type = "Col2Im", .since = 18, .eval = half_as_float<eval_col2im>};

}  // namespace qtool
