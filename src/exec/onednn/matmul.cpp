// Gemm and MatMul of floats: constant right-hand sides are packed once.
#include <array>

#include "exec/onednn/kernels.hpp"
#include "exec/onednn/rows.hpp"

namespace qtool::onednn {
namespace {

// The problem as oneDNN sees it: row-major or transposed operands, bias broadcast to the result.
struct Problem {
  Descriptor left, right, bias, result;
  Shape output;
};

class MatmulKernel : public Kernel {
 public:
  MatmulKernel(const dnnl::matmul::primitive_desc& pd, const Problem& problem,
               const KernelRequest& request)
      : name_(implementation(pd)), output_(problem.output) {
    if (const Tensor* constant = request.constant(1))
      packed_ = reordered(constant->raw(), problem.right, pd.weights_desc());
    std::vector<Primitive::Argument> arguments{
        {DNNL_ARG_SRC, problem.left},
        {DNNL_ARG_DST, problem.result},
        {DNNL_ARG_WEIGHTS, pd.weights_desc(), packed_.defined() ? packed_.raw() : nullptr}};
    if (request.has(2)) arguments.push_back({DNNL_ARG_BIAS, problem.bias});
    primitive_.emplace(dnnl::matmul(pd), pd.scratchpad_desc(), std::move(arguments));
  }

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    const Tensor left = inputs[0].plain();
    Tensor right, bias;
    outputs[0] = Array(Tensor::uninitialized(DType::kFloat, output_));
    std::array<const void*, 4> addresses{left.raw(), outputs[0].tensor.mutable_raw()};
    size_t count = 2;
    if (!packed_.defined()) {
      right = inputs[1].plain();
      addresses[count++] = right.raw();
    }
    if (inputs.size() > 2 && inputs[2].defined()) {
      bias = inputs[2].plain();
      addresses[count++] = bias.raw();
    }
    primitive_->run(std::span(addresses).first(count));
  }

  std::string name() const override { return name_; }

