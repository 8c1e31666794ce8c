// If, Loop and Scan: operators that run a subgraph.
#include <algorithm>
#include <bit>
#include <iterator>

#include "ops/movable.hpp"

namespace qtool {
namespace {

// Far more than any model needs; a loop that goes on is a hang.
constexpr int64_t kMaxIterations = int64_t{1} << 22;

std::vector<Tensor> run_body(const Call& call, std::string_view name, std::vector<Tensor> inputs,
                             size_t outputs) {
  const Graph* body = attr_graph(call.node, name);
  require(body != nullptr, call, "no subgraph '", name, "'");
  refuse(call.run_body == nullptr, call, "subgraphs are not run here");
  require(body->inputs.size() == inputs.size(), call, "subgraph '", name, "' has ",
          body->inputs.size(), " inputs, ", inputs.size(), " are given");
  require(body->outputs.size() == outputs, call, "subgraph '", name, "' has ", body->outputs.size(),
          " outputs, expected ", outputs);
  check_interrupted();
  std::vector<Tensor> results = (*call.run_body)(*body, std::move(inputs));
  require(results.size() == outputs, call, "subgraph '", name, "' gave ", results.size(),
          " outputs");
  return results;
}

bool condition(const Call& call, const Tensor& t) {
  require(t.dtype() == DType::kBool && t.size() == 1, call, "the condition is ",
          dtype_name(t.dtype()), shape_text(t.shape()), ", expected one bool");
  return t.data<bool>()[0];
}

std::vector<Tensor> eval_if(const Call& call) {
  const bool yes = condition(call, call.in(0));
  return run_body(call, yes ? "then_branch" : "else_branch", {}, call.outputs());
}

// The values that one scan output takes, iteration by iteration.
class Collector {
 public:
  void add(const Call& call, Tensor value) {
    require(values_.empty() ||
                (value.dtype() == values_[0].dtype() && value.shape() == values_[0].shape()),
            call, "an output changes its type or shape between iterations");
    bytes_ += value.bytes() + 64;
    values_.push_back(std::move(value));
    if (std::has_single_bit(values_.size())) check_allocation(bytes_);
  }

  // All values along a new axis; `declared` tells type and shape when there are none.
  Tensor stacked(const Call& call, const Value& declared, int64_t axis, bool backwards) const {
    if (values_.empty()) return nothing(call, declared, axis);
    axis = normalize_axis(axis, values_[0].rank() + 1, call.node);
    Shape shape = values_[0].shape();
    shape.insert(shape.begin() + axis, static_cast<int64_t>(values_.size()));
    std::vector<Tensor> list = values_;
    if (backwards) std::reverse(list.begin(), list.end());
    const Movable m(call, std::move(list));
    Tensor out = Tensor::uninitialized(m[0].dtype(), shape);
    if (out.size() == 0) return m.restore(out);
    const AxisView view = view_axis(shape, axis);
    const int64_t block = view.inner * width_of(m[0]);
    char* to = bytes_of(out);
    for (int64_t o = 0; o < view.outer; ++o) {
      for (size_t i = 0; i < m.size(); ++i, to += block) {
        std::memcpy(to, bytes_of(m[i]) + o * block, static_cast<size_t>(block));
      }
    }
    return m.restore(out);
  }

 private:
  static Tensor nothing(const Call& call, const Value& declared, int64_t axis) {
    refuse(declared.dtype == DType::kUndefined, call,
           "no iteration ran, and the output's type is not declared");
    // Of unknown rank: nothing says what it is, a list is what onnxruntime gives.
    if (!declared.shape) return Tensor(declared.dtype, {0});
    Shape shape = *declared.shape;
    for (int64_t& d : shape) d = std::max<int64_t>(d, 0);
    axis = normalize_axis(axis, static_cast<int64_t>(shape.size()) + 1, call.node);
    shape.insert(shape.begin() + axis, 0);
    return Tensor(declared.dtype, shape);
  }

