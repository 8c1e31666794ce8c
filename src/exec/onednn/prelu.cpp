// PRelu with constant slopes, in the layout that the input has.
#include "exec/onednn/kernels.hpp"
#include "exec/onednn/primitive.hpp"

namespace qtool::onednn {
namespace {

class PReluKernel : public Kernel {
 public:
  PReluKernel(const dnnl::prelu_forward::primitive_desc& pd, const KernelRequest& request,
              const Descriptor& plain_slopes)
      : name_(implementation(pd)),
        layout_(request.inputs[0].layout),
        shape_(request.inputs[0].shape),
        bytes_(pd.dst_desc().get_size()),
        slopes_(reordered(request.constant(1)->raw(), plain_slopes, pd.weights_desc())),
        primitive_(dnnl::prelu_forward(pd), pd.scratchpad_desc(),
                   {{DNNL_ARG_SRC, pd.src_desc()},
                    {DNNL_ARG_DST, pd.dst_desc()},
                    {DNNL_ARG_WEIGHTS, pd.weights_desc(), slopes_.raw()}}) {}

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    outputs[0] = make_array(DType::kFloat, shape_, layout_, bytes_);
    const void* const addresses[] = {inputs[0].tensor.raw(), outputs[0].tensor.mutable_raw()};
    primitive_.run(addresses);
  }

  std::string name() const override { return name_; }
  bool reads_constants() const override { return false; }

 private:
  std::string name_;
  std::shared_ptr<const Layout> layout_;
  Shape shape_;
  size_t bytes_;
  Tensor slopes_;
  Primitive primitive_;
};

}  // namespace

std::unique_ptr<Kernel> make_prelu(const KernelRequest& request) {
  const InputInfo &x = request.inputs[0], &slope = request.inputs[1];
  if (x.dtype != DType::kFloat || slope.dtype != DType::kFloat || x.constant || !slope.constant ||
      slope.shape.size() > x.shape.size() || request.opset < 7)
    return nullptr;
  Shape slopes(x.shape.size() - slope.shape.size(), 1);
  slopes.insert(slopes.end(), slope.shape.begin(), slope.shape.end());
  if (broadcast(x.shape, slopes) != x.shape) return nullptr;
  const Descriptor source = descriptor_of(x);
  if (source.get_size() == 0) return nullptr;
  const Descriptor weights = any_descriptor(DType::kFloat, slopes);
  const auto kind = dnnl::prop_kind::forward_inference;
  const dnnl::primitive_attr attr = user_scratchpad();
  try {
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::prelu_forward::primitive_desc pd(engine(), kind, source, weights, source, attr);
#else
    const dnnl::prelu_forward::primitive_desc pd(dnnl::prelu_forward::desc(kind, source, weights),
                                                 attr, engine());
#endif
    if (std::string_view(pd.impl_info_str()).find("ref") != std::string_view::npos) return nullptr;
    return std::make_unique<PReluKernel>(pd, request, plain_descriptor(DType::kFloat, slopes));
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

}  // namespace qtool::onednn
