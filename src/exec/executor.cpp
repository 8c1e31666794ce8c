#include <omp.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <shared_mutex>
#include <unordered_map>

#include "exec/kernel.hpp"
#include "qtool/exec.hpp"
#include "qtool/ops.hpp"
#include "qtool/passes.hpp"

namespace qtool {
namespace {

// One kernel for one combination of types, shapes, layouts and constants of the inputs.
struct Compiled {
  std::vector<InputInfo> signature;
  std::shared_ptr<const Kernel> kernel;
};

// Kernels kept for one step; data of ever new shapes must not fill the memory.
constexpr size_t kMostCompiled = 32;

bool matches(const InputInfo& have, const Array& array, const Tensor* constant) {
  if (have.dtype != array.dtype || have.constant != constant || have.shape != array.shape)
    return false;
  if (have.layout == array.layout) return true;
  return have.layout && array.layout && have.layout->equals(*array.layout);
}

}  // namespace

struct State::Impl {
  std::vector<Array> arrays;  // by value; undefined: not live, or an untouched constant
  int next_step = 0;
};

State::State() : impl(std::make_unique<Impl>()) {}
State::State(const State& other) : impl(std::make_unique<Impl>(*other.impl)) {}
State::State(State&&) noexcept = default;
State& State::operator=(const State& other) {
  *impl = *other.impl;
  return *this;
}
State& State::operator=(State&&) noexcept = default;
State::~State() = default;

int64_t live_bytes(const State& state) {
  int64_t bytes = 0;
  for (const Array& array : state.impl->arrays) bytes += array.tensor.bytes();
  return bytes;
}

struct Executor::Impl {
  struct Step {
    mutable std::shared_mutex mutex;
    mutable std::vector<Compiled> compiled;
    mutable std::string kernel_name;
    mutable double milliseconds = 0;
    std::vector<ValueId> dies;  // values that no later step reads
  };

  Model model;
  ExecOptions options;
  std::vector<Step> steps;
  std::unordered_map<std::string, ValueId> by_name;
  std::unordered_map<std::string, int> step_of_node;
  std::vector<bool> observed;
  std::map<std::string, ValueId> feeds;  // graph inputs without a default
  mutable std::atomic<bool> timing{false};

