// Running a program: step by step, bodies of control flow included.
#include <algorithm>

#include "exec/program.hpp"
#include "qtool/ops.hpp"

namespace qtool {

void Program::advance(Run& run, Tap* tap) const {
  run_step(run, run.next_step, tap);
  ++run.next_step;
}

void Program::run_step(Run& run, int step, Tap* tap) const {
  check_interrupted();
  if (deferred_.makes(static_cast<size_t>(step))) return;
  const Node& node = graph().nodes[static_cast<size_t>(step)];
  const Step& s = steps_[static_cast<size_t>(step)];
  // What is counted is not what the step takes.
  const std::vector<Shape> shapes = timing_ ? input_shapes(run, node) : std::vector<Shape>();
  double begin = timing_ ? now_seconds() : 0;
  run.outputs.resize(node.outputs.size());
  try {
    run_node(run, step, tap);
  } catch (Error& error) {
    error.context(cat("while running ", node_text(node)));
    throw;
  }
  if (timing_) {
    const double counting = now_seconds();
    count_macs(step, shapes, run.outputs);
    begin += now_seconds() - counting;
  }
  store(run, step, tap);
  run.inputs.clear();
  run.outputs.clear();
  if (timing_) {
    const double spent = (now_seconds() - begin) * 1e3;
    std::unique_lock lock(s.mutex);
    s.milliseconds += spent;
  }
}

void Program::run_node(Run& run, int step, Tap* tap) const {
  const Node& node = graph().nodes[static_cast<size_t>(step)];
  const Step& s = steps_[static_cast<size_t>(step)];
  std::vector<Array>&inputs = run.inputs, &outputs = run.outputs;
  std::vector<const Tensor*>& constants = run.constants;
  inputs.resize(node.inputs.size());
  constants.assign(node.inputs.size(), nullptr);
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const ValueId v = node.inputs[i];
    if (v == ValueId::kNone || (constants[i] = constant(run, v))) continue;
    // A constant that somebody set is an array like any other.
    Array& array = run.arrays[slots_[index(v)]];
    if (!array.defined())
      throw_internal(cat("value '", printable(graph().value(v).name), "' is not live"));
    // Moved at the end of its life, so that a kernel may overwrite what it alone holds.
    inputs[i] = s.releases[i] ? std::move(array) : array;
  }
  std::vector<Captured> around;
  for (const Body& body : s.bodies) around.push_back(captured(run, body));
  for (ValueId v : s.dies)
    if (slots_[index(v)] < run.arrays.size()) run.arrays[slots_[index(v)]] = Array();
  std::shared_ptr<const Kernel> kernel;
  if (s.bodies.empty()) kernel = kernel_for(step, inputs, constants);
  if (!kernel || kernel->reads_constants()) {
    for (size_t i = 0; i < inputs.size(); ++i)
      if (constants[i]) inputs[i] = Array(constant_value(node.inputs[i]));
  }
  if (kernel)
    kernel->run(inputs, outputs);
  else
    outputs = run_bodies(step, inputs, around, tap);
}

std::vector<Shape> Program::input_shapes(const Run& run, const Node& node) const {
  std::vector<Shape> shapes;
  for (ValueId v : node.inputs) {
    shapes.emplace_back();
    if (v == ValueId::kNone) continue;
    shapes.back() = constant(run, v) ? constant_shape(v) : run.arrays[slots_[index(v)]].shape;
  }
  return shapes;
}

void Program::count_macs(int step, std::span<const Shape> inputs,
                         std::span<const Array> outputs) const {
  const Node& node = graph().nodes[static_cast<size_t>(step)];
  const Step& s = steps_[static_cast<size_t>(step)];
  const OpDef* op = find_op(node.type, node.domain, model_.opset(node.domain));
  if (!op->macs) return;
  std::vector<Shape> shapes;
  for (const Array& output : outputs) shapes.push_back(output.shape);
  const int64_t macs = op->macs(node, inputs, shapes);
  std::unique_lock lock(s.mutex);
  s.macs = macs;
}

