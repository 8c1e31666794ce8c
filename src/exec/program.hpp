// A prepared graph as a list of steps, one a node, each with the kernels made for it so far. The graphs
// that nodes carry (If, Loop, Scan) are programs of their own, prepared once and run by the same code.
#pragma once

#include <atomic>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "exec/deferred_constants.hpp"
#include "exec/kernel.hpp"
#include "qtool/exec.hpp"

namespace qtool {

// The live values of one run.
struct Run {
  // By slot, those of constants last and there only when one was set; undefined: not live.
  std::vector<Array> arrays;
  int next_step = 0;
  // Of the step that runs; kept for their memory.
  std::vector<Array> inputs, outputs;
  std::vector<const Tensor*> constants;
};

// Immutable after construction but for the kernels that it finds; runs from several threads at once.
class Program {
 public:
  Program(const Model& model, const ExecOptions& options);

  const Graph& graph() const { return model_.graph; }
  int step_count() const { return static_cast<int>(steps_.size()); }
  bool observed(ValueId id) const { return observed_[index(id)]; }
  // Values that are listed inputs, initializers excluded, by name.
  const std::map<std::string, ValueId>& feeds() const { return feeds_; }
  // Whether a node or an output reads the value.
  bool is_read(ValueId id) const { return read_[index(id)]; }
  // kNone when absent.
  ValueId find(const std::string& name) const;
  int step_of(const std::string& node) const;
  // Nothing live yet.
  Run start() const;
  // The array of a live value or a constant; undefined when it is neither.
  Array array(const Run& run, ValueId id) const;
  void set(Run& run, ValueId id, Array array) const;

  // Runs the step that comes next.
  void advance(Run& run, Tap* tap) const;
  // Drops the step's kernels, those of its bodies included.
  void forget(int step) const;

  std::vector<StepInfo> steps() const;
  void enable_timing() const { timing_ = true; }

 private:
  // One kernel for one combination of types, shapes, layouts and constants of the inputs.
  struct Compiled {
    std::vector<InputInfo> signature;
    std::shared_ptr<const Kernel> kernel;
  };
  // A graph inside a node: a model of its own whose captures are inputs, or weights where they never change.
  struct Body {
    const Graph* source;  // what the operator calls it
    std::unique_ptr<Program> program;
    std::vector<ValueId> inputs;                        // of the program, in order
    std::vector<std::pair<ValueId, ValueId>> captures;  // value around it, the program's
  };
  struct Step {
    mutable std::shared_mutex mutex;
    mutable std::vector<Compiled> compiled;
    mutable std::string kernel_name;
    mutable double milliseconds = 0;
    mutable int64_t macs = 0;
    std::vector<ValueId> dies;   // values that no later step reads
    std::vector<bool> releases;  // by input: the value dies here, and no other input or body has it
    std::vector<Body> bodies;
  };

  // What a body sees of the values around it, in the order of Body::captures; undefined: a constant.
  using Captured = std::vector<Array>;

  void index_values();
  void index_slots();
  void index_nodes();
  void find_deaths();
  void find_releases();
  // The untouched constant behind a value; nullptr when there is none.
  const Tensor* constant(const Run& run, ValueId id) const {
    const size_t slot = slots_[index(id)];
    return slot < run.arrays.size() && run.arrays[slot].defined() ? nullptr : constants_[index(id)];
  }
  Tensor constant_value(ValueId id) const {
    return deferred_.find(id) ? deferred_.value(id) : *constants_[index(id)];
  }
  Shape constant_shape(ValueId id) const {
    return deferred_.find(id) ? deferred_.shape(id) : constants_[index(id)]->shape();
  }
  // Of a value that is no constant.
  Array& live(Run& run, ValueId id) const { return run.arrays[slots_[index(id)]]; }
  Body make_body(const Graph& source) const;
  Captured captured(const Run& run, const Body& body) const;
  void run_step(Run& run, int step, Tap* tap) const;
  void run_node(Run& run, int step, Tap* tap) const;
  std::vector<Shape> input_shapes(const Run& run, const Node& node) const;
  void count_macs(int step, std::span<const Shape> inputs, std::span<const Array> outputs) const;
  void store(Run& run, int step, Tap* tap) const;
  static void show(Tap& tap, const std::string& name, Array& array);
  std::vector<Array> run_bodies(int step, std::span<Array> inputs,
                                const std::vector<Captured>& captured, Tap* tap) const;
  std::vector<Tensor> call(const Body& body, const Captured& captured, std::vector<Tensor> inputs,
                           Tap* tap) const;
  std::shared_ptr<const Kernel> kernel_for(int step, std::span<const Array> inputs,
                                           std::span<const Tensor* const> constants) const;
  std::unique_ptr<Kernel> make_kernel(const Node& node, std::span<const InputInfo> signature) const;

  Model model_;
  ExecOptions options_;
  DeferredConstants deferred_;
  std::vector<Step> steps_;
  std::unordered_map<std::string, ValueId> by_name_;
  std::unordered_map<std::string, int> step_of_node_;
  std::vector<bool> observed_, read_;
  std::vector<const Tensor*> constants_;  // by value; nullptr: none
  std::vector<size_t> slots_;  // by value; those of constants behind all others, none where unused
  size_t live_slots_ = 0;      // of what is no constant
  size_t slot_count_ = 0;
  std::map<std::string, ValueId> feeds_;
  mutable std::atomic<bool> timing_{false};
};

}  // namespace qtool
