// ConvInteger and MatMulInteger with constant symmetric weights. Codes without their zero points are int16 here, so
// that processors add pairs of products in int32, where they fit: sums are exact on every one of them.
#include "base/clones.hpp"
#include "exec/integer/kernels.hpp"
#include "qtool/ops.hpp"

namespace qtool::integer {
namespace {

// Rows and filters end with zeros up to a multiple of it.
constexpr int64_t kLanes = 16;
// Short sums are the reference's, which adds whole planes.
constexpr int64_t kLeastDepth = 16;

int64_t padded(int64_t depth) { return (depth + kLanes - 1) / kLanes * kLanes; }

struct Strides {
  int64_t row, filter;
};

// y[r · row + f · filter] = Σ_k rows[r][k] · filters[f][k].
QTOOL_AVX2_CLONES void multiply(const int16_t* rows, int64_t count, const int16_t* filters,
                                int64_t filter_count, int64_t depth, int32_t* y, Strides to) {
  constexpr int64_t kTogether = 4;
  for (int64_t f = 0; f < filter_count; ++f) {
    const int16_t* const w = filters + f * depth;
    int64_t r = 0;
    for (; r + kTogether <= count; r += kTogether) {
      const int16_t *a = rows + r * depth, *b = a + depth, *c = b + depth, *d = c + depth;
      int32_t sums[kTogether] = {};
      for (int64_t k = 0; k < depth; ++k) {
        sums[0] += int32_t{a[k]} * w[k];
        sums[1] += int32_t{b[k]} * w[k];
        sums[2] += int32_t{c[k]} * w[k];
        sums[3] += int32_t{d[k]} * w[k];
      }
      for (int64_t i = 0; i < kTogether; ++i) y[(r + i) * to.row + f * to.filter] = sums[i];
    }
    for (; r < count; ++r) {
      int32_t sum = 0;
      for (int64_t k = 0; k < depth; ++k) sum += int32_t{rows[r * depth + k]} * w[k];
      y[r * to.row + f * to.filter] = sum;
    }
  }
}

template <typename Code>
void center(const Tensor& codes, int32_t zero_point, int16_t* out) {
  for (const Code code : codes.data<Code>()) *out++ = static_cast<int16_t>(code - zero_point);
}

std::vector<int16_t> centered(const Tensor& codes, const Array& zero_point) {
  const auto zero = zero_point.defined() ? static_cast<int32_t>(zero_point.tensor.integer(0)) : 0;
  std::vector<int16_t> out(static_cast<size_t>(codes.size()));
  codes.dtype() == DType::kUint8 ? center<uint8_t>(codes, zero, out.data())
                                 : center<int8_t>(codes, zero, out.data());
  return out;
}

// The weights, when they are constant and symmetric and there is one zero point of the input.
const Tensor* usable_weights(const KernelRequest& r) {
  const Tensor* weights = r.constant(1);
  if (!weights || weights->dtype() != DType::kInt8 || !is_eight_bit(r.inputs[0].dtype))
    return nullptr;
  if (r.has(2) && element_count(r.inputs[2].shape) != 1) return nullptr;
  if (!r.has(3)) return weights;
  const Tensor* zeros = r.constant(3);
  for (int64_t i = 0; zeros && i < zeros->size(); ++i)
    if (zeros->integer(i) != 0) return nullptr;
  return zeros ? weights : nullptr;
}

const Array& zero_point_of(std::span<Array> inputs) {
  static const Array kNone;
  return inputs.size() > 2 ? inputs[2] : kNone;
}

class ConvSums : public Kernel {
 public:
  ConvSums(const Tensor& weights, Window window, int64_t groups)
      : window_(std::move(window)), groups_(groups), filters_(weights.dim(0)) {
    const int64_t real = weights.size() / filters_;
    depth_ = padded(real);
    packed_.resize(static_cast<size_t>(filters_ * depth_));
    for (int64_t i = 0; i < weights.size(); ++i)
      packed_[static_cast<size_t>(i / real * depth_ + i % real)] =
          weights.data<int8_t>()[static_cast<size_t>(i)];
  }

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    const Tensor x = inputs[0].plain();
    const std::vector<int16_t> codes = centered(x, zero_point_of(inputs));
    const int64_t height = window_.output[0], width = window_.output[1], batch = x.dim(0),
                  channels = x.dim(1) / groups_, filters = filters_ / groups_,
                  plane = window_.input[0] * window_.input[1];
    Tensor y = Tensor::uninitialized(DType::kInt32, {batch, filters_, height, width});
    int32_t* const sums = y.mutable_data<int32_t>().data();
    std::vector<int16_t> patches(static_cast<size_t>(width * depth_));
    for (int64_t n = 0; n < batch; ++n) {
      for (int64_t g = 0; g < groups_; ++g) {
        for (int64_t row = 0; row < height; ++row) {
          gather(codes.data() + (n * groups_ + g) * channels * plane, channels, row,
                 patches.data());
          multiply(patches.data(), width, packed_.data() + g * filters * depth_, filters, depth_,
                   sums + ((n * filters_ + g * filters) * height + row) * width,
                   {1, height * width});
        }
      }
    }
    outputs[0] = Array(std::move(y));
  }

