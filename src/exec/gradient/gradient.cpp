#include "qtool/gradient.hpp"

#include <omp.h>

#include <algorithm>

#include "exec/gradient/vjp.hpp"
#include "qtool/exec.hpp"

namespace qtool {
namespace {

using gradient::Keep;
using gradient::VjpDef;

bool may_be_float(const Value& value) {
  return value.dtype == DType::kUndefined || value.dtype == DType::kFloat;
}

// What a node's vjp needs, and where gradients go.
struct BackwardStep {
  const Node* node = nullptr;
  const VjpDef* def = nullptr;
  std::vector<bool> wanted;  // by input
  std::unique_ptr<gradient::Cache> cache = std::make_unique<gradient::Cache>();
};

// Keeps what the vjps read.
class Recorder : public Tap {
 public:
  Recorder(const Graph& graph, const std::vector<bool>& keep, Gradient::Tape& tape)
      : graph_(graph), keep_(keep), tape_(tape) {}
  void on_value(const std::string& name, Tensor& value) override {
    const size_t id = index(graph_.find(name));
    tape_.shapes[id] = value.shape();
    if (keep_[id]) tape_.values[id] = value;
  }
  bool replaces() const override { return false; }

 private:
  const Graph& graph_;
  const std::vector<bool>& keep_;
  Gradient::Tape& tape_;
};

// Adds in place where nobody else reads the sum so far.
void accumulate(Tensor& sum, Tensor more) {
  if (!sum.defined()) {
    sum = std::move(more);
    return;
  }
  const float* from = more.data<float>().data();
  float* to = sum.mutable_data<float>().data();
  for (int64_t i = 0, n = sum.size(); i < n; ++i) to[i] += from[i];
}

}  // namespace

struct Gradient::Impl {
  Impl(const Model& m, const std::vector<std::string>& names, const std::vector<std::string>& kept)
      : model(m), wanted(names) {
    keep.assign(model.graph.values.size(), false);
    observed = keep;
    find_active();
    find_useful();
    plan();
    for (const std::string& name : kept) {
      const size_t id = index(model.graph.find(name));
      observed[id] = keep[id] = true;
    }
    ExecOptions options;
    for (size_t v = 0; v < observed.size(); ++v)
      if (observed[v]) options.observe.insert(model.graph.values[v].name);
    executor = std::make_unique<Executor>(model, options);
  }

  // Values that the wanted ones reach.
  void find_active() {
    const Graph& g = model.graph;
    active.assign(g.values.size(), false);
    is_wanted = active;
    for (const std::string& name : wanted) {
      const ValueId id = g.find(name);
      if (id == ValueId::kNone) throw_internal(cat("no value '", printable(name), "'"));
      active[index(id)] = is_wanted[index(id)] = true;
    }
    for (const Node& node : g.nodes) {
      const VjpDef* def = gradient::find_vjp(node);
      if (def && !def->vjp) continue;
      bool any = false;
      for (ValueId v : node.inputs) any = any || (v != ValueId::kNone && active[index(v)]);
      for (ValueId v : node.outputs)
        if (any && v != ValueId::kNone && may_be_float(g.value(v))) active[index(v)] = true;
    }
  }

  // Values that reach a float output.
  void find_useful() {
    const Graph& g = model.graph;
    useful.assign(g.values.size(), false);
    for (ValueId v : g.outputs) useful[index(v)] = may_be_float(g.value(v));
    for (auto node = g.nodes.rbegin(); node != g.nodes.rend(); ++node) {
      const bool any = std::ranges::any_of(node->outputs, [&](ValueId v) {
        return v != ValueId::kNone && useful[index(v)] && active[index(v)];
      });
      for (ValueId v : node->inputs)
        if (any && v != ValueId::kNone) useful[index(v)] = true;
    }
  }

  void plan() {
    const Graph& g = model.graph;
    for (const Node& node : g.nodes) {
      const bool reached = std::ranges::any_of(node.outputs, [&](ValueId v) {
        return v != ValueId::kNone && useful[index(v)] && active[index(v)];
      });
      BackwardStep step;
      step.node = &node;
      for (ValueId v : node.inputs)
        step.wanted.push_back(v != ValueId::kNone && active[index(v)] && may_be_float(g.value(v)));
      if (!reached || std::ranges::find(step.wanted, true) == step.wanted.end()) continue;
      step.def = gradient::find_vjp(node);
      if (!step.def) {
        throw_unsupported(cat(node_text(node), ": operator '", printable(node.domain),
                              node.domain.empty() ? "" : ".", printable(node.type),
                              "' has no gradient"));
      }
      choose_kept(step);
      steps.push_back(std::move(step));
    }
  }

  void choose_kept(const BackwardStep& step) {
    const Node& node = *step.node;
    const unsigned how = step.def->keep;
    const auto wanted_inputs = std::ranges::count(step.wanted, true);
    const auto observe = [&](ValueId v, bool value) {
      if (v == ValueId::kNone || model.graph.constant(v)) return;
      observed[index(v)] = true;
      keep[index(v)] = keep[index(v)] || value;
    };
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const bool value = (how & Keep::kInputs) || ((how & Keep::kFixed) && !step.wanted[i]) ||
                         ((how & Keep::kOthers) && wanted_inputs > (step.wanted[i] ? 1 : 0));
      if (value || (how & Keep::kShapes)) observe(node.inputs[i], value);
    }
    if (how & Keep::kOutput)
      for (ValueId v : node.outputs) observe(v, true);
  }

