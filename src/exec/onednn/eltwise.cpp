// Element-wise functions in whatever layout the input has.
#include <cmath>

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
  if (type == "Swish") return Function{A::eltwise_swish, attr_float(r.node, "alpha", 1.f)};
  if (type == "Sigmoid") return Function{A::eltwise_logistic};
  if (type == "Abs") return Function{A::eltwise_abs};
  if (type == "Sqrt") return Function{A::eltwise_sqrt};
  if (type == "Exp") return Function{A::eltwise_exp};
  if (type == "Clip") return clip(r);
  return std::nullopt;
}

// A sum, difference, product or quotient with one constant number; `value`: which input is none.
std::optional<Function> linear(const KernelRequest& r, size_t& value) {
  for (const size_t i : {size_t{0}, size_t{1}}) {
    const Tensor* number = r.constant(1 - i);
    if (!number || number->size() != 1 || number->dtype() != DType::kFloat ||
        number->rank() > static_cast<int64_t>(r.inputs[i].shape.size()))
      continue;
    value = i;
    const float c = number->data<float>()[0];
    const std::string& type = r.node.type;
    if (type == "Add") return Function{A::eltwise_linear, 1, c};
    if (type == "Mul") return Function{A::eltwise_linear, c, 0};
    if (type == "Sub") return Function{A::eltwise_linear, i == 0 ? 1.f : -1.f, i == 0 ? -c : c};
    // A product is the quotient to the last bit, which decides ties of quantizers, for powers of two alone.
    int exponent = 0;
    if (type == "Div" && i == 0 && std::isnormal(1 / c) &&
        std::frexp(std::fabs(c), &exponent) == 0.5f)
      return Function{A::eltwise_linear, 1 / c, 0};
  }
  return std::nullopt;
}

class EltwiseKernel : public Kernel {
 public:
  EltwiseKernel(const dnnl::eltwise_forward::primitive_desc& pd, Shape shape, size_t value)
      : name_(implementation(pd)),
        bytes_(pd.dst_desc().get_size()),
        shape_(std::move(shape)),
        layout_(layout_of(pd.dst_desc(), DType::kFloat, shape_)),
        value_(value),
        primitive_(dnnl::eltwise_forward(pd), pd.scratchpad_desc(),
                   {{DNNL_ARG_SRC, pd.src_desc()}, {DNNL_ARG_DST, pd.dst_desc()}}) {}

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    Array& x = inputs[value_];
    if (x.layout && !layout_) x = Array(x.plain());
    const Tensor source = x.tensor.is_unique() ? Tensor() : x.tensor;
    outputs[0] =
        source.defined() ? make_array(DType::kFloat, shape_, layout_, bytes_) : std::move(x);
    void* result = outputs[0].tensor.mutable_raw();
    const void* const addresses[] = {source.defined() ? source.raw() : result, result};
    primitive_.run(addresses);
  }

  std::string name() const override { return name_; }
  bool reads_constants() const override { return false; }

 private:
  std::string name_;
  size_t bytes_;
  Shape shape_;
  std::shared_ptr<const Layout> layout_;
  size_t value_;
  Primitive primitive_;
};

dnnl::eltwise_forward::primitive_desc descriptor(const Function& function, const Descriptor& md,
                                                 const dnnl::primitive_attr& attr) {
  const auto kind = dnnl::prop_kind::forward_inference;
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), kind, function.algorithm, md, md, function.alpha, function.beta, attr};
#else
  const dnnl::eltwise_forward::desc desc(kind, function.algorithm, md, function.alpha,
                                         function.beta);
  return {desc, attr, engine()};
#endif
}

std::unique_ptr<Kernel> make(const KernelRequest& request, const Function& function, size_t value) {
  const InputInfo& x = request.inputs[value];
  const Descriptor md = descriptor_of(x);
  if (md.get_size() == 0) return nullptr;
  dnnl::primitive_attr attr = user_scratchpad();
  dnnl::post_ops ops;
  if (!append_activation(ops, request.node)) return nullptr;
  attr.set_post_ops(ops);
  try {
    auto pd = descriptor(function, md, attr);
    // Plain loops are what is left for f(0) ≠ 0 on channels padded to a block.
    if (x.layout && std::string_view(pd.impl_info_str()).find("ref") != std::string_view::npos)
      pd = descriptor(function, plain_descriptor(DType::kFloat, x.shape), attr);
    return std::make_unique<EltwiseKernel>(pd, x.shape, value);
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

}  // namespace

std::unique_ptr<Kernel> make_eltwise(const KernelRequest& request) {
  if (request.inputs[0].dtype != DType::kFloat) return nullptr;
  const auto function = function_of(request);
  return function ? make(request, *function, 0) : nullptr;
}

std::unique_ptr<Kernel> make_linear(const KernelRequest& request) {
  size_t value = 0;
  const auto function = linear(request, value);
  if (!function || request.inputs[value].dtype != DType::kFloat) return nullptr;
  return make(request, *function, value);
}

}  // namespace qtool::onednn
