// Softmax of floats along one axis.
#include "exec/onednn/kernels.hpp"
#include "exec/onednn/primitive.hpp"
#include "qtool/ops.hpp"

namespace qtool::onednn {
namespace {

class SoftmaxKernel : public Kernel {
 public:
  SoftmaxKernel(const dnnl::softmax_forward::primitive_desc& pd, Shape shape)
      : name_(implementation(pd)),
        shape_(std::move(shape)),
        primitive_(dnnl::softmax_forward(pd), pd.scratchpad_desc(),
                   {{DNNL_ARG_SRC, pd.src_desc()}, {DNNL_ARG_DST, pd.dst_desc()}}) {}

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    const Tensor source = inputs[0].plain();
    inputs[0] = Array();
    outputs[0] = Array(Tensor::uninitialized(DType::kFloat, shape_));
    const void* const addresses[] = {source.raw(), outputs[0].tensor.mutable_raw()};
    primitive_.run(addresses);
  }

  std::string name() const override { return name_; }

 private:
  std::string name_;
  Shape shape_;
  Primitive primitive_;
};

}  // namespace

std::unique_ptr<Kernel> make_softmax(const KernelRequest& request) {
  const InputInfo& x = request.inputs[0];
  const int64_t rank = static_cast<int64_t>(x.shape.size());
  const Descriptor md = plain_descriptor(x.dtype, x.shape);
  if (x.dtype != DType::kFloat || md.get_size() == 0) return nullptr;
  const int64_t axis = normalize_axis(attr_int(request.node, "axis", request.opset < 13 ? 1 : -1),
                                      rank, request.node);
  // Before opset 13 everything from the axis on is one row.
  if (request.opset < 13 && axis != rank - 1) return nullptr;
  try {
    const auto kind = dnnl::prop_kind::forward_inference;
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::softmax_forward::primitive_desc pd(engine(), kind,
                                                   dnnl::algorithm::softmax_accurate, md, md,
                                                   static_cast<int>(axis), user_scratchpad());
#else
    const dnnl::softmax_forward::desc desc(kind, md, static_cast<int>(axis));
    const dnnl::softmax_forward::primitive_desc pd(desc, user_scratchpad(), engine());
#endif
    return std::make_unique<SoftmaxKernel>(pd, x.shape);
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

}  // namespace qtool::onednn
