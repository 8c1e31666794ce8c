#include "exec/onednn/common.hpp"

#include "exec/onednn/primitive.hpp"
#include "qtool/ops.hpp"

namespace qtool::onednn {

const dnnl::engine& engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

dnnl::stream& stream() {
  thread_local dnnl::stream mine(engine());
  return mine;
}

std::optional<dnnl::memory::data_type> data_type(DType type) {
  using T = dnnl::memory::data_type;
  switch (type) {
    case DType::kFloat:
      return T::f32;
    case DType::kInt32:
      return T::s32;
    case DType::kInt8:
      return T::s8;
    case DType::kUint8:
      return T::u8;
    default:
      return std::nullopt;
  }
}

static Descriptor strided(DType type, const Shape& shape, const Shape& strides) {
  const auto t = data_type(type);
  if (!t || shape.empty() || shape.size() > 6) return {};
  for (int64_t d : shape)
    if (d <= 0) return {};
  return Descriptor(shape, *t, strides);
}

Descriptor plain_descriptor(DType type, const Shape& shape) {
  return strided(type, shape, strides_of(shape));
}

Descriptor channels_last(DType type, const Shape& shape) {
  Shape strides(shape.size());
  strides[1] = 1;
  int64_t step = shape[1];
  for (size_t i = shape.size(); i-- > 2;) {
    strides[i] = step;
    step *= shape[i];
  }
  strides[0] = step;
  return strided(type, shape, strides);
}

Descriptor any_descriptor(DType type, const Shape& shape) {
  const auto t = data_type(type);
  if (!t || shape.empty() || shape.size() > 6) return {};
  for (int64_t d : shape)
    if (d <= 0) return {};
  return Descriptor(shape, *t, Format::any);
}

std::optional<Format> usual_format(const Descriptor& descriptor, DType type, const Shape& shape) {
  static const std::vector<Format> kFormats[] = {
      {Format::nCw8c, Format::nCw16c, Format::nwc},
      {Format::nChw8c, Format::nChw16c, Format::nhwc},
      {Format::nCdhw8c, Format::nCdhw16c, Format::ndhwc}};
  const auto elements = data_type(type);
  if (!elements || shape.size() < 3 || shape.size() > 5) return std::nullopt;
  for (const Format format : kFormats[shape.size() - 3])
    if (Descriptor(shape, *elements, format) == descriptor) return format;
  return std::nullopt;
}

bool BlockedLayout::equals(const Layout& other) const {
  const auto* that = dynamic_cast<const BlockedLayout*>(&other);
  return that && that->descriptor_ == descriptor_;
}

Tensor BlockedLayout::to_plain(const Tensor& bytes) const {
  std::call_once(made_, [&] {
    to_plain_ = std::make_shared<Reorder>(descriptor_, plain_descriptor(dtype_, shape_));
  });
  Tensor out = Tensor::uninitialized(dtype_, shape_);
  to_plain_->run(bytes.raw(), out.mutable_raw());
  return out;
}

std::optional<Format> BlockedLayout::dense_format() const {
  const bool padded =
      static_cast<int64_t>(descriptor_.get_size()) != byte_size(dtype_, element_count(shape_));
  return padded ? std::nullopt : usual_format(descriptor_, dtype_, shape_);
}

int64_t BlockedLayout::channel_block() const {
  const auto format = dense_format();
  if (!format) return 0;
  switch (*format) {
    case Format::nCw8c:
    case Format::nChw8c:
    case Format::nCdhw8c:
      return 8;
    case Format::nCw16c:
    case Format::nChw16c:
    case Format::nCdhw16c:
      return 16;
    default:
      return shape_[1];
  }
}

std::shared_ptr<const Layout> BlockedLayout::retyped(DType type) const {
  const auto format = dense_format();
  if (!format || !data_type(type)) return nullptr;
  return std::make_shared<BlockedLayout>(Descriptor(shape_, *data_type(type), *format), type,
                                         shape_);
}

Descriptor descriptor_of(const Array& array) {
  if (array.layout) return static_cast<const BlockedLayout&>(*array.layout).descriptor();
  return plain_descriptor(array.dtype, array.shape);
}

Descriptor descriptor_of(const InputInfo& input) {
  if (input.layout) return static_cast<const BlockedLayout&>(*input.layout).descriptor();
  return plain_descriptor(input.dtype, input.shape);
}

std::shared_ptr<const Layout> layout_of(const Descriptor& descriptor, DType type,
                                        const Shape& shape) {
  if (descriptor == plain_descriptor(type, shape)) return nullptr;
  return std::make_shared<BlockedLayout>(descriptor, type, shape);
}

Array make_array(DType type, const Shape& shape, const std::shared_ptr<const Layout>& layout,
                 size_t bytes) {
  if (!layout) return Array(Tensor::uninitialized(type, shape));
  return Array(type, shape, Tensor::uninitialized(DType::kUint8, {static_cast<int64_t>(bytes)}),
               layout);
}

dnnl::memory memory_of(const Descriptor& descriptor, const void* bytes) {
  return dnnl::memory(descriptor, engine(), const_cast<void*>(bytes));
}

Tensor reordered(const void* bytes, const Descriptor& from, const Descriptor& to) {
  Tensor out = Tensor::uninitialized(DType::kUint8, {static_cast<int64_t>(to.get_size())});
  dnnl::memory source = memory_of(from, bytes), target = memory_of(to, out.mutable_raw());
  dnnl::reorder(source, target).execute(stream(), source, target);
  return out;
}

dnnl::memory in_layout(const Array& array, const Descriptor& want, Tensor& keep) {
  const Descriptor have = descriptor_of(array);
  if (have == want) return memory_of(want, array.tensor.raw());
  keep = reordered(array.tensor.raw(), have, want);
  return memory_of(want, keep.raw());
}

dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

#if DNNL_VERSION_MAJOR >= 3
void set_source_zero_point(dnnl::primitive_attr& attr) {
  attr.set_zero_points_mask(DNNL_ARG_SRC, 0);
}
void set_result_zero_point(dnnl::primitive_attr& attr) {
  attr.set_zero_points_mask(DNNL_ARG_DST, 0);
}
#else
void set_source_zero_point(dnnl::primitive_attr& attr) {
  attr.set_zero_points(DNNL_ARG_SRC, 0, {DNNL_RUNTIME_S32_VAL});
}
void set_result_zero_point(dnnl::primitive_attr& attr) {
  attr.set_zero_points(DNNL_ARG_DST, 0, {DNNL_RUNTIME_S32_VAL});
}
#endif

bool has_gelu(const Node& node) { return attr_string(node, "activation", "") == "Gelu"; }

bool append_activation(dnnl::post_ops& ops, const Node& node) {
  using A = dnnl::algorithm;
  struct Known {
    std::string_view kind;
    A algorithm;
  };
  static constexpr Known kKnown[] = {
      {"Relu", A::eltwise_relu},   {"LeakyRelu", A::eltwise_relu},
      {"Clip", A::eltwise_clip},   {"Sigmoid", A::eltwise_logistic},
      {"Tanh", A::eltwise_tanh},   {"Gelu", A::eltwise_gelu_erf},
      {"Swish", A::eltwise_swish},
  };
  const std::string kind = attr_string(node, "activation", "");
  if (kind.empty()) return true;
  const auto append = [&](A algorithm, float alpha, float beta) {
#if DNNL_VERSION_MAJOR >= 3
    ops.append_eltwise(algorithm, alpha, beta);
#else
    ops.append_eltwise(1.f, algorithm, alpha, beta);
#endif
    return true;
  };
  if (kind == "HardSwish") {
#if DNNL_VERSION_MAJOR >= 3
    return append(A::eltwise_hardswish, 1.f / 6, 0.5f);
#else
    return append(A::eltwise_hardswish, 0, 0);
#endif
  }
  for (const Known& known : kKnown) {
    if (known.kind == kind) {
      return append(known.algorithm, attr_float(node, "activation_alpha", 0),
                    attr_float(node, "activation_beta", 0));
    }
  }
  return false;
}

void execute(const dnnl::primitive& primitive, const Descriptor& scratchpad, Arguments& arguments) {
  Tensor scratch;
  if (const size_t bytes = scratchpad.get_size()) {
    scratch = Tensor::uninitialized(DType::kUint8, {static_cast<int64_t>(bytes)});
    arguments.insert({DNNL_ARG_SCRATCHPAD, memory_of(scratchpad, scratch.mutable_raw())});
  }
  primitive.execute(stream(), arguments);
  stream().wait();
}

}  // namespace qtool::onednn
