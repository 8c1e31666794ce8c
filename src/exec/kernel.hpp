// A kernel runs one node for one signature of inputs. Kernels are immutable once made and shared by
// threads. A new fast kernel is one file and one line in list.cpp.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "exec/array.hpp"
#include "qtool/graph.hpp"

namespace qtool {

// What is known of an input when its kernel is made.
struct InputInfo {
  DType dtype = DType::kUndefined;  // kUndefined: absent
  Shape shape;
  std::shared_ptr<const Layout> layout;
  const Tensor* constant = nullptr;  // its value when it never changes: may be prepacked
};

class Kernel {
 public:
  virtual ~Kernel() = default;
  // Inputs that nobody else needs are unique and may be overwritten; `outputs` has one entry a node output.
  virtual void run(std::span<Array> inputs, std::span<Array> outputs) const = 0;
  virtual std::string name() const = 0;
  // False: it keeps what it needs of the constants it was made for, so `run` may get none.
  virtual bool reads_constants() const { return true; }
};

struct KernelRequest {
  const Node& node;
  int64_t opset;
  std::span<const InputInfo> inputs;
  bool has(size_t i) const { return i < inputs.size() && inputs[i].dtype != DType::kUndefined; }
  const Tensor* constant(size_t i) const {
    return i < inputs.size() ? inputs[i].constant : nullptr;
  }
};

struct KernelDef {
  std::string_view type, domain;
  // nullptr when the request is outside what the kernel does; the next one, at last the reference, is asked.
  std::unique_ptr<Kernel> (*make)(const KernelRequest&);
};

// The fast kernels, in order of preference.
std::span<const KernelDef> fast_kernels();
// The operator's own reference; throws Unsupported by name when there is none.
std::unique_ptr<Kernel> make_reference_kernel(const Node& node, int64_t opset);

}  // namespace qtool