 private:
  std::string name_;
  Shape output_;
  Tensor packed_;
  std::optional<Primitive> primitive_;
};

// With a constant matrix on the right: rows of all batches are the pixels of one picture.
class FloatRowsKernel : public RowsKernel {
 public:
  FloatRowsKernel(const dnnl::convolution_forward::primitive_desc& pd, const KernelRequest& request,
                  bool transposed, Shape output)
      : RowsKernel(implementation(pd), request,
                   packed_rows(*request.constant(1), transposed, pd.weights_desc()), DType::kFloat,
                   std::move(output)) {
    std::vector<Primitive::Argument> all = arguments(pd);
    if (request.has(2)) {
      bias_ = *request.constant(2);
      all.push_back({DNNL_ARG_BIAS, pd.bias_desc(), bias_.raw()});
    }
    primitive_.emplace(dnnl::convolution_forward(pd), pd.scratchpad_desc(), std::move(all));
  }
};

// The post-operations of the node; nothing when oneDNN lacks one.
std::optional<dnnl::primitive_attr> attributes_of(const Node& node) {
  dnnl::primitive_attr attr = user_scratchpad();
  dnnl::post_ops ops;
  if (!append_activation(ops, node)) return std::nullopt;
  attr.set_post_ops(ops);
  return attr;
}

std::unique_ptr<Kernel> make(const KernelRequest& request, const Problem& p,
                             const Shape& right_shape) {
  const auto attr = attributes_of(request.node);
  if (!attr) return nullptr;
  const Descriptor right =
      request.constant(1) ? any_descriptor(DType::kFloat, right_shape) : p.right;
  try {
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::matmul::primitive_desc pd(engine(), p.left, right, p.bias, p.result, *attr);
#else
    const dnnl::matmul::primitive_desc pd(dnnl::matmul::desc(p.left, right, p.bias, p.result),
                                          *attr, engine());
#endif
    return std::make_unique<MatmulKernel>(pd, p, request);
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

// nullptr where the right-hand side is no constant matrix, or the bias no constant row.
std::unique_ptr<Kernel> make_rows(const KernelRequest& request, bool transposed) {
  const InputInfo& a = request.inputs[0];
  const Tensor *matrix = request.constant(1), *bias = request.constant(2);
  if (!matrix || matrix->rank() != 2 || (request.has(2) && !bias)) return nullptr;
  const RowsShape shape{element_count(a.shape) / a.shape.back(), a.shape.back(),
                        matrix->dim(transposed ? 0 : 1)};
  if (matrix->dim(transposed ? 1 : 0) != shape.depth) return nullptr;
  if (bias && bias->shape() != Shape{shape.columns}) return nullptr;
  const auto attr =
      has_gelu(request.node) ? std::optional(user_scratchpad()) : attributes_of(request.node);
  if (!attr) return nullptr;
  const auto pd = rows_descriptor(
      shape, DType::kFloat, DType::kFloat,
      bias ? plain_descriptor(DType::kFloat, bias->shape()) : Descriptor(), DType::kFloat, *attr);
  if (!pd) return nullptr;
  Shape output = a.shape;
  output.back() = shape.columns;
  return std::make_unique<FloatRowsKernel>(*pd, request, transposed, std::move(output));
}

Descriptor matrix(const Shape& shape, bool transposed) {
  if (!transposed) return plain_descriptor(DType::kFloat, shape);
  return Descriptor({shape[1], shape[0]}, dnnl::memory::data_type::f32, Shape{1, shape[1]});
}

bool all_positive(const Shape& shape) {
  for (int64_t d : shape)
    if (d <= 0) return false;
  return true;
}

}  // namespace

std::unique_ptr<Kernel> make_gemm(const KernelRequest& request) {
  const InputInfo& a = request.inputs[0];
  const InputInfo& b = request.inputs[1];
  if (a.dtype != DType::kFloat || a.shape.size() != 2 || b.shape.size() != 2 || b.layout)
    return nullptr;
  if (attr_float(request.node, "alpha", 1) != 1 ||
      (request.has(2) && attr_float(request.node, "beta", 1) != 1))
    return nullptr;
  if (!all_positive(a.shape) || !all_positive(b.shape)) return nullptr;
  const bool left_transposed = attr_int(request.node, "transA", 0),
             right_transposed = attr_int(request.node, "transB", 0);
  if (!left_transposed) {
    if (auto kernel = make_rows(request, right_transposed)) return kernel;
  }
  Problem p;
  p.left = matrix(a.shape, left_transposed);
  p.right = matrix(b.shape, right_transposed);
  const Shape left = p.left.dims(), right = p.right.dims();
  if (left[1] != right[0]) return nullptr;  // the reference reports it
  p.output = {left[0], right[1]};
  p.result = plain_descriptor(DType::kFloat, p.output);
  if (request.has(2)) {
    Shape bias = request.inputs[2].shape;
    if (bias.size() > 2) return nullptr;
    while (bias.size() < 2) bias.insert(bias.begin(), 1);
    p.bias = plain_descriptor(DType::kFloat, bias);
  }
  return make(request, p, right);
}

std::unique_ptr<Kernel> make_matmul(const KernelRequest& request) {
  const InputInfo& a = request.inputs[0];
  const InputInfo& b = request.inputs[1];
  if (a.dtype != DType::kFloat || a.shape.size() < 2 || b.shape.size() < 2 || b.layout)
    return nullptr;
  if (!all_positive(a.shape) || !all_positive(b.shape) ||
      a.shape.back() != b.shape[b.shape.size() - 2])
    return nullptr;
  if (auto kernel = make_rows(request, false)) return kernel;
  Problem p;
  const Shape left_batch(a.shape.begin(), a.shape.end() - 2),
      right_batch(b.shape.begin(), b.shape.end() - 2);
  p.output = broadcast(left_batch, right_batch);
  p.output.insert(p.output.end(), {a.shape[a.shape.size() - 2], b.shape.back()});
  Shape left = a.shape, right = b.shape, result = p.output;
  if (b.shape.size() == 2) {  // rows of all batches are one matrix
    left = {element_count(a.shape) / a.shape.back(), a.shape.back()};
    result = {left[0], b.shape[1]};
  }
  while (left.size() < result.size()) left.insert(left.begin(), 1);
  while (right.size() < result.size()) right.insert(right.begin(), 1);
  p.left = plain_descriptor(DType::kFloat, left);
  p.right = plain_descriptor(DType::kFloat, right);
  p.result = plain_descriptor(DType::kFloat, result);
  if (request.has(2)) {  // a row that was added behind the product
    Shape bias(result.size(), 1);
    bias.back() = b.shape.back();
    p.bias = plain_descriptor(DType::kFloat, bias);
  }
  return make(request, p, right);
}

}  // namespace qtool::onednn