  const Graph& graph() const { return model.graph; }
  void index();
  void run_step(State::Impl& state, int step, Tap* tap) const;
  std::shared_ptr<const Kernel> kernel_for(int step, std::span<const Array> inputs,
                                           std::span<const Tensor* const> constants) const;
  std::unique_ptr<Kernel> make_kernel(const Node& node, std::span<const InputInfo> signature) const;
  ValueId id_of(const std::string& name) const;
};

void Executor::Impl::index() {
  const Graph& g = graph();
  steps = std::vector<Step>(g.nodes.size());
  observed.assign(g.values.size(), false);
  for (size_t v = 0; v < g.values.size(); ++v) by_name[g.values[v].name] = static_cast<ValueId>(v);
  for (const std::string& name : options.observe) {
    if (auto it = by_name.find(name); it != by_name.end())
      observed[qtool::index(it->second)] = true;
  }
  std::vector<int> last_use(g.values.size(), -1);
  for (size_t n = 0; n < g.nodes.size(); ++n) {
    const Node& node = g.nodes[n];
    step_of_node[node.name] = static_cast<int>(n);
    for (const std::string& part : split(attr_string(node, "fused_from", ""), '\n')) {
      if (!part.empty()) step_of_node[part] = static_cast<int>(n);
    }
    if (!find_op(node.type, node.domain, model.opset(node.domain))) {
      throw_unsupported(cat(node_text(node), ": operator '", printable(node.domain),
                            node.domain.empty() ? "" : ".", printable(node.type), "' at opset ",
                            model.opset(node.domain), " is not supported"));
    }
    for (ValueId v : node.inputs)
      if (v != ValueId::kNone) last_use[qtool::index(v)] = static_cast<int>(n);
    for (ValueId v : node.outputs) {
      if (v != ValueId::kNone)
        last_use[qtool::index(v)] = std::max(last_use[qtool::index(v)], static_cast<int>(n));
    }
  }
  for (ValueId v : g.outputs) last_use[qtool::index(v)] = -1;
  for (size_t v = 0; v < g.values.size(); ++v) {
    if (last_use[v] >= 0) steps[last_use[v]].dies.push_back(static_cast<ValueId>(v));
  }
  for (ValueId v : g.inputs)
    if (!g.constant(v)) feeds[g.value(v).name] = v;
}

ValueId Executor::Impl::id_of(const std::string& name) const {
  auto it = by_name.find(name);
  if (it == by_name.end())
    throw_internal(cat("value '", printable(name), "' is not in the compiled graph; observe it"));
  return it->second;
}

std::unique_ptr<Kernel> Executor::Impl::make_kernel(const Node& node,
                                                    std::span<const InputInfo> signature) const {
  if (options.backend == Backend::kOneDnn) {
    const KernelRequest request{node, model.opset(node.domain), signature};
    for (const KernelDef& def : fast_kernels()) {
      if (def.type != node.type || def.domain != node.domain) continue;
      if (auto kernel = def.make(request)) return kernel;
    }
  }
  return make_reference_kernel(node, model.opset(node.domain));
}

std::shared_ptr<const Kernel> Executor::Impl::kernel_for(
    int step, std::span<const Array> inputs, std::span<const Tensor* const> constants) const {
  const Step& s = steps[step];
  auto find = [&]() -> std::shared_ptr<const Kernel> {
    for (const Compiled& c : s.compiled) {
      bool same = true;
      for (size_t i = 0; same && i < inputs.size(); ++i)
        same = matches(c.signature[i], inputs[i], constants[i]);
      if (same) return c.kernel;
    }
    return nullptr;
  };
  {
    std::shared_lock lock(s.mutex);
    if (auto kernel = find()) return kernel;
  }
  std::unique_lock lock(s.mutex);
  if (auto kernel = find()) return kernel;
  Compiled compiled;
  for (size_t i = 0; i < inputs.size(); ++i) {
    compiled.signature.push_back(
        {inputs[i].dtype, inputs[i].shape, inputs[i].layout, constants[i]});
  }
  compiled.kernel = make_kernel(graph().nodes[step], compiled.signature);
  s.kernel_name = compiled.kernel->name();
  if (s.compiled.size() == kMostCompiled) s.compiled.erase(s.compiled.begin());
  s.compiled.push_back(std::move(compiled));
  return s.compiled.back().kernel;
}

void Executor::Impl::run_step(State::Impl& state, int step, Tap* tap) const {
  const Node& node = graph().nodes[step];
  const double begin = timing ? now_seconds() : 0;
  std::vector<Array> inputs(node.inputs.size()), outputs(node.outputs.size());
  std::vector<const Tensor*> constants(node.inputs.size(), nullptr);
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const ValueId v = node.inputs[i];
    if (v == ValueId::kNone) continue;
    inputs[i] = state.arrays[qtool::index(v)];
    if (inputs[i].defined()) continue;
    constants[i] = graph().constant(v);
    if (!constants[i])
      throw_internal(cat("value '", printable(graph().value(v).name), "' is not live"));
    inputs[i] = Array(*constants[i]);
  }
  // Released first, so that a kernel may overwrite what it alone holds.
  for (ValueId v : steps[step].dies) state.arrays[qtool::index(v)] = Array();
  try {
    kernel_for(step, inputs, constants)->run(inputs, outputs);
  } catch (Error& error) {
    error.context(cat("while running ", node_text(node)));
    throw;
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const ValueId v = node.outputs[i];
    if (v == ValueId::kNone) continue;
    if (tap && observed[qtool::index(v)]) {
      Tensor value = outputs[i].plain();
      tap->on_value(graph().value(v).name, value);
      if (tap->replaces()) outputs[i] = Array(std::move(value));
    }
    if (std::find(steps[step].dies.begin(), steps[step].dies.end(), v) == steps[step].dies.end()) {
      state.arrays[qtool::index(v)] = std::move(outputs[i]);
    }
  }
  if (timing) {
    const double spent = (now_seconds() - begin) * 1e3;
    std::unique_lock lock(steps[step].mutex);
    steps[step].milliseconds += spent;
  }
}

