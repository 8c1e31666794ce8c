// Transposed convolution whose kernel steps over itself, as in the upward path of segmentation nets: no two
// inputs meet in one output, so it is a 1×1 convolution to all positions of the kernel, put in place.
#include <algorithm>
#include <cstring>

#include "exec/onednn/kernels.hpp"
#include "exec/onednn/primitive.hpp"
#include "exec/onednn/window.hpp"

namespace qtool::onednn {
namespace {

// Sizes of a call; `height` counts the rows of all samples, the kernel's and the output's rows are one for a
// line of values.
struct Sizes {
  int64_t height, width, kernel_height, kernel_width, filters;
  int64_t positions() const { return kernel_height * kernel_width; }
};

// [in, filters, kernel…] as [kernel…, filters, in].
Tensor by_position(const Tensor& weights, const Sizes& s) {
  const int64_t inputs = weights.dim(0);
  Tensor out = Tensor::uninitialized(DType::kFloat, {s.positions() * s.filters, inputs});
  const float* from = weights.data<float>().data();
  float* to = out.mutable_data<float>().data();
  for (int64_t i = 0; i < inputs; ++i)
    for (int64_t f = 0; f < s.filters; ++f)
      for (int64_t p = 0; p < s.positions(); ++p) to[(p * s.filters + f) * inputs + i] = *from++;
  return out;
}

Tensor at_every_position(const Tensor& bias, const Sizes& s) {
  Tensor out = Tensor::uninitialized(DType::kFloat, {s.positions() * s.filters});
  for (int64_t p = 0; p < s.positions(); ++p)
    std::memcpy(out.mutable_data<float>().data() + p * s.filters, bias.raw(),
                static_cast<size_t>(bias.bytes()));
  return out;
}

class UpconvolutionKernel : public Kernel {
 public:
  UpconvolutionKernel(const dnnl::convolution_forward::primitive_desc& pd,
                      const KernelRequest& request, Shape output, const Sizes& sizes)
      : name_(implementation(pd)),
        sizes_(sizes),
        output_(std::move(output)),
        source_(request.inputs[0], pd.src_desc()),
        weights_(pd.weights_desc()),
        plain_weights_(plain_descriptor(DType::kFloat, pd.weights_desc().dims())),
        bytes_(pd.dst_desc().get_size()),
        reads_constants_(request.constant(0) || (request.has(2) && !request.constant(2))) {
    if (sizes.filters > 1)
      layout_ = layout_of(channels_last(DType::kFloat, output_), DType::kFloat, output_);
    if (const Tensor* weights = request.constant(1))
      packed_ = packed(*weights);
    else
      reads_constants_ = true;
    if (const Tensor* bias = request.constant(2)) bias_ = at_every_position(*bias, sizes);
    std::vector<Primitive::Argument> arguments{{DNNL_ARG_SRC, pd.src_desc()},
                                               {DNNL_ARG_DST, pd.dst_desc()},
                                               {DNNL_ARG_WEIGHTS, pd.weights_desc()}};
    has_bias_ = request.has(2);
    if (has_bias_) arguments.push_back({DNNL_ARG_BIAS, pd.bias_desc()});
    primitive_.emplace(dnnl::convolution_forward(pd), pd.scratchpad_desc(), std::move(arguments));
  }

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    Tensor keep;
    const Tensor weights = packed_.defined() ? packed_ : packed(inputs[1].plain());
    const Tensor bias =
        !has_bias_ || bias_.defined() ? bias_ : at_every_position(inputs[2].plain(), sizes_);
    Tensor all = Tensor::uninitialized(DType::kUint8, {static_cast<int64_t>(bytes_)});
    const void* const addresses[] = {source_.address(inputs[0], keep), all.mutable_raw(),
                                     weights.raw(), has_bias_ ? bias.raw() : nullptr};
    primitive_->run(std::span(addresses).first(has_bias_ ? 4 : 3));
    outputs[0] = make_array(DType::kFloat, output_, layout_,
                            static_cast<size_t>(byte_size(DType::kFloat, element_count(output_))));
    place(static_cast<const float*>(all.raw()),
          static_cast<float*>(outputs[0].tensor.mutable_raw()));
  }

