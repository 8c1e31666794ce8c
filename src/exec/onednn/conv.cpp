// Convolution in float, with bias, residual and activation fused.
#include "exec/onednn/conv_kernel.hpp"
#include "exec/onednn/kernels.hpp"
#include "exec/onednn/window.hpp"
#include "qtool/ops.hpp"

namespace qtool::onednn {

std::unique_ptr<Kernel> make_conv(const KernelRequest& request) {
  const InputInfo& x = request.inputs[0];
  const InputInfo& w = request.inputs[1];
  if (x.dtype != DType::kFloat || w.dtype != DType::kFloat || w.layout || x.shape.size() < 3 ||
      x.shape.size() > 5)
    return nullptr;
  const ConvShape shape = conv_shape(request.node, x.shape, w.shape);
  if (!shape.valid()) return nullptr;
  if (request.has(2) &&
      (request.inputs[2].dtype != DType::kFloat || request.inputs[2].shape != Shape{w.shape[0]}))
    return nullptr;
  if (request.has(3) && request.inputs[3].shape != shape.output) return nullptr;
  // A picture one element wide is one that is one element high, and kernels block along rows.
  ConvShape flat = shape;
  Shape source = x.shape;
  const bool turned = is_column(shape, x.shape);
  if (turned) {
    turn(source);
    turn(flat);
  }
  dnnl::primitive_attr attr = user_scratchpad();
  dnnl::post_ops ops;
  if (request.has(3)) ops.append_sum();
  if (!append_activation(ops, request.node)) return nullptr;
  attr.set_post_ops(ops);
  const Descriptor bias =
      request.has(2) ? plain_descriptor(DType::kFloat, {w.shape[0]}) : Descriptor();
  try {
    const auto pd = convolution_descriptor(flat, any_descriptor(DType::kFloat, source),
                                           any_descriptor(DType::kFloat, flat.weights), bias,
                                           any_descriptor(DType::kFloat, flat.output), attr);
    return std::make_unique<ConvKernel<dnnl::convolution_forward>>(
        pd, request, shape.output, plain_descriptor(DType::kFloat, flat.weights), turned);
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

}  // namespace qtool::onednn
