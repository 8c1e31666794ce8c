// AffineGrid: the sampling grid of an affine transformation, for GridSample.
#include <array>

#include "ops/movable.hpp"

namespace qtool {
namespace {

// Centre (or corner) of pixel i of `length` in [−1, 1].
double base_coordinate(int64_t i, int64_t length, bool align_corners) {
  const double n = static_cast<double>(length), k = static_cast<double>(i);
  return align_corners ? 2 * k / (n - 1) - 1 : (2 * k + 1) / n - 1;
}

template <typename T>
Tensor affine_grid(const Call& call, const std::vector<int64_t>& size, bool align_corners) {
  const auto dims = static_cast<int64_t>(size.size()) - 2;
  std::array<int64_t, 3> extent{1, 1, 1};
  std::copy(size.begin() + 2, size.end(), extent.begin() + 3 - dims);
  Shape shape{size[0]};
  shape.insert(shape.end(), size.begin() + 2, size.end());
  shape.push_back(dims);
  Tensor out = Tensor::uninitialized(dtype_of<T>(), shape);
  if (out.size() == 0) return out;
  const T* theta = input_data<T>(call, 0).data();
  T* y = out.mutable_data<T>().data();
  for (int64_t n = 0; n < size[0]; ++n, theta += dims * (dims + 1)) {
    for (int64_t a = 0; a < extent[0]; ++a) {
      for (int64_t b = 0; b < extent[1]; ++b) {
        for (int64_t c = 0; c < extent[2]; ++c) {
          // x first, as the rows of theta want it.
          const std::array<double, 3> at{
              base_coordinate(c, extent[2], align_corners),
              base_coordinate(b, extent[1], align_corners),
              dims == 3 ? base_coordinate(a, extent[0], align_corners) : 0};
          for (int64_t row = 0; row < dims; ++row) {
            double sum = theta[row * (dims + 1) + dims];
            for (int64_t k = 0; k < dims; ++k)
              sum += theta[row * (dims + 1) + k] * at[static_cast<size_t>(k)];
            *y++ = static_cast<T>(sum);
          }
        }
      }
    }
  }
  return out;
}

std::vector<Tensor> eval_affine_grid(const Call& call) {
  const std::vector<int64_t> size = index_data(call, 1);
  require(size.size() == 4 || size.size() == 5, call, "size has ", size.size(),
          " entries, expected 4 or 5");
  const auto dims = static_cast<int64_t>(size.size()) - 2;
  require(call.in(0).shape() == Shape{size[0], dims, dims + 1}, call, "theta is ",
          shape_text(call.in(0).shape()), ", expected ", shape_text({size[0], dims, dims + 1}));
  const bool align_corners = call.integer("align_corners", 0) != 0;
  for (size_t d = 2; d < size.size(); ++d) {
    refuse(align_corners && size[d] == 1, call,
           "aligned corners of a dimension of one are not defined");
  }
  return {with_float(call, call.in(0).dtype(), [&](auto zero) {
    return affine_grid<decltype(zero)>(call, size, align_corners);
  })};
}

}  // namespace

extern const OpDef kAffineGrid{.type = "AffineGrid",
                               .since = 20,
                               .eval = half_as_float<eval_affine_grid>,
                               .quant = {.reason = "the output is coordinates, not activations"}};

}  // namespace qtool
