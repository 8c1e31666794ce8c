// DFT and STFT: discrete Fourier transforms, computed in double.
#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include "ops/movable.hpp"

namespace qtool {
namespace {

using Complex = std::complex<double>;

// Without the look at infinities that the operator takes.
Complex product(const Complex& a, const Complex& b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

// Transforms of one length, by the Cooley-Tukey recursion over fours and the prime factors of the length.
class Fourier {
 public:
  // sign −1: forward, +1: inverse (not scaled).
  Fourier(int64_t length, int sign) : length_(length), quarter_(0, sign) {
    for (int64_t k = 0; k < length; ++k) {
      const double angle =
          2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(length);
      roots_.emplace_back(std::cos(angle), sign * std::sin(angle));
    }
    terms_.resize(static_cast<size_t>(length));
  }

  // out[k] = Σ in[j] e^(sign 2πi jk / length); `out` is another place.
  void operator()(const Complex* in, Complex* out) { transform(in, 1, length_, out); }

 private:
  // The same of n elements that lie `stride` = length / n apart.
  void transform(const Complex* in, int64_t stride, int64_t n, Complex* out) {
    constexpr int64_t kLarge = 1 << 12;
    if (n == 1) {
      *out = *in;
      return;
    }
    if (n >= kLarge) check_interrupted();
    const int64_t factor = first_factor(n), part = n / factor;
    for (int64_t r = 0; r < factor; ++r)
      transform(in + r * stride, stride * factor, part, out + r * part);
    if (factor == 4)
      join_four(stride, part, out);
    else
      join(factor, stride, part, out);
  }

  static int64_t first_factor(int64_t n) {
    if (n % 4 == 0) return 4;
    int64_t factor = 2;
    while (n % factor != 0) factor = factor * factor > n ? n : factor + 1;
    return factor;
  }

  const Complex& root(int64_t k) const { return roots_[static_cast<size_t>(k)]; }

  // Joins `factor` transforms of `part` elements each, in place: column k is transformed by itself.
  void join(int64_t factor, int64_t stride, int64_t part, Complex* out) {
    for (int64_t k = 0; k < part; ++k) {
      for (int64_t r = 0; r < factor; ++r)
        terms_[static_cast<size_t>(r)] = product(out[r * part + k], root(r * k * stride));
      for (int64_t q = 0; q < factor; ++q) {
        Complex sum = terms_[0];
        for (int64_t r = 1; r < factor; ++r)
          sum += product(terms_[static_cast<size_t>(r)], root(r * q % factor * part * stride));
        out[q * part + k] = sum;
      }
    }
  }

  void join_four(int64_t stride, int64_t part, Complex* out) const {
    Complex *a = out, *b = a + part, *c = b + part, *d = c + part;
    for (int64_t k = 0; k < part; ++k) {
      const Complex second = product(b[k], root(k * stride)),
                    third = product(c[k], root(2 * k * stride)),
                    fourth = product(d[k], root(3 * k * stride));
      const Complex even = a[k] + third, off = a[k] - third, odd = second + fourth,
                    turned = product(second - fourth, quarter_);
      a[k] = even + odd;
      b[k] = off + turned;
      c[k] = even - odd;
      d[k] = off - turned;
    }
  }

  int64_t length_;
  Complex quarter_;  // the root of a fourth of a turn
  std::vector<Complex> roots_, terms_;
};

// How one signal is read and its transform written.
struct Signal {
  int64_t length;   // of the transform
  int64_t present;  // elements that are read; zeros behind them
  int64_t in_parts, in_step, out_parts, out_count, out_step;  // parts: 1 real, 2 complex
  bool inverse, half;  // half: of the spectrum only the first half is written, or was given
};

// One signal after another.
class SignalTransform {
 public:
  explicit SignalTransform(const Signal& signal)
      : signal_(signal),
        fourier_(signal.length, signal.inverse ? 1 : -1),
        x_(static_cast<size_t>(signal.length)),
        y_(x_.size()) {}

  // From `in` to `out`; `weights` may be null.
  template <typename T>
  void operator()(const T* in, const T* weights, T* out) {
    const Signal& s = signal_;
    for (int64_t i = 0; i < s.present; ++i) {
      const T* p = in + i * s.in_step;
      const double w = weights ? static_cast<double>(weights[i]) : 1;
      x_[static_cast<size_t>(i)] = Complex(p[0], s.in_parts == 2 ? p[1] : T{}) * w;
    }
    if (s.inverse && s.half) mirror();
    fourier_(x_.data(), y_.data());
    const double scale = s.inverse ? 1 / static_cast<double>(s.length) : 1;
    for (int64_t k = 0; k < s.out_count; ++k) {
      T* p = out + k * s.out_step;
      p[0] = static_cast<T>(y_[static_cast<size_t>(k)].real() * scale);
      if (s.out_parts == 2) p[1] = static_cast<T>(y_[static_cast<size_t>(k)].imag() * scale);
    }
  }

 private:
  // The other half of a real signal's spectrum is the conjugate, and both ends are real.
  void mirror() {
    const auto length = x_.size();
    for (size_t i = length / 2 + 1; i < length; ++i) x_[i] = std::conj(x_[length - i]);
    x_[0] = x_[0].real();
    if (length % 2 == 0) x_[length / 2] = x_[length / 2].real();
  }

  Signal signal_;
  Fourier fourier_;
  std::vector<Complex> x_, y_;
};

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
    SignalTransform transform(s);
    const T* in = x.data<T>().data();
    T* y = out.mutable_data<T>().data();
    for (int64_t o = 0; o < from.outer; ++o) {
      for (int64_t i = 0; i < from.inner / parts; ++i) {
        transform(in + o * size * from.inner + i * parts, static_cast<const T*>(nullptr),
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
    SignalTransform transform(s);
    const T* in = x.data<T>().data();
    T* y = out.mutable_data<T>().data();
    for (int64_t b = 0; b < batch; ++b) {
      for (int64_t f = 0; f < frames; ++f, y += bins * 2) {
        transform(in + (b * samples + f * step) * parts, window, y);
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
