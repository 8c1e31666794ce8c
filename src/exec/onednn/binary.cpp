// Add, Sub, Mul, Div of floats: equal shapes in the first input's layout, or the second broadcast.
#include "exec/onednn/kernels.hpp"
#include "exec/onednn/primitive.hpp"

namespace qtool::onednn {
namespace {

std::optional<dnnl::algorithm> algorithm_of(const std::string& type) {
  if (type == "Add") return dnnl::algorithm::binary_add;
  if (type == "Sub") return dnnl::algorithm::binary_sub;
  if (type == "Mul") return dnnl::algorithm::binary_mul;
  if (type == "Div") return dnnl::algorithm::binary_div;
  return std::nullopt;
}

class BinaryKernel : public Kernel {
 public:
  BinaryKernel(const dnnl::binary::primitive_desc& pd, const KernelRequest& request,
               std::shared_ptr<const Layout> layout)
      : name_(implementation(pd)),
        output_(request.inputs[0].shape),
        layout_(std::move(layout)),
        bytes_(pd.dst_desc().get_size()),
        primitive_(dnnl::binary(pd), pd.scratchpad_desc(),
                   {{DNNL_ARG_SRC_0, pd.src0_desc()},
                    {DNNL_ARG_SRC_1, pd.src1_desc()},
                    {DNNL_ARG_DST, pd.dst_desc()}}) {
    if (request.inputs[1].shape == output_) second_.emplace(request.inputs[1], pd.src1_desc());
  }

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    Tensor keep;
    if (inputs[0].layout && !layout_) inputs[0] = Array(inputs[0].plain());
    const void* second = second_ ? second_->address(inputs[1], keep) : inputs[1].tensor.raw();
    const Tensor first = inputs[0].tensor.is_unique() ? Tensor() : inputs[0].tensor;
    outputs[0] = first.defined() ? make_array(DType::kFloat, output_, layout_, bytes_)
                                 : std::move(inputs[0]);
    void* result = outputs[0].tensor.mutable_raw();
    const void* const addresses[] = {first.defined() ? first.raw() : result, second, result};
    primitive_.run(addresses);
  }

  std::string name() const override { return name_; }

 private:
  std::string name_;
  Shape output_;
  std::shared_ptr<const Layout> layout_;
  size_t bytes_;
  std::optional<Source> second_;  // absent: it is broadcast
  Primitive primitive_;
};

}  // namespace

std::unique_ptr<Kernel> make_binary(const KernelRequest& request) {
  const InputInfo& a = request.inputs[0];
  const InputInfo& b = request.inputs[1];
  const auto algorithm = algorithm_of(request.node.type);
  if (!algorithm || a.dtype != DType::kFloat || b.dtype != DType::kFloat ||
      a.shape.size() < b.shape.size())
    return nullptr;
  if (a.shape != b.shape && (b.layout || broadcast(a.shape, b.shape) != a.shape)) return nullptr;
  Shape second(a.shape.size() - b.shape.size(), 1);
  second.insert(second.end(), b.shape.begin(), b.shape.end());
  // oneDNN 2.6's binary kernels give wrong numbers on channels padded to a block: those go plain.
  const bool padded = static_cast<int64_t>(descriptor_of(a).get_size()) !=
                      byte_size(DType::kFloat, element_count(a.shape));
  const std::shared_ptr<const Layout> layout = padded ? nullptr : a.layout;
  const Descriptor first = padded ? plain_descriptor(DType::kFloat, a.shape) : descriptor_of(a);
  const Descriptor other = a.shape == b.shape ? first : plain_descriptor(DType::kFloat, second);
  if (first.get_size() == 0 || other.get_size() == 0) return nullptr;
  dnnl::primitive_attr attr = user_scratchpad();
  dnnl::post_ops ops;
  if (!append_activation(ops, request.node)) return nullptr;
  attr.set_post_ops(ops);
  try {
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::binary::primitive_desc pd(engine(), *algorithm, first, other, first, attr);
#else
    const dnnl::binary::primitive_desc pd(dnnl::binary::desc(*algorithm, first, other, first), attr,
                                          engine());
#endif
    if (std::string_view(pd.impl_info_str()).find("ref") != std::string_view::npos) return nullptr;
    return std::make_unique<BinaryKernel>(pd, request, layout);
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

}  // namespace qtool::onednn
