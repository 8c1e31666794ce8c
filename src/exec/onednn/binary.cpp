// Add, Sub, Mul, Div of floats: equal shapes in the first input's layout, or one of them broadcast.
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
  // `large`: which input has the output's shape.
  BinaryKernel(const dnnl::binary::primitive_desc& pd, const KernelRequest& request, size_t large,
               std::shared_ptr<const Layout> layout)
      : name_(implementation(pd)),
        large_(large),
        output_(request.inputs[large].shape),
        layout_(std::move(layout)),
        bytes_(pd.dst_desc().get_size()),
        primitive_(dnnl::binary(pd), pd.scratchpad_desc(),
                   {{DNNL_ARG_SRC_0, pd.src0_desc()},
                    {DNNL_ARG_SRC_1, pd.src1_desc()},
                    {DNNL_ARG_DST, pd.dst_desc()}}) {
    const InputInfo& other = request.inputs[1 - large];
    if (other.shape.size() == output_.size()) second_.emplace(other, pd.src1_desc());
  }

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    Array &x = inputs[large_], &other = inputs[1 - large_];
    Tensor keep;
    if (x.layout && !layout_) x = Array(x.plain());
    if (!second_ && other.layout) other = Array(other.plain());
    const void* second = second_ ? second_->address(other, keep) : other.tensor.raw();
    const Tensor first = x.tensor.is_unique() ? Tensor() : x.tensor;
    outputs[0] =
        first.defined() ? make_array(DType::kFloat, output_, layout_, bytes_) : std::move(x);
    void* result = outputs[0].tensor.mutable_raw();
    const void* const addresses[] = {first.defined() ? first.raw() : result, second, result};
    primitive_.run(addresses);
  }

  std::string name() const override { return name_; }

 private:
  std::string name_;
  size_t large_;
  Shape output_;
  std::shared_ptr<const Layout> layout_;
  size_t bytes_;
  std::optional<Source> second_;  // absent: it is broadcast
  Primitive primitive_;
};

// A descriptor of `shape` in the layout that `like` has for `like_shape`; plain where that is not one of the
// common ones. Compiled kernels want both operands blocked alike, also where one has dimensions of one.
Descriptor laid_out_like(const Descriptor& like, const Shape& like_shape, const Shape& shape) {
  const auto format = usual_format(like, DType::kFloat, like_shape);
  return format ? Descriptor(shape, dnnl::memory::data_type::f32, *format)
                : plain_descriptor(DType::kFloat, shape);
}

// Channels in blocks of four, as grouped convolutions leave them on processors with AVX-512.
bool in_blocks_of_four(const Descriptor& descriptor, const Shape& shape) {
  static constexpr Format kFormats[] = {Format::nCw4c, Format::nChw4c, Format::nCdhw4c};
  if (shape.size() < 3 || shape.size() > 5) return false;
  return Descriptor(shape, dnnl::memory::data_type::f32, kFormats[shape.size() - 3]) == descriptor;
}

}  // namespace

std::unique_ptr<Kernel> make_binary(const KernelRequest& request) {
  const auto algorithm = algorithm_of(request.node.type);
  if (!algorithm || request.inputs[0].dtype != DType::kFloat ||
      request.inputs[1].dtype != DType::kFloat)
    return nullptr;
  const Shape shape = broadcast(request.inputs[0].shape, request.inputs[1].shape);
  const bool commutes = request.node.type == "Add" || request.node.type == "Mul";
  const size_t large = commutes && request.inputs[0].shape != shape ? 1 : 0;
  const InputInfo &a = request.inputs[large], &b = request.inputs[1 - large];
  if (a.shape != shape) return nullptr;
  Shape second(a.shape.size() - b.shape.size(), 1);
  second.insert(second.end(), b.shape.begin(), b.shape.end());
  // oneDNN 2.6's binary kernels give wrong numbers on channels padded to a block, and write past blocks of four:
  // those go plain.
  const bool unsafe = static_cast<int64_t>(descriptor_of(a).get_size()) !=
                          byte_size(DType::kFloat, element_count(a.shape)) ||
                      in_blocks_of_four(descriptor_of(a), a.shape);
  const std::shared_ptr<const Layout> layout = unsafe ? nullptr : a.layout;
  const Descriptor first = unsafe ? plain_descriptor(DType::kFloat, a.shape) : descriptor_of(a);
  const Descriptor other = a.shape == b.shape ? first
                           : a.shape.size() == b.shape.size()
                               ? laid_out_like(first, a.shape, second)
                               : plain_descriptor(DType::kFloat, second);
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
    return std::make_unique<BinaryKernel>(pd, request, large, layout);
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

}  // namespace qtool::onednn
