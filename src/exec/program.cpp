#include "exec/program.hpp"

#include <algorithm>
#include <limits>
#include <unordered_set>

#include "graph/subgraphs.hpp"
#include "qtool/ops.hpp"
#include "qtool/passes.hpp"

namespace qtool {
namespace {

// Kernels kept for one step; data of ever new shapes must not fill the memory.
constexpr size_t kMostCompiled = 32;

bool matches(const InputInfo& have, const Array& array, const Tensor* constant) {
  if (constant) return have.constant == constant;
  if (have.dtype != array.dtype || have.constant != constant || have.shape != array.shape)
    return false;
  if (have.layout == array.layout) return true;
  return have.layout && array.layout && have.layout->equals(*array.layout);
}

// Of the graph's values and those inside of it.
void add_names(const Graph& graph, std::unordered_set<std::string_view>& names) {
  for (const Value& value : graph.values) names.insert(value.name);
  for (const Node& node : graph.nodes)
    for (const Graph* body : subgraphs_of(node)) add_names(*body, names);
}

}  // namespace

Program::Program(const Model& model, const ExecOptions& options)
    : model_(model),
      options_(options),
      deferred_(model_, options.observe),
      steps_(model.graph.nodes.size()) {
  index_values();
  index_nodes();
  find_deaths();
  find_releases();
}

void Program::index_values() {
  const Graph& g = graph();
  observed_.assign(g.values.size(), false);
  for (size_t v = 0; v < g.values.size(); ++v) by_name_[g.values[v].name] = static_cast<ValueId>(v);
  for (const std::string& name : options_.observe) {
    if (const ValueId id = find(name); id != ValueId::kNone) observed_[index(id)] = true;
  }
  constants_.assign(g.values.size(), nullptr);
  for (const auto& [id, initializer] : g.initializers) constants_[index(id)] = &initializer.data;
  for (size_t v = 0; v < g.values.size(); ++v)
    if (const Tensor* later = deferred_.find(static_cast<ValueId>(v))) constants_[v] = later;
  index_slots();
  for (ValueId v : g.inputs)
    if (!g.constant(v)) feeds_[g.value(v).name] = v;
}

// Few values are live, however many constants there are, and names that passes have left.
void Program::index_slots() {
  const Graph& g = graph();
  std::vector<bool> used(g.values.size(), false);
  const auto use = [&](const std::vector<ValueId>& values) {
    for (const ValueId v : values)
      if (v != ValueId::kNone) used[index(v)] = true;
  };
  use(g.inputs), use(g.outputs), use(g.captures);
  for (const Node& node : g.nodes) {
    use(node.inputs), use(node.outputs);
    for (const std::string& name : captured_names(node)) use({find(name)});
  }
  slots_.assign(g.values.size(), std::numeric_limits<size_t>::max());
  for (const bool constant : {false, true}) {
    for (size_t v = 0; v < g.values.size(); ++v)
      if (used[v] && (constants_[v] != nullptr) == constant) slots_[v] = slot_count_++;
    if (!constant) live_slots_ = slot_count_;
  }
}

void Program::index_nodes() {
  for (size_t n = 0; n < steps_.size(); ++n) {
    const Node& node = graph().nodes[n];
    step_of_node_[node.name] = static_cast<int>(n);
    for (const std::string& part : split(attr_string(node, "fused_from", ""), '\n')) {
      if (!part.empty()) step_of_node_[part] = static_cast<int>(n);
    }
    if (!find_op(node.type, node.domain, model_.opset(node.domain))) {
      throw_unsupported(cat(node_text(node), ": operator '", printable(node.domain),
                            node.domain.empty() ? "" : ".", printable(node.type), "' at opset ",
                            model_.opset(node.domain), " is not supported"));
    }
    for (const Attribute& attribute : node.attributes) {
      if (const auto* body = std::get_if<std::shared_ptr<const Graph>>(&attribute.value))
        steps_[n].bodies.push_back(make_body(**body));
    }
    for (const Body& body : steps_[n].bodies)
      for (const auto& [name, step] : body.program->step_of_node_)
        step_of_node_.emplace(name, static_cast<int>(n));
  }
}

void Program::find_deaths() {
  const Graph& g = graph();
  const Uses uses = uses_of(g);
  read_.assign(g.values.size(), false);
  for (size_t v = 0; v < g.values.size(); ++v) {
    read_[v] = uses.is_output[v] || !uses.consumers[v].empty();
    if (uses.is_output[v]) continue;
    int32_t last = uses.producer[v];
    for (const int32_t user : uses.consumers[v]) last = std::max(last, user);
    if (last >= 0) steps_[static_cast<size_t>(last)].dies.push_back(static_cast<ValueId>(v));
  }
}

void Program::find_releases() {
  for (size_t n = 0; n < steps_.size(); ++n) {
    const Node& node = graph().nodes[n];
    Step& step = steps_[n];
    step.releases.assign(node.inputs.size(), false);
    if (!step.bodies.empty()) continue;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId v = node.inputs[i];
      step.releases[i] = std::count(node.inputs.begin(), node.inputs.end(), v) == 1 &&
                         std::count(step.dies.begin(), step.dies.end(), v) > 0;
    }
  }
}

