// DFT and STFT: discrete Fourier transforms, computed in double.
#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include "ops/movable.hpp"

namespace qtool {
namespace {

using Complex = std::complex<double>;

// Transforms of one length, by the Cooley-Tukey recursion over the prime factors of the length.
class Fourier {
 public:
  // sign −1: forward, +1: inverse (not scaled).
  Fourier(int64_t length, int sign) : length_(length) {
    for (int64_t k = 0; k < length; ++k) {
      const double angle =
          2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(length);
      roots_.emplace_back(std::cos(angle), sign * std::sin(angle));
    }
  }

  std::vector<Complex> operator()(const std::vector<Complex>& in) const {
    std::vector<Complex> out(in.size());
    transform(in.data(), 1, length_, out.data());
    return out;
  }

 private:
  // out[k] = Σ in[j * stride] e^(sign 2πi jk / n) for n elements.
  void transform(const Complex* in, int64_t stride, int64_t n, Complex* out) const {
    if (n <= 1) {
      if (n == 1) out[0] = in[0];
      return;
    }
    int64_t factor = 2;
    while (n % factor != 0) factor = factor * factor > n ? n : factor + 1;
    const int64_t part = n / factor;
    std::vector<Complex> parts(static_cast<size_t>(n));
    for (int64_t r = 0; r < factor; ++r) {
      transform(in + r * stride, stride * factor, part, parts.data() + r * part);
    }
    check_interrupted();
    for (int64_t k = 0; k < n; ++k) {
      Complex sum = 0;
      for (int64_t r = 0; r < factor; ++r) {
        sum += parts[static_cast<size_t>(r * part + k % part)] *
               roots_[static_cast<size_t>(r * k % n * stride)];
      }
      out[k] = sum;
    }
  }