void Program::show(Tap& tap, const std::string& name, Array& array) {
  if (!tap.replaces() && array.layout && array.dtype == DType::kFloat) {
    const int64_t block = array.layout->channel_block();
    const auto* data = static_cast<const float*>(array.tensor.raw());
    if (block > 0 && tap.on_blocks(name, {data, array.shape, block})) return;
  }
  Tensor value = array.plain();
  tap.on_value(name, value);
  if (tap.replaces()) array = Array(std::move(value));
}

void Program::store(Run& run, int step, Tap* tap) const {
  const Node& node = graph().nodes[static_cast<size_t>(step)];
  std::vector<Array>& outputs = run.outputs;
  const auto& dies = steps_[static_cast<size_t>(step)].dies;
  for (size_t i = 0; i < outputs.size() && i < node.outputs.size(); ++i) {
    const ValueId v = node.outputs[i];
    if (v == ValueId::kNone) continue;
    if (tap && observed_[index(v)]) show(*tap, graph().value(v).name, outputs[i]);
    if (std::find(dies.begin(), dies.end(), v) == dies.end()) live(run, v) = std::move(outputs[i]);
  }
}

Program::Captured Program::captured(const Run& run, const Body& body) const {
  Captured arrays;
  for (const auto& [around, inside] : body.captures) {
    const size_t slot = slots_[index(around)];
    arrays.push_back(slot < run.arrays.size() ? run.arrays[slot] : Array());
    if (!arrays.back().defined() && !constants_[index(around)])
      throw_internal(cat("value '", printable(graph().value(around).name), "' is not live"));
  }
  return arrays;
}

std::vector<Array> Program::run_bodies(int step, std::span<Array> inputs,
                                       const std::vector<Captured>& captured, Tap* tap) const {
  const Node& node = graph().nodes[static_cast<size_t>(step)];
  const auto& bodies = steps_[static_cast<size_t>(step)].bodies;
  const BodyRunner run_body = [&](const Graph& graph, std::vector<Tensor> arguments) {
    for (size_t i = 0; i < bodies.size(); ++i) {
      if (bodies[i].source == &graph)
        return call(bodies[i], captured[i], std::move(arguments), tap);
    }
    throw_internal(cat(node_text(node), " runs a graph that is not its own"));
  };
  std::vector<Tensor> plain;
  for (Array& input : inputs) {
    plain.push_back(input.plain());
    input = Array();
  }
  const OpDef* op = find_op(node.type, node.domain, model_.opset(node.domain));
  std::vector<Tensor> results = op->eval(Call{node, model_.opset(node.domain), plain, &run_body});
  std::vector<Array> outputs;
  for (Tensor& result : results) outputs.emplace_back(std::move(result));
  return outputs;
}

std::vector<Tensor> Program::call(const Body& body, const Captured& captured,
                                  std::vector<Tensor> inputs, Tap* tap) const {
  const Program& program = *body.program;
  Run run = program.start();
  if (inputs.size() != body.inputs.size())
    throw_internal(cat("a graph of ", body.inputs.size(), " inputs gets ", inputs.size()));
  for (size_t i = 0; i < inputs.size(); ++i) {
    const ValueId v = body.inputs[i];
    if (tap && program.observed(v)) tap->on_value(program.graph().value(v).name, inputs[i]);
    program.set(run, v, Array(std::move(inputs[i])));
  }
  for (size_t i = 0; i < captured.size(); ++i) {
    const ValueId inside = body.captures[i].second;
    if (captured[i].defined() && inside != ValueId::kNone) program.set(run, inside, captured[i]);
  }
  while (run.next_step < program.step_count()) program.advance(run, tap);
  std::vector<Tensor> outputs;
  for (const ValueId v : program.graph().outputs) outputs.push_back(program.array(run, v).plain());
  return outputs;
}

}  // namespace qtool
