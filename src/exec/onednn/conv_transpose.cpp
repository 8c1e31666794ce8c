// Transposed convolution in float, with its bias.
#include "exec/onednn/conv_kernel.hpp"
#include "exec/onednn/kernels.hpp"
#include "exec/onednn/window.hpp"

namespace qtool::onednn {
namespace {

using Deconvolution = dnnl::deconvolution_forward;

// ONNX's weights [groups, in, out, kernel…] in memory, seen as oneDNN's [groups, out, in, kernel…].
struct Weights {
  Shape shape, strides;
};
Weights swapped(const Shape& weights, bool grouped) {
  Weights w{weights, strides_of(weights)};
  const size_t in = grouped ? 1 : 0;
  std::swap(w.shape[in], w.shape[in + 1]);
  std::swap(w.strides[in], w.strides[in + 1]);
  return w;
}

Deconvolution::primitive_desc descriptor(const ConvShape& s, const Shape& weights,
                                         const Descriptor& bias) {
  const auto kind = dnnl::prop_kind::forward_inference;
  const auto algorithm = dnnl::algorithm::deconvolution_direct;
  const Descriptor source = any_descriptor(DType::kFloat, s.output),
                   packed = any_descriptor(DType::kFloat, weights),
                   result = any_descriptor(DType::kFloat, s.input);
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), kind,      algorithm,   source,       packed,     bias,
          result,   s.strides, s.dilations, s.pads_begin, s.pads_end, user_scratchpad()};
#else
  const Deconvolution::desc desc(kind, algorithm, source, packed, bias, result, s.strides,
                                 s.dilations, s.pads_begin, s.pads_end);
  return {desc, user_scratchpad(), engine()};
#endif
}

}  // namespace

std::unique_ptr<Kernel> make_conv_transpose(const KernelRequest& request) {
  const InputInfo &x = request.inputs[0], &w = request.inputs[1];
  if (x.dtype != DType::kFloat || w.dtype != DType::kFloat || w.layout || x.shape.size() < 3 ||
      x.shape.size() > 5)
    return nullptr;
  const ConvShape shape = transposed_shape(request.node, request.opset, x.shape, w.shape);
  if (!shape.valid()) return nullptr;
  if (request.has(2) && (request.inputs[2].dtype != DType::kFloat ||
                         request.inputs[2].shape != Shape{shape.input[1]}))
    return nullptr;
  const Weights weights = swapped(shape.weights, shape.weights.size() > w.shape.size());
  const Descriptor bias =
      request.has(2) ? plain_descriptor(DType::kFloat, {shape.input[1]}) : Descriptor();
  try {
    return std::make_unique<ConvKernel<Deconvolution>>(
        descriptor(shape, weights.shape, bias), request, shape.input,
        Descriptor(weights.shape, dnnl::memory::data_type::f32, weights.strides));
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

}  // namespace qtool::onednn