  int64_t length_;
  std::vector<Complex> roots_;
};

// How one signal is read and its transform written.
struct Signal {
  int64_t length;   // of the transform
  int64_t present;  // elements that are read; zeros behind them
  int64_t in_parts, in_step, out_parts, out_count, out_step;  // parts: 1 real, 2 complex
  bool inverse, half;  // half: of the spectrum only the first half is written, or was given
};

// One transform, from `in` to `out`; `weights` may be null.
template <typename T>
void transform_signal(const Fourier& fourier, const Signal& s, const T* in, const T* weights,
                      T* out) {
  std::vector<Complex> x(static_cast<size_t>(s.length));
  for (int64_t i = 0; i < s.present; ++i) {
    const T* p = in + i * s.in_step;
    const double w = weights ? static_cast<double>(weights[i]) : 1;
    x[static_cast<size_t>(i)] = Complex(p[0], s.in_parts == 2 ? p[1] : T{}) * w;
  }
  if (s.inverse && s.half) {  // the other half is the mirrored conjugate
    for (int64_t i = s.length / 2 + 1; i < s.length; ++i) {
      x[static_cast<size_t>(i)] = std::conj(x[static_cast<size_t>(s.length - i)]);
    }
    // A real signal has real values at both ends of its spectrum.
    x[0] = x[0].real();
    if (s.length % 2 == 0)
      x[static_cast<size_t>(s.length / 2)] = x[static_cast<size_t>(s.length / 2)].real();
  }
  const std::vector<Complex> y = fourier(x);
  const double scale = s.inverse ? 1 / static_cast<double>(s.length) : 1;
  for (int64_t k = 0; k < s.out_count; ++k) {
    T* p = out + k * s.out_step;
    p[0] = static_cast<T>(y[static_cast<size_t>(k)].real() * scale);
    if (s.out_parts == 2) p[1] = static_cast<T>(y[static_cast<size_t>(k)].imag() * scale);
  }
}

int64_t transform_axis(const Call& call, int64_t rank) {
  int64_t axis =
      call.opset < 20 ? call.integer("axis", 1) : (call.has(2) ? index_scalar(call, 2) : -2);
  axis = normalize_axis(axis, rank, call.node);
  require(axis != rank - 1, call, "the axis of real and imaginary parts is not a signal");
  return axis;
}

std::vector<Tensor> eval_dft(const Call& call) {
  const Tensor& x = call.in(0);
  const int64_t axis = transform_axis(call, x.rank()), parts = x.dim(-1), size = x.dim(axis);
  const bool inverse = call.integer("inverse", 0) != 0, half = call.integer("onesided", 0) != 0;
  require(parts == 1 || parts == 2, call, "input ", shape_text(x.shape()), " has ", parts,
          " parts");
  require(!half || inverse == (parts == 2), call,
          "onesided needs real samples or a complex spectrum");
  const int64_t fallback = inverse && half ? 2 * (size - 1) : size;
  const int64_t length = call.has(1) ? index_scalar(call, 1) : fallback;
  require(length > 0 && length < (int64_t{1} << 40), call, "a transform of length ", length);
  const bool real_out = inverse && half;
  Shape shape = x.shape();
  shape[static_cast<size_t>(axis)] = half && !inverse ? length / 2 + 1 : length;
  shape.back() = real_out ? 1 : 2;
  return {with_float(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    Tensor out(x.dtype(), shape);
    if (out.size() == 0) return out;
    check_allocation(4 * static_cast<int64_t>(sizeof(Complex)) * length);
    const AxisView from = view_axis(x.shape(), axis), to = view_axis(shape, axis);
    const Signal s{length,       std::min(size, real_out ? length / 2 + 1 : length),
                   parts,        from.inner,
                   shape.back(), to.length,
                   to.inner,     inverse,
                   half};
    const Fourier fourier(length, inverse ? 1 : -1);
    const T* in = x.data<T>().data();
    T* y = out.mutable_data<T>().data();
    for (int64_t o = 0; o < from.outer; ++o) {
      for (int64_t i = 0; i < from.inner / parts; ++i) {
        transform_signal<T>(fourier, s, in + o * size * from.inner + i * parts, nullptr,
                            y + o * to.length * to.inner + i * shape.back());
      }
    }
    return out;
  })};
}

std::vector<Tensor> eval_stft(const Call& call) {
  // Exporters leave the last dimension of real signals out, and onnxruntime takes them so.
  const Tensor x = call.in(0).rank() == 2
                       ? call.in(0).reshaped({call.in(0).dim(0), call.in(0).dim(1), 1})
                       : call.in(0);
  require(x.rank() == 3 && (x.dim(2) == 1 || x.dim(2) == 2), call, "signal ", shape_text(x.shape()),
          " is not [batch, length, 1 or 2]");
  const int64_t batch = x.dim(0), samples = x.dim(1), parts = x.dim(2),
                step = index_scalar(call, 1);
  const bool half = call.integer("onesided", 1) != 0;
  require(!half || parts == 1, call, "onesided needs a real signal");
  int64_t length = call.has(2) ? call.in(2).size() : samples;
  if (call.has(3)) length = index_scalar(call, 3);
  require(!call.has(2) || (call.in(2).rank() == 1 && call.in(2).size() == length), call,
          "the window is ", call.has(2) ? shape_text(call.in(2).shape()) : "", ", frames have ",
          length);
  require(step > 0 && length > 0 && length <= samples, call, "frames of ", length, " every ", step,
          " of ", samples, " samples");
  const int64_t frames = (samples - length) / step + 1, bins = half ? length / 2 + 1 : length;
  return {with_float(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* window = call.has(2) ? input_data<T>(call, 2).data() : nullptr;
    Tensor out(x.dtype(), {batch, frames, bins, 2});
    const Signal s{length, length, parts, parts, 2, bins, 2, false, half};
    const Fourier fourier(length, -1);
    const T* in = x.data<T>().data();
    T* y = out.mutable_data<T>().data();
    for (int64_t b = 0; b < batch; ++b) {
      for (int64_t f = 0; f < frames; ++f, y += bins * 2) {
        transform_signal<T>(fourier, s, in + (b * samples + f * step) * parts, window, y);
      }
    }
    return out;
  })};
}

constexpr QuantRule kTransform{.reason = "a Fourier transform stays in float"};

}  // namespace

extern const OpDef kDFT{
    .type = "DFT", .since = 17, .eval = half_as_float<eval_dft>, .quant = kTransform};
extern const OpDef kSTFT{
    .type = "STFT", .since = 17, .eval = half_as_float<eval_stft>, .quant = kTransform};

}  // namespace qtool