  std::vector<Tensor> values_;
  int64_t bytes_ = 0;
};

const Value& body_output(const Call& call, size_t i) {
  const Graph& body = *attr_graph(call.node, "body");
  return body.value(body.outputs[i]);
}

// `extra`: outputs of the body that are not outputs of the node.
void check_states(const Call& call, size_t states, size_t extra) {
  const Graph* body = attr_graph(call.node, "body");
  require(body != nullptr, call, "no subgraph 'body'");
  require(body->outputs.size() == call.outputs() + extra, call, "the body has ",
          body->outputs.size(), " outputs, expected ", call.outputs() + extra);
  require(call.outputs() >= states, call, states, " states with ", call.outputs(), " outputs");
}

std::vector<Tensor> eval_loop(const Call& call) {
  const int64_t limit = call.has(0) ? index_scalar(call, 0) : INT64_MAX;
  bool go_on = call.has(1) ? condition(call, call.in(1)) : true;
  std::vector<Tensor> state;
  for (size_t i = 2; i < call.inputs.size(); ++i) state.push_back(call.in(i));
  const size_t states = state.size();
  check_states(call, states, 1);
  std::vector<Collector> collected(call.outputs() - states);
  for (int64_t trip = 0; trip < limit && go_on; ++trip) {
    require(trip < kMaxIterations, call, "more than ", kMaxIterations, " iterations");
    std::vector<Tensor> inputs{Tensor::scalar(trip), Tensor::scalar(go_on)};
    std::move(state.begin(), state.end(), std::back_inserter(inputs));
    std::vector<Tensor> results = run_body(call, "body", std::move(inputs), 1 + call.outputs());
    go_on = condition(call, results[0]);
    const auto scans = results.begin() + 1 + static_cast<std::ptrdiff_t>(states);
    state.assign(std::make_move_iterator(results.begin() + 1), std::make_move_iterator(scans));
    for (size_t k = 0; k < collected.size(); ++k) {
      collected[k].add(call, std::move(scans[static_cast<std::ptrdiff_t>(k)]));
    }
  }
  for (size_t k = 0; k < collected.size(); ++k) {
    state.push_back(collected[k].stacked(call, body_output(call, 1 + states + k), 0, false));
  }
  return state;
}

// Directions or axes, one each; all 0 when absent.
std::vector<int64_t> per_value(const Call& call, std::string_view name, size_t count) {
  std::vector<int64_t> list = call.integers(name);
  if (list.empty()) list.assign(count, 0);
  require(list.size() == count, call, "'", name, "' has ", list.size(), " entries, expected ",
          count);
  return list;
}

// x at one position of an axis, without that axis.
Tensor slice_at(const Call& call, const Tensor& x, int64_t axis, int64_t position) {
  Shape shape = x.shape();
  shape.erase(shape.begin() + axis);
  const Movable m(call, {x});
  return m.restore(take(m[0], axis, {&position, 1}).reshaped(shape));
}

struct ScanInputs {
  std::vector<Tensor> state, sequences;
  int64_t length = 0;
  std::vector<int64_t> in_axes, in_backwards, out_axes, out_backwards;
};

// One scan over sequences: the final states, followed by the stacked outputs.
std::vector<Tensor> scan(const Call& call, ScanInputs in) {
  const size_t states = in.state.size();
  std::vector<Collector> collected(call.outputs() - states);
  for (int64_t t = 0; t < in.length; ++t) {
    std::vector<Tensor> inputs = std::move(in.state);
    for (size_t i = 0; i < in.sequences.size(); ++i) {
      const int64_t position = in.in_backwards[i] ? in.length - 1 - t : t;
      inputs.push_back(slice_at(call, in.sequences[i], in.in_axes[i], position));
    }
    std::vector<Tensor> results = run_body(call, "body", std::move(inputs), call.outputs());
    for (size_t k = 0; k < collected.size(); ++k)
      collected[k].add(call, std::move(results[states + k]));
    results.resize(states);
    in.state = std::move(results);
  }
  for (size_t k = 0; k < collected.size(); ++k) {
    in.state.push_back(collected[k].stacked(call, body_output(call, states + k), in.out_axes[k],
                                            in.out_backwards[k] != 0));
  }
  return std::move(in.state);
}

// Splits inputs from `first` on into states and sequences, and reads the attributes.
ScanInputs read_scan(const Call& call, size_t first) {
  const int64_t count = call.integer("num_scan_inputs", 0);
  const auto inputs = static_cast<int64_t>(call.inputs.size() - first);
  require(count >= 1 && count <= inputs, call, count, " scan inputs of ", inputs);
  const auto sequences = static_cast<size_t>(count), states = static_cast<size_t>(inputs - count);
  check_states(call, states, 0);
  ScanInputs in;
  for (size_t i = first; i < call.inputs.size(); ++i) {
    (i < first + states ? in.state : in.sequences).push_back(call.in(i));
  }
  in.in_axes = per_value(call, "scan_input_axes", sequences);
  in.in_backwards =
      per_value(call, call.opset < 9 ? "directions" : "scan_input_directions", sequences);
  in.out_axes = per_value(call, "scan_output_axes", call.outputs() - states);
  in.out_backwards = per_value(call, "scan_output_directions", call.outputs() - states);
  return in;
}

std::vector<Tensor> eval_scan(const Call& call) {
  ScanInputs in = read_scan(call, 0);
  for (size_t i = 0; i < in.sequences.size(); ++i) {
    const Tensor& x = in.sequences[i];
    in.in_axes[i] = normalize_axis(in.in_axes[i], x.rank(), call.node);
    const int64_t length = x.dim(in.in_axes[i]);
    require(i == 0 || length == in.length, call, "sequences of ", in.length, " and ", length);
    in.length = length;
  }
  return scan(call, std::move(in));
}

// Opset 8: a batch of scans, each over the first axis of its part.
std::vector<Tensor> eval_batched_scan(const Call& call) {
  refuse(call.has(0), call, "sequence_lens of opset 8 is not supported");
  require(!call.inputs.empty(), call, "no inputs");
  const ScanInputs all = read_scan(call, 1);
  const Tensor& lead = all.sequences[0];
  std::vector<Collector> collected(call.outputs());
  require(lead.rank() >= 2 && lead.dim(0) > 0, call, "a sequence ", shape_text(lead.shape()));
  const auto part = [&](const Tensor& x, int64_t b) {
    require(x.rank() >= 1 && x.dim(0) == lead.dim(0), call, "an input ", shape_text(x.shape()),
            " in a batch of ", lead.dim(0));
    return slice_at(call, x, 0, b);
  };
  for (int64_t b = 0; b < lead.dim(0); ++b) {
    ScanInputs in = all;
    in.length = lead.dim(1);
    for (Tensor& x : in.state) x = part(x, b);
    for (Tensor& x : in.sequences) {
      x = part(x, b);
      require(x.rank() >= 1 && x.dim(0) == in.length, call, "sequences of other lengths");
    }
    std::vector<Tensor> results = scan(call, std::move(in));
    for (size_t k = 0; k < results.size(); ++k) collected[k].add(call, std::move(results[k]));
  }
  std::vector<Tensor> outputs;
  for (size_t k = 0; k < collected.size(); ++k) {
    outputs.push_back(collected[k].stacked(call, body_output(call, k), 0, false));
  }
  return outputs;
}

// Each input that is a sequence gives its elements one by one; others are the same every time.
std::vector<Tensor> eval_sequence_map(const Call& call) {
  require(call.in(0).dtype() == DType::kSequence, call, "the first input is no sequence");
  const size_t count = call.in(0).sequence_data().size();
  std::vector<std::vector<Tensor>> collected(call.outputs());
  for (size_t i = 0; i < count; ++i) {
    std::vector<Tensor> inputs;
    for (size_t k = 0; k < call.inputs.size(); ++k) {
      const Tensor& t = call.in(k);
      const bool sequence = t.dtype() == DType::kSequence;
      require(!sequence || t.sequence_data().size() == count, call, "sequences of ", count, " and ",
              t.size(), " elements");
      inputs.push_back(sequence ? t.sequence_data()[i] : t);
    }
    std::vector<Tensor> results = run_body(call, "body", std::move(inputs), call.outputs());
    for (size_t k = 0; k < results.size(); ++k) collected[k].push_back(std::move(results[k]));
  }
  std::vector<Tensor> outputs;
  for (auto& elements : collected) outputs.push_back(Tensor::sequence(std::move(elements)));
  return outputs;
}

constexpr QuantRule kControl{.reason = "it runs bodies, whose own nodes may be quantized"};

}  // namespace

extern const OpDef kIf{.type = "If", .eval = eval_if, .quant = kControl, .containers = true};
extern const OpDef kLoop{.type = "Loop", .eval = eval_loop, .quant = kControl, .containers = true};
extern const OpDef kSequenceMap{.type = "SequenceMap",
                                .since = 17,
                                .eval = eval_sequence_map,
                                .quant = kControl,
                                .containers = true};
extern const OpDef kScan8{.type = "Scan", .since = 8, .eval = eval_batched_scan, .quant = kControl};
extern const OpDef kScan{.type = "Scan", .since = 9, .eval = eval_scan, .quant = kControl};

}  // namespace qtool
