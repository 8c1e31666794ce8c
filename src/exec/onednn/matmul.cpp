// Gemm and MatMul of floats: constant right-hand sides are packed once.
#include "exec/onednn/common.hpp"
#include "exec/onednn/kernels.hpp"

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
               const Tensor* constant)
      : pd_(pd), primitive_(pd), problem_(problem) {
    if (constant) packed_ = reordered(constant->raw(), problem_.right, pd_.weights_desc());
  }

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    const Tensor left = inputs[0].plain();
    Tensor right = packed_;
    if (!right.defined()) {
      right = inputs[1].plain();
      if (pd_.weights_desc() != problem_.right)
        right = reordered(right.raw(), problem_.right, pd_.weights_desc());
    }
    outputs[0] = Array(Tensor::uninitialized(DType::kFloat, problem_.output));
    Arguments arguments{
        {DNNL_ARG_SRC, memory_of(problem_.left, left.raw())},
        {DNNL_ARG_WEIGHTS, memory_of(pd_.weights_desc(), right.raw())},
        {DNNL_ARG_DST, memory_of(problem_.result, outputs[0].tensor.mutable_raw())}};
    Tensor bias;
    if (inputs.size() > 2 && inputs[2].defined()) {
      bias = inputs[2].plain();
      arguments.insert({DNNL_ARG_BIAS, memory_of(problem_.bias, bias.raw())});
    }
    execute(primitive_, pd_.scratchpad_desc(), arguments);
  }

  std::string name() const override { return implementation(pd_); }

 private:
  dnnl::matmul::primitive_desc pd_;
  dnnl::matmul primitive_;
  Problem problem_;
  Tensor packed_;
};

std::unique_ptr<Kernel> make(const KernelRequest& request, const Problem& p,
                             const Shape& right_shape) {
  dnnl::primitive_attr attr = user_scratchpad();
  dnnl::post_ops ops;
  if (!append_activation(ops, request.node)) return nullptr;
  attr.set_post_ops(ops);
  const Tensor* constant = request.constant(1);
  const Descriptor right = constant ? any_descriptor(DType::kFloat, right_shape) : p.right;
  try {
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::matmul::primitive_desc pd(engine(), p.left, right, p.bias, p.result, attr);
#else
    const dnnl::matmul::primitive_desc pd(dnnl::matmul::desc(p.left, right, p.bias, p.result), attr,
                                          engine());
#endif
    return std::make_unique<MatmulKernel>(pd, p, constant);
  } catch (const dnnl::error&) {
    return nullptr;
  }
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
  Problem p;
  p.left = matrix(a.shape, attr_int(request.node, "transA", 0));
  p.right = matrix(b.shape, attr_int(request.node, "transB", 0));
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
  return make(request, p, right);
}

}  // namespace qtool::onednn