  std::string name() const override { return name_; }
  bool reads_constants() const override { return reads_constants_; }

 private:
  Tensor packed(const Tensor& weights) const {
    return reordered(by_position(weights, sizes_).raw(), plain_weights_, weights_);
  }

  // A row of pixels holds kernel_height rows of the output.
  void place(const float* from, float* to) const {
    const auto [height, width, kernel_height, kernel_width, filters] = sizes_;
    const int64_t block = kernel_width * filters, pixel = kernel_height * block;
#pragma omp parallel for schedule(static) if (height > 16)
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t i = 0; i < kernel_height; ++i) {
        const float* source = from + y * width * pixel + i * block;
        float* target = to + (y * kernel_height + i) * width * block;
        for (int64_t x = 0; x < width; ++x)
          std::memcpy(target + x * block, source + x * pixel,
                      static_cast<size_t>(block) * sizeof(float));
      }
    }
  }

  std::string name_;
  Sizes sizes_;
  Shape output_;
  std::shared_ptr<const Layout> layout_;
  Source source_;
  Descriptor weights_, plain_weights_;
  size_t bytes_;
  Tensor packed_, bias_;
  bool has_bias_ = false, reads_constants_;
  std::optional<Primitive> primitive_;
};

// The kernel is as wide as its steps, and nothing is cut off or added.
bool steps_over_itself(const ConvShape& s, const Shape& weights) {
  const auto zero = [](int64_t v) { return v == 0; };
  return s.weights.size() == weights.size() && std::ranges::all_of(s.dilations, zero) &&
         std::ranges::all_of(s.pads_begin, zero) && std::ranges::all_of(s.pads_end, zero) &&
         s.strides == Shape(weights.begin() + 2, weights.end());
}

}  // namespace

std::unique_ptr<Kernel> make_upconvolution(const KernelRequest& request) {
  const InputInfo &x = request.inputs[0], &w = request.inputs[1];
  if (x.dtype != DType::kFloat || w.dtype != DType::kFloat || w.layout || x.shape.size() < 3 ||
      x.shape.size() > 4)
    return nullptr;
  const ConvShape shape = transposed_shape(request.node, request.opset, x.shape, w.shape);
  if (!shape.valid() || !steps_over_itself(shape, w.shape)) return nullptr;
  const int64_t filters = w.shape[1];
  if (request.has(2) &&
      (request.inputs[2].dtype != DType::kFloat || request.inputs[2].shape != Shape{filters}))
    return nullptr;
  const bool plane = x.shape.size() == 4;
  const Sizes sizes{x.shape[0] * (plane ? x.shape[2] : 1), x.shape.back(), plane ? w.shape[2] : 1,
                    w.shape.back(), filters};
  const int64_t all = sizes.positions() * filters;
  ConvShape pointwise;
  pointwise.output = x.shape;
  pointwise.output[1] = all;
  pointwise.weights = Shape(x.shape.size(), 1);
  pointwise.weights[0] = all, pointwise.weights[1] = x.shape[1];
  pointwise.strides = Shape(x.shape.size() - 2, 1);
  pointwise.dilations = pointwise.pads_begin = pointwise.pads_end = Shape(x.shape.size() - 2, 0);
  const Descriptor bias = request.has(2) ? plain_descriptor(DType::kFloat, {all}) : Descriptor();
  try {
    const auto pd =
        convolution_descriptor(pointwise, channels_last(DType::kFloat, x.shape),
                               any_descriptor(DType::kFloat, pointwise.weights), bias,
                               channels_last(DType::kFloat, pointwise.output), user_scratchpad());
    if (std::string_view(pd.impl_info_str()).find("ref") != std::string_view::npos) return nullptr;
    return std::make_unique<UpconvolutionKernel>(pd, request, shape.input, sizes);
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

}  // namespace qtool::onednn
