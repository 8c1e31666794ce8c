// For kernels of single elements: the result lies as the input does, in whatever layout that is.
#pragma once

#include "exec/kernel.hpp"

namespace qtool {

class SamePlaces {
 public:
  SamePlaces(const InputInfo& input, DType result)
      : result_(result), layout_(input.layout ? input.layout->retyped(result) : nullptr) {}

  // The array as it lies, or plain where its layout has no counterpart for the result.
  Array source(const Array& x) const { return x.layout && !layout_ ? Array(x.plain()) : x; }
  // Uninitialized; `source` is what source() gave.
  Array result(const Array& source) const {
    if (!layout_) return Array(Tensor::uninitialized(result_, source.shape));
    const int64_t bytes = byte_size(result_, element_count(source.shape));
    return {result_, source.shape, Tensor::uninitialized(DType::kUint8, {bytes}), layout_};
  }

 private:
  DType result_;
  std::shared_ptr<const Layout> layout_;
};

}  // namespace qtool