Program::Body Program::make_body(const Graph& source) const {
  ExecOptions options = options_;
  options.observe.clear();
  std::unordered_set<std::string_view> inside;
  if (!options_.observe.empty()) add_names(source, inside);
  // Names of the graph around it are not the body's, should it use them, too.
  for (const std::string& name : options_.observe)
    if (inside.contains(name) && find(name) == ValueId::kNone) options.observe.insert(name);
  const bool fuse = options.fuse && options.backend == Backend::kOneDnn;
  const Model inner =
      prepare_for_execution(body_model(model_, source), {.observe = options.observe, .fuse = fuse});
  Body body{&source, std::make_unique<Program>(inner, options), {}, {}};
  for (const ValueId id : source.inputs)
    body.inputs.push_back(body.program->find(source.value(id).name));
  for (const ValueId id : source.captures) {
    const std::string& name = source.value(id).name;
    body.captures.emplace_back(find(name), body.program->find(name));
  }
  return body;
}

ValueId Program::find(const std::string& name) const {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? ValueId::kNone : it->second;
}

int Program::step_of(const std::string& node) const {
  const auto it = step_of_node_.find(node);
  return it == step_of_node_.end() ? -1 : it->second;
}

Array Program::array(const Run& run, ValueId id) const {
  const size_t slot = slots_[index(id)];
  if (slot < run.arrays.size() && run.arrays[slot].defined()) return run.arrays[slot];
  return constants_[index(id)] ? Array(constant_value(id)) : Array();
}

void Program::set(Run& run, ValueId id, Array array) const {
  const size_t slot = slots_[index(id)];
  if (slot >= slot_count_) return;  // nobody reads it
  if (slot >= run.arrays.size()) run.arrays.resize(slot_count_);
  run.arrays[slot] = std::move(array);
}

Run Program::start() const {
  Run run;
  run.arrays.resize(live_slots_);
  return run;
}

std::unique_ptr<Kernel> Program::make_kernel(const Node& node,
                                             std::span<const InputInfo> signature) const {
  if (options_.backend == Backend::kOneDnn) {
    const KernelRequest request{node, model_.opset(node.domain), signature};
    for (const KernelDef& def : fast_kernels()) {
      if (def.type != node.type || def.domain != node.domain) continue;
      if (auto kernel = def.make(request)) return kernel;
    }
  }
  return make_reference_kernel(node, model_.opset(node.domain));
}

std::shared_ptr<const Kernel> Program::kernel_for(int step, std::span<const Array> inputs,
                                                  std::span<const Tensor* const> constants) const {
  const Step& s = steps_[static_cast<size_t>(step)];
  auto find_compiled = [&]() -> std::shared_ptr<const Kernel> {
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
    if (auto kernel = find_compiled()) return kernel;
  }
  std::unique_lock lock(s.mutex);
  if (auto kernel = find_compiled()) return kernel;
  const auto held = deferred_.hold(graph().nodes[static_cast<size_t>(step)].inputs);
  Compiled compiled;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (const Tensor* t = constants[i])
      compiled.signature.push_back({t->dtype(), t->shape(), nullptr, t});
    else
      compiled.signature.push_back({inputs[i].dtype, inputs[i].shape, inputs[i].layout, nullptr});
  }
  compiled.kernel = make_kernel(graph().nodes[static_cast<size_t>(step)], compiled.signature);
  s.kernel_name = compiled.kernel->name();
  if (!compiled.kernel->reads_constants()) {
    for (const Tensor* packed : constants)
      if (packed) packed->drop_pages();
    if (held) deferred_.drop();
  }
  if (s.compiled.size() == kMostCompiled) s.compiled.erase(s.compiled.begin());
  s.compiled.push_back(std::move(compiled));
  return s.compiled.back().kernel;
}

void Program::forget(int step) const {
  const Step& s = steps_[static_cast<size_t>(step)];
  for (const Body& body : s.bodies)
    for (int inner = 0; inner < body.program->step_count(); ++inner) body.program->forget(inner);
  std::unique_lock lock(s.mutex);
  s.compiled.clear();
  deferred_.drop();
}

std::vector<StepInfo> Program::steps() const {
  std::vector<StepInfo> infos;
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Node& node = graph().nodes[i];
    std::shared_lock lock(steps_[i].mutex);
    infos.push_back({node.name, node.type, node.domain, steps_[i].kernel_name,
                     steps_[i].milliseconds, steps_[i].macs});
  }
  return infos;
}

}  // namespace qtool
