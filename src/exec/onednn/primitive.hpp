// A oneDNN primitive with its arguments made ready once: a call sets addresses and runs. Making memory
// objects anew costs microseconds, as much as a small layer.
#pragma once

#include <mutex>
#include <span>

#include "exec/onednn/common.hpp"

namespace qtool::onednn {

class Primitive {
 public:
  struct Argument {
    int index;  // DNNL_ARG_SRC …
    Descriptor descriptor;
    const void* fixed = nullptr;  // an address that never changes; null: given with every call
  };
  Primitive(const dnnl::primitive& primitive, const Descriptor& scratchpad,
            std::vector<Argument> arguments);

  // Addresses of the arguments that are not fixed, in order. Callable from several threads at once.
  void run(std::span<const void* const> addresses) const;

 private:
  // What one running call holds.
  struct Call {
    std::vector<dnnl::memory> memories;
    std::vector<dnnl_exec_arg_t> arguments;
  };
  std::unique_ptr<Call> take() const;

  dnnl::primitive primitive_;
  Descriptor scratchpad_;
  size_t scratchpad_bytes_;
  std::vector<Argument> arguments_;  // those given with every call first
  size_t given_ = 0;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Call>> idle_;
};

// A change of layout, made once.
class Reorder {
 public:
  Reorder(const Descriptor& from, const Descriptor& to);
  // Fresh bytes.
  Tensor run(const void* from) const;
  void run(const void* from, void* to) const;

 private:
  Primitive primitive_;
  int64_t bytes_;
};

// An input as a primitive wants it laid out.
class Source {
 public:
  Source(const InputInfo& input, const Descriptor& want);
  // The array's own bytes, or a copy that `keep` keeps alive.
  const void* address(const Array& array, Tensor& keep) const;

 private:
  std::unique_ptr<const Reorder> reorder_;
};

}  // namespace qtool::onednn
