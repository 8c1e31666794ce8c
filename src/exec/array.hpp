// What flows between kernels: a plain tensor, or bytes in a blocked layout that only a backend reads.
#pragma once

#include <memory>

#include "qtool/tensor.hpp"

namespace qtool {

// A backend's memory layout (oneDNN: a memory descriptor). Two layouts are equal when their bytes mean the same.
class Layout {
 public:
  virtual ~Layout() = default;
  virtual bool equals(const Layout& other) const = 0;
  // Row-major copy of `bytes`.
  virtual Tensor to_plain(const Tensor& bytes) const = 0;
  // Channels that lie side by side (ChannelBlocks::block); 0 where elements lie otherwise.
  virtual int64_t channel_block() const = 0;
  // The same places for elements of another type; nullptr where some places hold no element.
  virtual std::shared_ptr<const Layout> retyped(DType type) const = 0;
};

struct Array {
  Tensor tensor;                         // plain; or, with a layout, uint8 storage of its own size
  std::shared_ptr<const Layout> layout;  // absent: row-major
  DType dtype = DType::kUndefined;       // logical type and shape, whatever the layout
  Shape shape;

  Array() = default;
  Array(Tensor t)
      : tensor(std::move(t)),
        dtype(tensor.dtype()),
        shape(tensor.shape()) {}  // NOLINT: a plain tensor is an array
  Array(DType type, Shape dims, Tensor storage, std::shared_ptr<const Layout> how)
      : tensor(std::move(storage)), layout(std::move(how)), dtype(type), shape(std::move(dims)) {}

  bool defined() const { return tensor.defined(); }
  Tensor plain() const { return layout ? layout->to_plain(tensor) : tensor; }
};

}  // namespace qtool
