// QGemm (com.microsoft) and QMatMul (qtool): u8 or s8 rows times a constant symmetric s8 matrix.
#include "exec/onednn/kernels.hpp"
#include "exec/onednn/quantized.hpp"

namespace qtool::onednn {
namespace {

// Inputs: a, a_scale, a_zero_point, b, b_scale, b_zero_point, bias, y_scale, y_zero_point (absent: a float result).
constexpr size_t kWeights = 3, kBias = 6, kResultScale = 7;

class QuantizedGemmKernel : public Kernel {
 public:
  QuantizedGemmKernel(const dnnl::matmul::primitive_desc& pd, QuantizedAttributes attributes,
                      const KernelRequest& request, const Descriptor& plain_weights, Shape output)
      : pd_(pd), primitive_(pd), attributes_(std::move(attributes)), output_(std::move(output)) {
    packed_ = reordered(request.constant(kWeights)->raw(), plain_weights, pd_.weights_desc());
    if (request.has(kBias)) bias_ = bias_values(*request.constant(kBias), attributes_.parameters());
  }

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    const Tensor source = inputs[0].plain();
    outputs[0] = Array(Tensor::uninitialized(attributes_.parameters().result, output_));
    Arguments arguments{{DNNL_ARG_SRC, memory_of(pd_.src_desc(), source.raw())},
                        {DNNL_ARG_WEIGHTS, memory_of(pd_.weights_desc(), packed_.raw())},
                        {DNNL_ARG_DST, memory_of(pd_.dst_desc(), outputs[0].tensor.mutable_raw())}};
    if (bias_.defined()) arguments.insert({DNNL_ARG_BIAS, memory_of(pd_.bias_desc(), bias_.raw())});
    attributes_.bind(arguments);
    execute(primitive_, pd_.scratchpad_desc(), arguments);
  }

  std::string name() const override { return implementation(pd_); }

 private:
  dnnl::matmul::primitive_desc pd_;
  dnnl::matmul primitive_;
  QuantizedAttributes attributes_;
  Shape output_;
  Tensor packed_, bias_;
};

}  // namespace

std::unique_ptr<Kernel> make_quantized_gemm(const KernelRequest& request) {
  const InputInfo& a = request.inputs[0];
  const bool transposed = attr_int(request.node, "transB", 0);
  const bool gemm = request.node.type == "QGemm";
  if (a.shape.size() < 2 || (gemm && a.shape.size() != 2) || attr_int(request.node, "transA", 0) ||
      attr_float(request.node, "alpha", 1) != 1)
    return nullptr;
  if (request.inputs.size() < 7) return nullptr;
  auto parameters = layer_parameters(request, kResultScale);
  if (!parameters || (request.has(kBias) && !request.constant(kBias))) return nullptr;
  const Shape& b = request.inputs[kWeights].shape;
  if (b.size() != 2) return nullptr;
  const Shape weights = transposed ? Shape{b[1], b[0]} : b;
  // Leading dimensions are rows of one matrix.
  if (element_count(a.shape) <= 0 || a.shape.back() != weights[0]) return nullptr;
  const Shape rows = {element_count(a.shape) / weights[0], weights[0]};
  const Shape strides = transposed ? Shape{1, b[1]} : Shape{b[1], 1};
  const Descriptor plain_weights(weights, dnnl::memory::data_type::s8, strides);
  Shape output = a.shape;
  output.back() = weights[1];
  if (!fits(*parameters, request.constant(kBias), weights[1])) return nullptr;
  const Descriptor bias = request.has(kBias) ? bias_descriptor(weights[1], 2) : Descriptor();
  const Descriptor source = plain_descriptor(a.dtype, rows),
                   result = plain_descriptor(parameters->result, {rows[0], weights[1]});
  const Descriptor packed = any_descriptor(DType::kInt8, weights);
  try {
    QuantizedAttributes attributes(request, std::move(*parameters), 2);
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::matmul::primitive_desc pd(engine(), source, packed, bias, result,
                                          attributes.attr());
#else
    const dnnl::matmul::primitive_desc pd(dnnl::matmul::desc(source, packed, bias, result),
                                          attributes.attr(), engine());
#endif
    return std::make_unique<QuantizedGemmKernel>(pd, std::move(attributes), request, plain_weights,
                                                 std::move(output));
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

}  // namespace qtool::onednn