  std::string name() const override { return "integer:sums"; }

 private:
  // What the filters see at each position of an output row; zero outside of the input.
  void gather(const int16_t* codes, int64_t channels, int64_t row, int16_t* patches) const {
    const Window& w = window_;
    const int64_t width = w.output[1];
    int64_t k = 0;
    for (int64_t c = 0; c < channels; ++c, codes += w.input[0] * w.input[1]) {
      for (int64_t a = 0; a < w.kernel[0]; ++a) {
        const int64_t from = row * w.strides[0] + a * w.dilations[0] - w.pads_begin[0];
        const bool inside = from >= 0 && from < w.input[0];
        for (int64_t b = 0; b < w.kernel[1]; ++b, ++k) {
          int64_t at = b * w.dilations[1] - w.pads_begin[1];
          for (int64_t i = 0; i < width; ++i, at += w.strides[1]) {
            patches[i * depth_ + k] =
                inside && at >= 0 && at < w.input[1] ? codes[from * w.input[1] + at] : int16_t{0};
          }
        }
      }
    }
  }

  Window window_;
  int64_t groups_, filters_, depth_ = 0;
  std::vector<int16_t> packed_;
};

class ProductSums : public Kernel {
 public:
  explicit ProductSums(const Tensor& weights)
      : real_(weights.dim(0)), columns_(weights.dim(1)), depth_(padded(real_)) {
    packed_.resize(static_cast<size_t>(columns_ * depth_));
    for (int64_t i = 0; i < weights.size(); ++i)
      packed_[static_cast<size_t>(i % columns_ * depth_ + i / columns_)] =
          weights.data<int8_t>()[static_cast<size_t>(i)];
  }

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    const Tensor a = inputs[0].plain();
    const std::vector<int16_t> codes = centered(a, zero_point_of(inputs));
    const int64_t rows = a.size() / real_;
    Shape shape = a.shape();
    shape.back() = columns_;
    Tensor y = Tensor::uninitialized(DType::kInt32, shape);
    int32_t* const sums = y.mutable_data<int32_t>().data();
    constexpr int64_t kRows = 32;  // that stay in the cache while all columns pass
    std::vector<int16_t> some(static_cast<size_t>(kRows * depth_));
    for (int64_t r = 0; r < rows; r += kRows) {
      const int64_t count = std::min(kRows, rows - r);
      for (int64_t i = 0; i < count; ++i)
        std::copy_n(codes.data() + (r + i) * real_, real_, some.data() + i * depth_);
      multiply(some.data(), count, packed_.data(), columns_, depth_, sums + r * columns_,
               {columns_, 1});
    }
    outputs[0] = Array(std::move(y));
  }

  std::string name() const override { return "integer:sums"; }

 private:
  int64_t real_, columns_, depth_;
  std::vector<int16_t> packed_;
};

}  // namespace

std::unique_ptr<Kernel> make_conv_sums(const KernelRequest& request) {
  const Tensor* weights = usable_weights(request);
  const Shape& x = request.inputs[0].shape;
  if (!weights || x.size() != 4 || weights->rank() != 4 || weights->size() == 0) return nullptr;
  const int64_t groups = attr_int(request.node, "group", 1);
  if (groups < 1 || x[1] != weights->dim(1) * groups || weights->dim(0) % groups != 0 ||
      weights->size() / weights->dim(0) < kLeastDepth)
    return nullptr;
  return std::make_unique<ConvSums>(
      *weights, resolve_window(request.node, x, {weights->dim(2), weights->dim(3)}), groups);
}

std::unique_ptr<Kernel> make_product_sums(const KernelRequest& request) {
  const Tensor* weights = usable_weights(request);
  const Shape& a = request.inputs[0].shape;
  if (!weights || weights->rank() != 2 || weights->size() == 0 || a.size() < 2 ||
      a.back() != weights->dim(0))
    return nullptr;
  return std::make_unique<ProductSums>(*weights);
}

}  // namespace qtool::integer
