// DeformConv: a convolution in two dimensions whose kernel elements read at offset, interpolated
// positions, each times a mask.
#include "ops/convolution.hpp"

namespace qtool {
namespace {

// One plane read between its pixels; outside are zeros.
template <typename T>
double bilinear(const T* plane, int64_t height, int64_t width, double y, double x) {
  if (!(y > -1 && x > -1 && y < static_cast<double>(height) && x < static_cast<double>(width)))
    return 0;
  const double y_floor = std::floor(y), x_floor = std::floor(x);
  const auto y0 = static_cast<int64_t>(y_floor), x0 = static_cast<int64_t>(x_floor);
  const auto pixel = [&](int64_t row, int64_t column) {
    const bool inside = row >= 0 && row < height && column >= 0 && column < width;
    return inside ? static_cast<double>(plane[row * width + column]) : 0.0;
  };
  const double dy = y - y_floor, dx = x - x_floor;
  return (pixel(y0, x0) * (1 - dx) + pixel(y0, x0 + 1) * dx) * (1 - dy) +
         (pixel(y0 + 1, x0) * (1 - dx) + pixel(y0 + 1, x0 + 1) * dx) * dy;
}

template <typename T>
class Deformed {
 public:
  Deformed(const Call& call, const Convolution& c)
      : c_(c),
        w_(c.window),
        offset_groups_(call.integer("offset_group", 1)),
        x_(call.in(0).data<T>().data()),
        weight_(input_data<T>(call, 1).data()),
        offset_(input_data<T>(call, 2).data()) {
    require(offset_groups_ >= 1 && c.in_channels % offset_groups_ == 0, call, c.in_channels,
            " channels in ", offset_groups_, " offset groups");
    const int64_t taps = offset_groups_ * w_.kernel_area();
    const Shape offsets{c.batch, 2 * taps, w_.out[1], w_.out[2]};
    const Shape masks{c.batch, taps, w_.out[1], w_.out[2]};
    require(call.in(2).shape() == offsets, call, "offsets ", shape_text(call.in(2).shape()),
            ", expected ", shape_text(offsets));
    if (call.has(3)) {
      bias_ = input_data<T>(call, 3).data();
      require(call.in(3).shape() == Shape{c.out_channels}, call, "bias ",
              shape_text(call.in(3).shape()), " for ", c.out_channels, " filters");
    }
    if (call.has(4)) {
      mask_ = input_data<T>(call, 4).data();
      require(call.in(4).shape() == masks, call, "a mask ", shape_text(call.in(4).shape()),
              ", expected ", shape_text(masks));
    }
  }

  Tensor run(DType type) const {
    Tensor out = Tensor::uninitialized(type, c_.shape);
    T* y = out.template mutable_data<T>().data();
    std::vector<double> columns(
        static_cast<size_t>(c_.in_channels * w_.kernel_area()));  // what one position reads
    for (int64_t n = 0; n < c_.batch; ++n) {
      for (int64_t at = 0; at < w_.out_area(); ++at) {
        gather(n, at, columns);
        for (int64_t m = 0; m < c_.out_channels; ++m)
          y[(n * c_.out_channels + m) * w_.out_area() + at] = static_cast<T>(sum(m, columns));
      }
    }
    return out;
  }

 private:
  void gather(int64_t n, int64_t at, std::vector<double>& columns) const {
    const int64_t area = w_.kernel_area(), per_group = c_.in_channels / offset_groups_;
    const int64_t row = at / w_.out[2], column = at % w_.out[2];
    for (int64_t channel = 0; channel < c_.in_channels; ++channel) {
      const T* plane = x_ + (n * c_.in_channels + channel) * w_.in_area();
      for (int64_t k = 0; k < area; ++k) {
        const int64_t tap = (n * offset_groups_ + channel / per_group) * area + k;
        const int64_t i = k / w_.kernel[2], j = k % w_.kernel[2];
        const double y = static_cast<double>(row * w_.stride[1] - w_.pad[1] + i * w_.dilation[1]) +
                         offset_[2 * tap * w_.out_area() + at],
                     x = static_cast<double>(column * w_.stride[2] - w_.pad[2] +
                                             j * w_.dilation[2]) +
                         offset_[(2 * tap + 1) * w_.out_area() + at];
        const double mask = mask_ ? mask_[tap * w_.out_area() + at] : 1.0;
        columns[static_cast<size_t>(channel * area + k)] =
            mask * bilinear(plane, w_.in[1], w_.in[2], y, x);
      }
    }
  }

  double sum(int64_t m, const std::vector<double>& columns) const {
    const int64_t count = c_.in_channels / c_.groups * w_.kernel_area();
    const int64_t group = m / (c_.out_channels / c_.groups);
    double total = bias_ ? bias_[m] : 0.0;
    for (int64_t k = 0; k < count; ++k)
      total += weight_[m * count + k] * columns[static_cast<size_t>(group * count + k)];
    return total;
  }

  const Convolution& c_;
  const Window3& w_;
  int64_t offset_groups_;
  const T *x_, *weight_, *offset_, *bias_ = nullptr, *mask_ = nullptr;
};

std::vector<Tensor> eval_deform_conv(const Call& call) {
  const Tensor& x = call.in(0);
  refuse(x.rank() != 4, call, "only two spatial dimensions are supported, the input is ",
         shape_text(x.shape()));
  const Convolution c = resolve_convolution(call, x, call.in(1));
  return {with_float(call, x.dtype(),
                     [&](auto zero) { return Deformed<decltype(zero)>(call, c).run(x.dtype()); })};
}

int64_t deform_conv_macs(const Node&, std::span<const Shape> inputs,
                         std::span<const Shape> outputs) {
  return convolution_macs(inputs, outputs, 1);
}

}  // namespace

extern const OpDef kDeformConv{
    .type = "DeformConv",
    .since = 19,
    .eval = half_as_float<eval_deform_conv>,
    .macs = deform_conv_macs,
    .quant = {.reason = "reads between pixels: no integer kernel for this operator"}};

}  // namespace qtool
