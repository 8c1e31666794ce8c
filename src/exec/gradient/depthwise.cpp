#include "exec/gradient/depthwise.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/clones.hpp"

namespace qtool::gradient {
namespace {

typedef float Float8 __attribute__((vector_size(32)));

// Σ a · b; sums of so many products a lane are float32, all else is double.
constexpr int64_t kRun = 512;
QTOOL_AVX2_CLONES double dot(const float* a, const float* b, int64_t n) {
  double sum = 0;
  for (int64_t begin = 0; begin < n; begin += kRun) {
    const int64_t end = std::min(n, begin + kRun);
    Float8 even = {}, odd = {}, x, y;
    int64_t i = begin;
    for (; i + 16 <= end; i += 16) {
      std::memcpy(&x, a + i, sizeof x);
      std::memcpy(&y, b + i, sizeof y);
      even += x * y;
      std::memcpy(&x, a + i + 8, sizeof x);
      std::memcpy(&y, b + i + 8, sizeof y);
      odd += x * y;
    }
    even += odd;
    float rest = 0;
    for (; i < end; ++i) rest += a[i] * b[i];
    sum += double{(even[0] + even[4]) + (even[1] + even[5])} +
           double{(even[2] + even[6]) + (even[3] + even[7])} + rest;
  }
  return sum;
}

// One dimension of the window.
struct Axis {
  int64_t input, output, kernel, stride, step, pad;  // step: between taps
  int64_t phases() const { return std::min(stride, (kernel - 1) * step + 1); }
  // Places of one phase that any tap of any output reads.
  int64_t places() const { return output + (kernel - 1) * step / stride; }
  // Those that are not padding.
  std::pair<int64_t, int64_t> inside(int64_t phase) const {
    const auto from = [&](int64_t x) {  // the first place at x or behind it
      return std::clamp<int64_t>((x + pad - phase + stride - 1) / stride, 0, places());
    };
    const int64_t begin = pad > phase ? from(0) : 0;
    return {begin, std::max(begin, input + pad > phase ? from(input) : 0)};
  }
};

// A plane with its border of zeros, taken apart by the remainders of its coordinates by the strides: there a tap's
// partners of all outputs lie as the outputs themselves do, in rows of the same length.
class Planes {
 public:
  Planes(const Axis& rows, const Axis& columns)
      : rows_(rows),
        columns_(columns),
        pitch_(columns.places()),
        phase_(static_cast<size_t>(rows.places() * pitch_)),
        x_(static_cast<size_t>(rows.phases() * columns.phases()) * phase_, 0.f),
        dy_(static_cast<size_t>((rows.output - 1) * pitch_ + columns.output), 0.f) {}

  void read_input(const float* plane) {
    for (int64_t a = 0; a < rows_.phases(); ++a) {
      for (int64_t b = 0; b < columns_.phases(); ++b) {
        float* to = x_.data() + static_cast<size_t>(a * columns_.phases() + b) * phase_;
        const auto [begin, end] = columns_.inside(b);
        for (int64_t r = 0; r < rows_.places(); ++r, to += pitch_) {
          const int64_t y = r * rows_.stride + a - rows_.pad;
          if (y < 0 || y >= rows_.input) continue;
          const float* from =
              plane + y * columns_.input + begin * columns_.stride + b - columns_.pad;
          if (columns_.stride == 1) {
            std::copy(from, from + (end - begin), to + begin);
            continue;
          }
          for (int64_t c = begin; c < end; ++c, from += columns_.stride) to[c] = *from;
        }
      }
    }
  }
  void read_gradient(const float* plane) {
    for (int64_t r = 0; r < rows_.output; ++r)
      std::copy_n(plane + r * columns_.output, columns_.output, dy_.data() + r * pitch_);
  }
  double tap(int64_t i, int64_t j) const {
    const int64_t y = i * rows_.step, x = j * columns_.step;
    const auto phase =
        static_cast<size_t>(y % rows_.stride * columns_.phases() + x % columns_.stride);
    return dot(x_.data() + phase * phase_ + y / rows_.stride * pitch_ + x / columns_.stride,
               dy_.data(), static_cast<int64_t>(dy_.size()));
  }

 private:
  Axis rows_, columns_;
  int64_t pitch_;
  size_t phase_;
  std::vector<float> x_, dy_;
};

Axis axis_of(const onednn::ConvShape& s, const Shape& input, size_t d) {
  return {input[2 + d], s.output[2 + d],    s.weights[3 + d],
          s.strides[d], s.dilations[d] + 1, s.pads_begin[d]};
}

}  // namespace

bool is_depthwise(const onednn::ConvShape& s, const Shape& input) {
  return s.valid() && s.weights.size() == input.size() + 1 && s.weights[2] == 1 &&
         (input.size() == 3 || input.size() == 4);
}

Tensor depthwise_weight_gradient(const onednn::ConvShape& s, const Tensor& x, const Tensor& dy,
                                 const Shape& weight) {
  const bool flat = x.rank() == 3;
  const Axis columns = axis_of(s, x.shape(), flat ? 0 : 1),
             rows = flat ? Axis{1, 1, 1, 1, 1, 0} : axis_of(s, x.shape(), 0);
  const int64_t filters = s.output[1], inputs = x.dim(1), taps = rows.kernel * columns.kernel;
  Planes planes(rows, columns);
  std::vector<double> sums(static_cast<size_t>(filters * taps), 0.0);
  const float *from = x.data<float>().data(), *gradient = dy.data<float>().data();
  for (int64_t n = 0; n < x.dim(0); ++n) {
    for (int64_t f = 0; f < filters; ++f) {
      const int64_t channel = n * inputs + f * inputs / filters;
      if (f * inputs % filters == 0) planes.read_input(from + channel * rows.input * columns.input);
      planes.read_gradient(gradient + (n * filters + f) * rows.output * columns.output);
      double* to = sums.data() + f * taps;
      for (int64_t i = 0; i < rows.kernel; ++i)
        for (int64_t j = 0; j < columns.kernel; ++j) *to++ += planes.tap(i, j);
    }
  }
  Tensor result = Tensor::uninitialized(DType::kFloat, weight);
  std::ranges::copy(sums, result.mutable_data<float>().begin());
  return result;
}

}  // namespace qtool::gradient
