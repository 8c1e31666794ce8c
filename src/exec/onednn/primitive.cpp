#include "exec/onednn/primitive.hpp"

#include <algorithm>

namespace qtool::onednn {
namespace {

void check(dnnl_status_t status) {
  if (status != dnnl_success) throw_internal(cat("oneDNN fails with status ", int{status}));
}

// Scratch memory of the calling thread; it grows to what the largest primitive wants.
void* scratch(size_t bytes) {
  thread_local Tensor memory;
  if (static_cast<size_t>(memory.bytes()) < bytes) {
    memory = Tensor();
    memory = Tensor::uninitialized(DType::kUint8, {static_cast<int64_t>(bytes)});
  }
  return memory.mutable_raw();
}

dnnl::reorder::primitive_desc reorder_descriptor(const Descriptor& from, const Descriptor& to) {
  return {engine(), from, engine(), to, user_scratchpad()};
}

}  // namespace

Primitive::Primitive(const dnnl::primitive& primitive, const Descriptor& scratchpad,
                     std::vector<Argument> arguments)
    : primitive_(primitive),
      scratchpad_(scratchpad),
      scratchpad_bytes_(scratchpad.get_size()),
      arguments_(std::move(arguments)) {
  const auto fixed = std::stable_partition(arguments_.begin(), arguments_.end(),
                                           [](const Argument& a) { return a.fixed == nullptr; });
  given_ = static_cast<size_t>(fixed - arguments_.begin());
}

std::unique_ptr<Primitive::Call> Primitive::take() const {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto call = std::move(idle_.back());
      idle_.pop_back();
      return call;
    }
  }
  auto call = std::make_unique<Call>();
  const auto add = [&](int index, const Descriptor& descriptor, const void* address) {
    call->memories.push_back(dnnl::memory(descriptor, engine(), const_cast<void*>(address)));
    call->arguments.push_back({index, call->memories.back().get()});
  };
  for (const Argument& argument : arguments_)
    add(argument.index, argument.descriptor, argument.fixed);
  if (scratchpad_bytes_ > 0) add(DNNL_ARG_SCRATCHPAD, scratchpad_, nullptr);
  return call;
}

void Primitive::run(std::span<const void* const> addresses) const {
  if (addresses.size() != given_) throw_internal("a primitive gets too few or too many addresses");
  auto call = take();
  size_t i = 0;
  for (const void* address : addresses)
    check(dnnl_memory_set_data_handle(call->arguments[i++].memory, const_cast<void*>(address)));
  if (scratchpad_bytes_ > 0) {
    check(dnnl_memory_set_data_handle(call->arguments.back().memory, scratch(scratchpad_bytes_)));
  }
  check(dnnl_primitive_execute(primitive_.get(), stream().get(),
                               static_cast<int>(call->arguments.size()), call->arguments.data()));
  stream().wait();
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(call));
}

Reorder::Reorder(const Descriptor& from, const Descriptor& to)
    : primitive_(dnnl::reorder(reorder_descriptor(from, to)),
                 reorder_descriptor(from, to).scratchpad_desc(),
                 {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}),
      bytes_(static_cast<int64_t>(to.get_size())) {}

void Reorder::run(const void* from, void* to) const {
  const void* const addresses[] = {from, to};
  primitive_.run(addresses);
}

Tensor Reorder::run(const void* from) const {
  Tensor out = Tensor::uninitialized(DType::kUint8, {bytes_});
  run(from, out.mutable_raw());
  return out;
}

Source::Source(const InputInfo& input, const Descriptor& want) {
  const Descriptor have = descriptor_of(input);
  if (have != want) reorder_ = std::make_unique<Reorder>(have, want);
}

const void* Source::address(const Array& array, Tensor& keep) const {
  if (!reorder_) return array.tensor.raw();
  keep = reorder_->run(array.tensor.raw());
  return keep.raw();
}

}  // namespace qtool::onednn
