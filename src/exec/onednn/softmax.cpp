// Softmax and LogSoftmax of floats along one axis.
#include "exec/onednn/kernels.hpp"
#include "exec/onednn/primitive.hpp"
#include "qtool/ops.hpp"

namespace qtool::onednn {
namespace {

class SoftmaxKernel : public Kernel {
 public:
  template <typename PrimitiveDescriptor>
  SoftmaxKernel(const PrimitiveDescriptor& pd, const dnnl::primitive& primitive,
                const InputInfo& input)
      : name_(implementation(pd)),
        shape_(input.shape),
        layout_(layout_of(pd.dst_desc(), DType::kFloat, shape_)),
        bytes_(pd.dst_desc().get_size()),
        source_(input, pd.src_desc()),
        primitive_(primitive, pd.scratchpad_desc(),
                   {{DNNL_ARG_SRC, pd.src_desc()}, {DNNL_ARG_DST, pd.dst_desc()}}) {}

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    Tensor keep;
    outputs[0] = make_array(DType::kFloat, shape_, layout_, bytes_);
    const void* const addresses[] = {source_.address(inputs[0], keep),
                                     outputs[0].tensor.mutable_raw()};
    primitive_.run(addresses);
  }

  std::string name() const override { return name_; }

 private:
  std::string name_;
  Shape shape_;
  std::shared_ptr<const Layout> layout_;
  size_t bytes_;
  Source source_;
  Primitive primitive_;
};

// Elements along `axis` side by side, which is what the compiled kernels want.
Descriptor with_axis_last(const Shape& shape, int64_t axis) {
  Shape strides(shape.size());
  int64_t step = shape[static_cast<size_t>(axis)];
  for (size_t d = shape.size(); d-- > 0;) {
    if (static_cast<int64_t>(d) == axis) continue;
    strides[d] = step;
    step *= shape[d];
  }
  strides[static_cast<size_t>(axis)] = 1;
  return Descriptor(shape, dnnl::memory::data_type::f32, strides);
}

}  // namespace

std::unique_ptr<Kernel> make_softmax(const KernelRequest& request) {
  const InputInfo& x = request.inputs[0];
  const int64_t rank = static_cast<int64_t>(x.shape.size());
  if (x.dtype != DType::kFloat || plain_descriptor(x.dtype, x.shape).get_size() == 0)
    return nullptr;
  const int64_t axis = normalize_axis(attr_int(request.node, "axis", request.opset < 13 ? 1 : -1),
                                      rank, request.node);
  // Before opset 13 everything from the axis on is one row.
  if (request.opset < 13 && axis != rank - 1) return nullptr;
  const bool log = request.node.type == "LogSoftmax";
  const Descriptor md = with_axis_last(x.shape, axis);
  try {
    const auto kind = dnnl::prop_kind::forward_inference;
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::softmax_forward::primitive_desc pd(
        engine(), kind, log ? dnnl::algorithm::softmax_log : dnnl::algorithm::softmax_accurate, md,
        md, static_cast<int>(axis), user_scratchpad());
    return std::make_unique<SoftmaxKernel>(pd, dnnl::softmax_forward(pd), x);
#else
    if (log) {
      const dnnl::logsoftmax_forward::desc desc(kind, md, static_cast<int>(axis));
      const dnnl::logsoftmax_forward::primitive_desc pd(desc, user_scratchpad(), engine());
      return std::make_unique<SoftmaxKernel>(pd, dnnl::logsoftmax_forward(pd), x);
    }
    const dnnl::softmax_forward::desc desc(kind, md, static_cast<int>(axis));
    const dnnl::softmax_forward::primitive_desc pd(desc, user_scratchpad(), engine());
    return std::make_unique<SoftmaxKernel>(pd, dnnl::softmax_forward(pd), x);
#endif
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

}  // namespace qtool::onednn