Executor::Executor(const Model& model, ExecOptions options) : impl_(std::make_unique<Impl>()) {
  impl_->options = std::move(options);
  impl_->model = prepare_for_execution(
      model, {.observe = impl_->options.observe,
              .fuse = impl_->options.fuse && impl_->options.backend == Backend::kOneDnn});
  impl_->index();
}
Executor::~Executor() = default;
Executor::Executor(Executor&&) noexcept = default;

State Executor::start(const Feed& feed) const {
  State state;
  state.impl->arrays.resize(impl_->graph().values.size());
  for (const auto& [name, id] : impl_->feeds) {
    auto it = feed.find(name);
    if (it == feed.end())
      throw Error(ErrorKind::kData, "QT-E410",
                  cat("the model's input '", printable(name), "' gets no data"));
    const Value& value = impl_->graph().value(id);
    if (value.dtype != DType::kUndefined && it->second.dtype() != value.dtype) {
      throw Error(ErrorKind::kData, "QT-E411",
                  cat("input '", printable(name), "' wants ", dtype_name(value.dtype), " and gets ",
                      dtype_name(it->second.dtype())));
    }
    state.impl->arrays[index(id)] = Array(it->second);
  }
  return state;
}

void Executor::advance(State& state, int step, Tap* tap) const {
  // oneDNN reads the calling thread's OpenMP setting when it makes and when it runs a primitive.
  const int before = omp_get_max_threads();
  if (before != impl_->options.intra_threads) omp_set_num_threads(impl_->options.intra_threads);
  for (int& next = state.impl->next_step; next < step; ++next)
    impl_->run_step(*state.impl, next, tap);
}

std::vector<Tensor> Executor::finish(State& state, Tap* tap) const {
  advance(state, step_count(), tap);
  std::vector<Tensor> outputs;
  for (ValueId v : impl_->graph().outputs)
    outputs.push_back(get(state, impl_->graph().value(v).name));
  return outputs;
}

std::vector<Tensor> Executor::run(const Feed& feed, Tap* tap) const {
  State state = start(feed);
  if (tap) {
    for (const auto& [name, id] : impl_->feeds) {
      if (!impl_->observed[index(id)]) continue;
      Tensor value = state.impl->arrays[index(id)].tensor;
      tap->on_value(name, value);
      state.impl->arrays[index(id)] = Array(std::move(value));
    }
  }
  return finish(state, tap);
}

Tensor Executor::get(const State& state, const std::string& name) const {
  const ValueId id = impl_->id_of(name);
  const Array& array = state.impl->arrays[index(id)];
  if (array.defined()) return array.plain();
  if (const Tensor* constant = impl_->graph().constant(id)) return *constant;
  throw_internal(cat("value '", printable(name), "' is not live"));
}

void Executor::set(State& state, const std::string& name, Tensor value) const {
  state.impl->arrays[index(impl_->id_of(name))] = Array(std::move(value));
}

int Executor::step_count() const { return static_cast<int>(impl_->steps.size()); }

int Executor::step_of(const std::string& node) const {
  auto it = impl_->step_of_node.find(node);
  return it == impl_->step_of_node.end() ? -1 : it->second;
}

std::vector<StepInfo> Executor::steps() const {
  std::vector<StepInfo> infos;
  for (size_t i = 0; i < impl_->steps.size(); ++i) {
    const Node& node = impl_->graph().nodes[i];
    std::shared_lock lock(impl_->steps[i].mutex);
    infos.push_back({node.name, node.type, node.domain, impl_->steps[i].kernel_name,
                     impl_->steps[i].milliseconds});
  }
  return infos;
}

void Executor::enable_timing() const { impl_->timing = true; }

}  // namespace qtool
