// Max and average pools, local and global, of floats and 8-bit codes.
#include "exec/onednn/kernels.hpp"
#include "exec/onednn/primitive.hpp"
#include "qtool/ops.hpp"

namespace qtool::onednn {
namespace {

class PoolKernel : public Kernel {
 public:
  PoolKernel(const dnnl::pooling_forward::primitive_desc& pd, const InputInfo& input, Shape output)
      : name_(implementation(pd)),
        type_(input.dtype),
        output_(std::move(output)),
        layout_(layout_of(pd.dst_desc(), type_, output_)),
        bytes_(pd.dst_desc().get_size()),
        source_(input, pd.src_desc()),
        primitive_(dnnl::pooling_forward(pd), pd.scratchpad_desc(),
                   {{DNNL_ARG_SRC, pd.src_desc()}, {DNNL_ARG_DST, pd.dst_desc()}}) {}

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    Tensor keep;
    outputs[0] = make_array(type_, output_, layout_, bytes_);
    const void* const addresses[] = {source_.address(inputs[0], keep),
                                     outputs[0].tensor.mutable_raw()};
    primitive_.run(addresses);
  }

  std::string name() const override { return name_; }

 private:
  std::string name_;
  DType type_;
  Shape output_;
  std::shared_ptr<const Layout> layout_;
  size_t bytes_;
  Source source_;
  Primitive primitive_;
};

// The window of a local or global pool; nothing when oneDNN has no such pool.
std::optional<Window> window_of(const Node& node, const Shape& input) {
  if (node.type.starts_with("Global")) {
    const Shape spatial(input.begin() + 2, input.end());
    const Shape ones(spatial.size(), 1), zeros(spatial.size(), 0);
    return Window{spatial, ones, ones, zeros, zeros, spatial, ones};
  }
  if (node.outputs.size() > 1 && node.outputs[1] != ValueId::kNone) return std::nullopt;
  Window window = resolve_window(node, input, attr_ints(node, "kernel_shape"));
  for (int64_t d : window.dilations)
    if (d != 1) return std::nullopt;
  for (size_t i = 0; i < window.kernel.size(); ++i) {
    // ceil_mode may look past the padding: oneDNN wants that said as padding.
    window.pads_end[i] = (window.output[i] - 1) * window.strides[i] + window.kernel[i] -
                         window.input[i] - window.pads_begin[i];
    if (window.pads_begin[i] >= window.kernel[i] || window.pads_end[i] >= window.kernel[i])
      return std::nullopt;
  }
  return window;
}

using Pool = dnnl::pooling_forward;

Pool::primitive_desc pool_descriptor(const Window& window, dnnl::algorithm algorithm,
                                     const Descriptor& source, DType type, const Shape& output) {
  const auto kind = dnnl::prop_kind::forward_inference;
  const Descriptor result = any_descriptor(type, output);
#if DNNL_VERSION_MAJOR >= 3
  const Shape none(window.kernel.size(), 0);
  return {engine(),      kind, algorithm,         source,          result,           window.strides,
          window.kernel, none, window.pads_begin, window.pads_end, user_scratchpad()};
#else
  const Pool::desc desc(kind, algorithm, source, result, window.strides, window.kernel,
                        window.pads_begin, window.pads_end);
  return {desc, user_scratchpad(), engine()};
#endif
}

// Whether oneDNN has more for it than plain loops.
bool is_compiled(const Pool::primitive_desc& pd) {
  return std::string_view(pd.impl_info_str()).find("jit") != std::string_view::npos;
}

}  // namespace

std::unique_ptr<Kernel> make_pool(const KernelRequest& request) {
  const InputInfo& x = request.inputs[0];
  const Node& node = request.node;
  const bool average = node.type.ends_with("AveragePool");
  if (x.shape.size() < 3 || x.shape.size() > 5 || !data_type(x.dtype) || x.dtype == DType::kInt32)
    return nullptr;
  if (average && (x.dtype != DType::kFloat || attr_int(node, "ceil_mode", 0))) return nullptr;
  for (int64_t d : x.shape)
    if (d <= 0) return nullptr;
  const auto window = window_of(node, x.shape);
  if (!window) return nullptr;
  Shape output = {x.shape[0], x.shape[1]};
  output.insert(output.end(), window->output.begin(), window->output.end());
  const auto algorithm = !average ? dnnl::algorithm::pooling_max
                         : attr_int(node, "count_include_pad", 0)
                             ? dnnl::algorithm::pooling_avg_include_padding
                             : dnnl::algorithm::pooling_avg_exclude_padding;
  try {
    auto pd = pool_descriptor(*window, algorithm, descriptor_of(x), x.dtype, output);
    if (!x.layout && !is_compiled(pd)) {
      // Planes of their own have no compiled kernel: channels side by side do, for the price of a reorder.
      const auto last =
          pool_descriptor(*window, algorithm, channels_last(x.dtype, x.shape), x.dtype, output);
      if (is_compiled(last)) pd = last;
    }
    return std::make_unique<PoolKernel>(pd, x, std::move(output));
  } catch (const dnnl::error&) {
    return nullptr;
  }
}

}  // namespace qtool::onednn
