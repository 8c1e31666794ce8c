// Execution layer: runs a graph, node by node, each by its fastest kernel (oneDNN) or by its
// operator's reference. Shapes are those that come; kernels are cached by signature.
//
//   Executor ex(model, {.observe = {"conv1_out"}});
//   std::vector<Tensor> out = ex.run(feed, &tap);             // outputs in graph order
//
//   State s = ex.start(feed);                                 // or in ranges: run to a node, copy the
//   ex.advance(s, ex.step_of("conv5"));                       // state (cheap: shared tensors), change
//   State t = s;  ex.set(t, "w5", quantized);  ex.finish(t);  // a value, run only the rest
#pragma once

#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "qtool/data.hpp"
#include "qtool/graph.hpp"

namespace qtool {

enum class Backend { kOneDnn, kReference };

struct ExecOptions {
  Backend backend = Backend::kOneDnn;
  int intra_threads = 1;  // threads inside one run; artifacts are made with 1
  bool fuse = true;       // Conv+Relu, Conv+Add … become one kernel unless observed between
  // Values that must exist as such: taps may name these, also inside bodies of If, Loop and Scan, and set()
  // those of the main graph.
  std::set<std::string> observe;
};

// Floats as kernels leave them: channels (axis 1) in blocks, the element at (n, c, p), p over the axes behind,
// at data[((n · channels / block + c / block) · positions + p) · block + c % block]. Row-major is a block
// of 1, channels last one of all channels.
struct ChannelBlocks {
  const float* data = nullptr;
  Shape shape;  // rank 3 or more where block > 1
  int64_t block = 1;
  Tensor storage{};  // keeps `data` alive; undefined: the caller does
  bool defined() const { return data != nullptr; }
};
// Of a float tensor; undefined where it is.
ChannelBlocks row_major(const Tensor& value);

// Reads or replaces values as they are computed. Called for observed values only, in order of computation; inside
// a body as often as it runs.
class Tap {
 public:
  virtual ~Tap() = default;
  virtual void on_value(const std::string& name, Tensor& value) = 0;
  // false: only reads, so values keep the layout that the next kernel likes best.
  virtual bool replaces() const { return true; }
  // Whoever only reads may take values in blocks, before on_value() is asked; false: as row-major Tensor, please.
  virtual bool on_blocks(const std::string&, const ChannelBlocks&) { return false; }
};

// How one step runs; for `bench`, `eval` and reports.
struct StepInfo {
  std::string name, type, domain;  // of the node (fused ones keep their main node's name)
  std::string kernel;              // "onednn:jit:avx2", "reference"; of the last signature run
  double milliseconds = 0;         // total over all runs when timing is on
  int64_t macs = 0;                // multiply-accumulates of the last run when timing is on
};

// The live values between two steps of one run. Copying is cheap.
struct State {
  struct Impl;
  State();
  State(const State&);
  State(State&&) noexcept;
  State& operator=(const State&);
  State& operator=(State&&) noexcept;
  ~State();
  std::unique_ptr<Impl> impl;
};

// Immutable after construction; every member may be called from several threads at once.
class Executor {
 public:
  // Throws Error{kModel} naming node and opset for an operator that is not there.
  Executor(const Model& model, ExecOptions options = {});
  ~Executor();
  Executor(Executor&&) noexcept;

  std::vector<Tensor> run(const Feed& feed, Tap* tap = nullptr) const;

  State start(const Feed& feed) const;
  // Runs steps up to, not including, `step`.
  void advance(State& state, int step, Tap* tap = nullptr) const;
  std::vector<Tensor> finish(State& state, Tap* tap = nullptr) const;
  // A live value or initializer by name; for values that exist (inputs, observed, constants, outputs).
  Tensor get(const State& state, const std::string& name) const;
  void set(State& state, const std::string& name, Tensor value) const;
  // The same of floats, as they lie; row-major where they lie in no blocks.
  ChannelBlocks blocks(const State& state, const std::string& name) const;
  // Adds shift[c] to every element of channel c (axis 1; the last one where `last_axis`) of a live float
  // value, where it lies.
  void shift_channels(State& state, const std::string& name, std::span<const float> shift,
                      bool last_axis) const;
  int step_count() const;
  // The step that `state` runs next.
  int next_step(const State& state) const;
  // The step that runs the node of this name (itself, inside a fused step, or in a body); −1 when folded away.
  int step_of(const std::string& node) const;

  // Drops the kernels of steps `first` to `last` − 1 and the weights that they packed; whoever runs these
  // steps again waits until they are made again. For walks that pass every step once.
  void forget(int first, int last) const;

  std::vector<StepInfo> steps() const;
  void enable_timing() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The bytes that a run's live values hold; shared tensors count once each time they are held.
int64_t live_bytes(const State& state);

// c [m][n] += aᵀ · b with a [k][m], b [k][n], all row-major with their own row strides; single precision
// on the calling thread (oneDNN's sgemm).
void add_product(const float* a, int64_t a_stride, const float* b, int64_t b_stride, float* c,
                 int64_t c_stride, int64_t m, int64_t n, int64_t k);
// c [m][n] −= a · bᵀ with a [m][k], b [n][k], in the same way.
void subtract_row_products(const float* a, int64_t a_stride, const float* b, int64_t b_stride,
                           float* c, int64_t c_stride, int64_t m, int64_t n, int64_t k);

// Peak of one core and of `threads` cores in GFLOP/s (float) and GOP/s (u8×s8), measured briefly.
struct MachinePeak {
  double float_gflops = 0, int8_gops = 0;
};
MachinePeak measure_peak(int threads);
// Whether so many threads inside a run have cores to themselves: how long they wait for each other, measured for
// some 40 ms. Asks what it says only where waiting threads spin (GOMP_SPINCOUNT).
bool threads_have_cores(int threads);
// Instruction set that oneDNN dispatches to, "AVX2", "AVX512_VNNI" …; whether u8×s8 pair sums saturate on it.
std::string cpu_isa();
bool saturates_u8s8();

}  // namespace qtool