  Tensor value(const Tape& tape, ValueId v) const {
    if (v == ValueId::kNone) return {};
    const Tensor* constant = model.graph.constant(v);
    return constant ? *constant : tape.values[index(v)];
  }

  void run_step(const BackwardStep& step, const Tape& tape, std::vector<Tensor>& gradients) const {
    const Node& node = *step.node;
    std::vector<Tensor> inputs, outputs, incoming;
    std::vector<Shape> shapes;
    bool any = false;
    for (ValueId v : node.outputs) {
      outputs.push_back(value(tape, v));
      const bool has = v != ValueId::kNone && gradients[index(v)].defined();
      incoming.push_back(has ? gradients[index(v)] : Tensor());
      any = any || has;
      // Released, so that vjps may overwrite what nobody else holds.
      if (has) gradients[index(v)] = Tensor();
    }
    if (!any) return;
    for (ValueId v : node.inputs) {
      inputs.push_back(value(tape, v));
      shapes.push_back(inputs.back().defined() ? inputs.back().shape()
                       : v == ValueId::kNone   ? Shape()
                                               : tape.shapes[index(v)]);
    }
    const gradient::VjpCall call{
        node,       model.opset(node.domain), inputs, outputs, shapes, incoming, step.wanted,
        *step.cache};
    std::vector<Tensor> found;
    try {
      found = step.def->vjp(call);
    } catch (Error& error) {
      error.context(cat("in the gradient of ", node_text(node)));
      throw;
    }
    incoming.clear();
    for (size_t i = 0; i < node.inputs.size() && i < found.size(); ++i) {
      if (step.wanted[i] && found[i].defined())
        accumulate(gradients[index(node.inputs[i])], std::move(found[i]));
    }
  }

  Model model;
  std::vector<std::string> wanted;
  std::vector<bool> is_wanted, active, useful, keep, observed;  // by value
  std::vector<BackwardStep> steps;                              // in graph order
  std::unique_ptr<Executor> executor;
};

Gradient::Gradient(const Model& model, const std::vector<std::string>& values,
                   const std::vector<std::string>& kept)
    : impl_(std::make_unique<const Impl>(model, values, kept)) {}
Gradient::~Gradient() = default;
Gradient::Gradient(Gradient&&) noexcept = default;

Gradient::Tape Gradient::forward(const std::map<std::string, Tensor>& feed) const {
  Tape tape;
  tape.values.resize(impl_->model.graph.values.size());
  tape.shapes.resize(tape.values.size());
  Recorder recorder(impl_->model.graph, impl_->keep, tape);
  tape.outputs = impl_->executor->run(feed, &recorder);
  return tape;
}

Tensor Gradient::value(const Tape& tape, const std::string& name) const {
  const Tensor found = impl_->value(tape, impl_->model.graph.find(name));
  if (!found.defined()) throw_internal(cat("value '", printable(name), "' is not on the tape"));
  return found;
}

void Gradient::backward(Tape& tape, const std::vector<std::vector<Tensor>>& seeds,
                        const Visit& visit) const {
  // oneDNN reads the calling thread's OpenMP setting.
  if (omp_get_max_threads() != 1) omp_set_num_threads(1);
  const Graph& g = impl_->model.graph;
  std::vector<std::vector<Tensor>> gradients(seeds.size(), std::vector<Tensor>(g.values.size()));
  for (size_t d = 0; d < seeds.size(); ++d) {
    for (size_t o = 0; o < g.outputs.size() && o < seeds[d].size(); ++o)
      if (seeds[d][o].defined()) accumulate(gradients[d][index(g.outputs[o])], seeds[d][o]);
  }
  const auto leave = [&](ValueId v) {
    if (v == ValueId::kNone || !impl_->is_wanted[index(v)]) return;
    std::vector<Tensor> complete;
    for (const auto& direction : gradients) complete.push_back(direction[index(v)]);
    if (std::ranges::any_of(complete, &Tensor::defined)) visit(g.value(v).name, complete);
  };
  std::vector<bool> left(g.values.size(), false);
  for (auto step = impl_->steps.rbegin(); step != impl_->steps.rend(); ++step) {
    for (ValueId v : step->node->outputs) {
      leave(v);
      if (v != ValueId::kNone) left[index(v)] = true;
    }
    for (auto& direction : gradients) impl_->run_step(*step, tape, direction);
    for (ValueId v : step->node->outputs)
      if (v != ValueId::kNone) tape.values[index(v)] = Tensor();
  }
  for (const std::string& name : impl_->wanted)
    if (!left[index(g.find(name))]) leave(g.find(name));
}

std::map<std::string, Tensor> Gradient::backward(const Tape& tape,
                                                 const std::vector<Tensor>& seeds) const {
  std::map<std::string, Tensor> found;
  Tape copy = tape;
  backward(copy, {seeds}, [&](const std::string& name, const std::vector<Tensor>& gradients) {
    found[name] = gradients[0];
  });
  return found;
}

}  // namespace qtool
