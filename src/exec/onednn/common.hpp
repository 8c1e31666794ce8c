// oneDNN behind one door: engine, layouts, attributes, and the differences between 2.x and 3.x.
#pragma once

#include <dnnl.hpp>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "exec/kernel.hpp"

namespace qtool::onednn {

using Descriptor = dnnl::memory::desc;
using Format = dnnl::memory::format_tag;
using Arguments = std::unordered_map<int, dnnl::memory>;

const dnnl::engine& engine();
dnnl::stream& stream();  // of the calling thread

std::optional<dnnl::memory::data_type> data_type(DType type);
// Row-major descriptor; empty when oneDNN has no such type or rank.
Descriptor plain_descriptor(DType type, const Shape& shape);
// Channels-last descriptor of rank 3 to 5.
Descriptor channels_last(DType type, const Shape& shape);
// Leaves the layout to the primitive.
Descriptor any_descriptor(DType type, const Shape& shape);

// The usual layout, blocks of channels or channels last, that the descriptor of a value has.
std::optional<Format> usual_format(const Descriptor& descriptor, DType type, const Shape& shape);

class Reorder;

class BlockedLayout : public Layout {
 public:
  BlockedLayout(Descriptor descriptor, DType dtype, Shape shape)
      : descriptor_(std::move(descriptor)), dtype_(dtype), shape_(std::move(shape)) {}
  bool equals(const Layout& other) const override;
  Tensor to_plain(const Tensor& bytes) const override;
  int64_t channel_block() const override;
  std::shared_ptr<const Layout> retyped(DType type) const override;
  const Descriptor& descriptor() const { return descriptor_; }

 private:
  // A usual one, where every place holds an element.
  std::optional<Format> dense_format() const;

  Descriptor descriptor_;
  DType dtype_;
  Shape shape_;
  mutable std::once_flag made_;
  mutable std::shared_ptr<const Reorder> to_plain_;
};

// The descriptor that an array or a future input has.
Descriptor descriptor_of(const Array& array);
Descriptor descriptor_of(const InputInfo& input);
// A layout object for outputs; nullptr when the descriptor is row-major.
std::shared_ptr<const Layout> layout_of(const Descriptor& descriptor, DType type,
                                        const Shape& shape);
// Uninitialized array in a layout.
Array make_array(DType type, const Shape& shape, const std::shared_ptr<const Layout>& layout,
                 size_t bytes);

dnnl::memory memory_of(const Descriptor& descriptor, const void* bytes);
// The array's bytes as `want` lays them out: itself, or a copy kept alive by `keep`.
dnnl::memory in_layout(const Array& array, const Descriptor& want, Tensor& keep);
// Reorders `from` into fresh bytes laid out as `to`; for prepacking constants.
Tensor reordered(const void* bytes, const Descriptor& from, const Descriptor& to);

// Attributes with a caller-owned scratchpad, which lets threads share a primitive.
dnnl::primitive_attr user_scratchpad();
void set_source_zero_point(dnnl::primitive_attr& attr);
void set_result_zero_point(dnnl::primitive_attr& attr);

// Activation of a fused node as a post-operation; false when oneDNN cannot.
bool append_activation(dnnl::post_ops& ops, const Node& node);
// The activation is Gelu, which kernels of whole rows apply themselves: oneDNN's takes twice the time.
bool has_gelu(const Node& node);

// Runs with scratch memory of its own.
void execute(const dnnl::primitive& primitive, const Descriptor& scratchpad, Arguments& arguments);

// Human-readable implementation name, e.g. "onednn:jit:avx2".
template <typename PrimitiveDescriptor>
std::string implementation(const PrimitiveDescriptor& pd) {
  return std::string("onednn:") + pd.impl_info_str();
}

}  // namespace qtool::onednn
