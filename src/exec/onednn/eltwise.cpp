// Element-wise functions in whatever layout the input has.
#include "exec/onednn/kernels.hpp"
#include "exec/onednn/primitive.hpp"

namespace qtool::onednn {
namespace {

using A = dnnl::algorithm;

struct Function {
  A algorithm;
  float alpha = 0, beta = 0;
};

// Bounds of Clip: attributes before opset 11, constant inputs after.
std::optional<Function> clip(const KernelRequest& r) {
  float lo = attr_float(r.node, "min", std::numeric_limits<float>::lowest());
  float hi = attr_float(r.node, "max", std::numeric_limits<float>::max());
  for (size_t i : {size_t{1}, size_t{2}}) {
    if (!r.has(i)) continue;
    const Tensor* bound = r.constant(i);
    if (!bound || bound->size() != 1 || bound->dtype() != DType::kFloat) return std::nullopt;
    (i == 1 ? lo : hi) = bound->data<float>()[0];
  }
  if (!(lo <= hi)) return std::nullopt;
  return Function{A::eltwise_clip, lo, hi};
}

std::optional<Function> function_of(const KernelRequest& r) {
  const std::string& type = r.node.type;
  if (type == "Relu") return Function{A::eltwise_relu};
  if (type == "LeakyRelu") return Function{A::eltwise_relu, attr_float(r.node, "alpha", 0.01f)};
  if (type == "Elu") return Function{A::eltwise_elu, attr_float(r.node, "alpha", 1.f)};
  if (type == "Sigmoid") return Function{A::eltwise_logistic};
  if (type == "Abs") return Function{A::eltwise_abs};
  if (type == "Sqrt") return Function{A::eltwise_sqrt};
  if (type == "Exp") return Function{A::eltwise_exp};
  if (type == "Clip") return clip(r);
  return std::nullopt;
}

class EltwiseKernel : public Kernel {
 public:
  EltwiseKernel(const dnnl::eltwise_forward::primitive_desc& pd, const InputInfo& input)
      : name_(implementation(pd)),
        bytes_(pd.dst_desc().get_size()),
        shape_(input.shape),
        layout_(input.layout),
        primitive_(dnnl::eltwise_forward(pd), pd.scratchpad_desc(),
                   {{DNNL_ARG_SRC, pd.src_desc()}, {DNNL_ARG_DST, pd.dst_desc()}}) {}

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    const Tensor source = inputs[0].tensor.is_unique() ? Tensor() : inputs[0].tensor;
    outputs[0] = source.defined() ? make_array(DType::kFloat, shape_, layout_, bytes_)
                                  : std::move(inputs[0]);
    void* result = outputs[0].tensor.mutable_raw();
    const void* const addresses[] = {source.defined() ? source.raw() : result, result};
    primitive_.run(addresses);
  }

  std::string name() const override { return name_; }

 private:
  std::string name_;
  size_t bytes_;
  Shape shape_;
  std::shared_ptr<const Layout> layout_;
  Primitive primitive_;
};

}  // namespace

std::unique_ptr<Kernel> make_eltwise(const KernelRequest& request) {
  const InputInfo& x = request.inputs[0];
  if (x.dtype != DType::kFloat) return nullptr;
  const auto function = function_of(request);
  const Descriptor md = descriptor_of(x);
  if (!function || md.get_size() == 0) return nullptr;
  try {
    const auto kind = dnnl::prop_kind::forward_inference;
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::eltwise_forward::primitive_desc pd(engine(), kind, function->algorithm, md, md,
                                                   function->alpha, function->beta,
                                                   user_scratchpad());
#else
    const dnnl::eltwise_forward::desc desc(kind, function->algorithm, md, function->alpha,
                                           function->beta);
    const dnnl::eltwise_forward::primitive_desc pd(desc, user_scratchpad(), engine());
#endif
    return std::make_unique<EltwiseKernel>(pd, x);
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

}  // namespace qtool::onednn
