// QGemm (com.microsoft) and QMatMul (qtool): u8 or s8 rows times a constant symmetric s8 matrix.
#include "exec/onednn/kernels.hpp"
#include "exec/onednn/quantized.hpp"
#include "exec/onednn/rows.hpp"

namespace qtool::onednn {
namespace {

// Inputs: a, a_scale, a_zero_point, b, b_scale, b_zero_point, bias, y_scale, y_zero_point (absent: a float result).
// kRow: a row of floats that was added behind the product.
constexpr size_t kWeights = 3, kBias = 6, kResultScale = 7, kRow = 9;

// A product by either of oneDNN's ways, its weights packed.
class QuantizedGemmKernel : public RowsKernel {
 public:
  template <typename PrimitiveDescriptor>
  QuantizedGemmKernel(const PrimitiveDescriptor& pd, const dnnl::primitive& primitive,
                      QuantizedAttributes attributes, const KernelRequest& request, Tensor packed,
                      Shape output)
      : RowsKernel(implementation(pd), request, std::move(packed), attributes.parameters().result,
                   std::move(output)),
        attributes_(std::move(attributes)) {
    std::vector<Primitive::Argument> all = arguments(pd);
    if (request.has(kBias)) {
      bias_ = bias_values(*request.constant(kBias), attributes_.parameters());
      all.push_back({DNNL_ARG_BIAS, pd.bias_desc(), bias_.raw()});
    }
    if (request.has(kRow)) {
      row_ = *request.constant(kRow);
      all.push_back({attributes_.row_argument(), attributes_.row_descriptor(), row_.raw()});
    }
    attributes_.bind(all);
    primitive_.emplace(primitive, pd.scratchpad_desc(), std::move(all));
  }

 private:
  QuantizedAttributes attributes_;
  Tensor row_;
};

struct Operands {
  RowsShape shape;
  Shape output;
  bool transposed;
};

// u8 only: for s8 inputs convolutions halve the weights where products of pairs saturate.
std::unique_ptr<Kernel> make_convolution(const KernelRequest& request,
                                         const LayerParameters& parameters, const Operands& o) {
  if (request.inputs[0].dtype != DType::kUint8) return nullptr;
  try {
    QuantizedAttributes attributes(request, parameters, 1,
                                   request.has(kRow) ? Shape{1, o.shape.columns, 1, 1} : Shape{});
    const auto pd =
        rows_descriptor(o.shape, DType::kUint8, DType::kInt8,
                        request.has(kBias) ? bias_descriptor(o.shape.columns, 1) : Descriptor(),
                        parameters.result, attributes.attr());
    if (!pd) return nullptr;
    Tensor packed = packed_rows(*request.constant(kWeights), o.transposed, pd->weights_desc());
    return std::make_unique<QuantizedGemmKernel>(*pd, dnnl::convolution_forward(*pd),
                                                 std::move(attributes), request, std::move(packed),
                                                 o.output);
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

std::unique_ptr<Kernel> make_product(const KernelRequest& request,
                                     const LayerParameters& parameters, const Operands& o) {
  const RowsShape& s = o.shape;
  const Descriptor plain_weights({s.depth, s.columns}, dnnl::memory::data_type::s8,
                                 o.transposed ? Shape{1, s.depth} : Shape{s.columns, 1});
  const Descriptor bias = request.has(kBias) ? bias_descriptor(s.columns, 2) : Descriptor();
  const Descriptor source = plain_descriptor(request.inputs[0].dtype, {s.count, s.depth}),
                   result = plain_descriptor(parameters.result, {s.count, s.columns});
  const Descriptor weights = any_descriptor(DType::kInt8, {s.depth, s.columns});
  try {
    QuantizedAttributes attributes(request, parameters, 2,
                                   request.has(kRow) ? Shape{1, s.columns} : Shape{});
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::matmul::primitive_desc pd(engine(), source, weights, bias, result,
                                          attributes.attr());
#else
    const dnnl::matmul::primitive_desc pd(dnnl::matmul::desc(source, weights, bias, result),
                                          attributes.attr(), engine());
#endif
    Tensor packed = reordered(request.constant(kWeights)->raw(), plain_weights, pd.weights_desc());
    return std::make_unique<QuantizedGemmKernel>(pd, dnnl::matmul(pd), std::move(attributes),
                                                 request, std::move(packed), o.output);
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

}  // namespace

std::unique_ptr<Kernel> make_quantized_gemm(const KernelRequest& request) {
  const InputInfo& a = request.inputs[0];
  const bool transposed = attr_int(request.node, "transB", 0);
  const bool gemm = request.node.type == "QGemm";
  if (a.shape.size() < 2 || (gemm && a.shape.size() != 2) || attr_int(request.node, "transA", 0) ||
      attr_float(request.node, "alpha", 1) != 1)
    return nullptr;
  if (request.inputs.size() < 7) return nullptr;
  const auto parameters = layer_parameters(request, kResultScale);
  if (!parameters || (request.has(kBias) && !request.constant(kBias))) return nullptr;
  const Shape& b = request.inputs[kWeights].shape;
  if (b.size() != 2) return nullptr;
  const int64_t depth = b[transposed ? 1 : 0], columns = b[transposed ? 0 : 1];
  // Leading dimensions are rows of one matrix.
  if (element_count(a.shape) <= 0 || a.shape.back() != depth) return nullptr;
  if (!fits(*parameters, request.constant(kBias), columns)) return nullptr;
  if (request.has(kRow) && (!request.constant(kRow) || request.constant(kRow)->size() != columns))
    return nullptr;
  Operands operands{{element_count(a.shape) / depth, depth, columns}, a.shape, transposed};
  operands.output.back() = columns;
  if (auto kernel = make_convolution(request, *parameters, operands)) return kernel;
  return make_product(request, *parameters, operands);
}

}  // namespace qtool::onednn
