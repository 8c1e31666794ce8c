#include "ops/recurrent.hpp"

#include <map>

#include "ops/map.hpp"

namespace qtool {
namespace {

// An activation by name; it takes its parameters from the front of `alphas` and `betas`.
struct Parameters {
  std::vector<float> alphas, betas;
  static double take(std::vector<float>& list, double fallback) {
    if (list.empty()) return fallback;
    const double value = list.front();
    list.erase(list.begin());
    return value;
  }
  double alpha(double fallback) { return take(alphas, fallback); }
  double beta(double fallback) { return take(betas, fallback); }
};

Activation activation(const Call& call, std::string name, Parameters& p) {
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (name == "sigmoid") return [](double x) { return sigmoid(x); };
  if (name == "tanh") return [](double x) { return std::tanh(x); };
  if (name == "relu") return [](double x) { return x < 0 ? 0 : x; };
  if (name == "softsign") return [](double x) { return x / (1 + std::abs(x)); };
  if (name == "softplus") return [](double x) { return softplus(x); };
  if (name == "leakyrelu") return [a = p.alpha(0.01)](double x) { return x < 0 ? a * x : x; };
  if (name == "thresholdedrelu") return [a = p.alpha(1)](double x) { return x >= a ? x : 0; };
  if (name == "elu") return [a = p.alpha(1)](double x) { return x < 0 ? a * std::expm1(x) : x; };
  if (name == "affine") return [a = p.alpha(1), b = p.beta(0)](double x) { return a * x + b; };
  if (name == "scaledtanh")
    return [a = p.alpha(1), b = p.beta(1)](double x) { return a * std::tanh(b * x); };
  if (name == "hardsigmoid") {
    return
        [a = p.alpha(0.2), b = p.beta(0.5)](double x) { return std::clamp(a * x + b, 0.0, 1.0); };
  }
  throw_unsupported(cat(call.node.type, ": activation '", printable(name), "' is not known"));
}

std::vector<Activation> resolve_activations(const Call& call,
                                            const std::vector<std::string>& defaults,
                                            int64_t directions) {
  std::vector<std::string> names;
  if (const Attribute* a = find_attribute(call.node, "activations")) {
    if (const auto* list = std::get_if<std::vector<std::string>>(&a->value)) names = *list;
  }
  if (names.empty()) {
    for (int64_t d = 0; d < directions; ++d)
      names.insert(names.end(), defaults.begin(), defaults.end());
  }
  require(names.size() == defaults.size() * static_cast<size_t>(directions), call, names.size(),
          " activations for ", directions, " directions");
  Parameters parameters{attr_floats(call.node, "activation_alpha"),
                        attr_floats(call.node, "activation_beta")};
  std::vector<Activation> out;
  for (const std::string& name : names) out.push_back(activation(call, name, parameters));
  return out;
}

std::vector<int64_t> sequence_lengths(const Call& call, int64_t steps, int64_t batch) {
  if (!call.has(4)) return std::vector<int64_t>(static_cast<size_t>(batch), steps);
  require(call.in(4).shape() == Shape{batch} && call.in(4).dtype() == DType::kInt32, call,
          "sequence_lens must be ", batch, " int32");
  const std::vector<int64_t> lengths = call.in(4).to_int64s();
  for (int64_t n : lengths)
    require(n >= 0 && n <= steps, call, "a sequence of ", n, " in ", steps, " steps");
  return lengths;
}

}  // namespace

Shape Recurrent::y_shape() const {
  return batch_first ? Shape{batch, steps, directions, hidden}
                     : Shape{steps, directions, batch, hidden};
}

Shape Recurrent::state_shape() const {
  return batch_first ? Shape{batch, directions, hidden} : Shape{directions, batch, hidden};
}

Recurrent resolve_recurrent(const Call& call, int64_t gates,
                            const std::vector<std::string>& defaults) {
  const Tensor &x = call.in(0), &w = call.in(1), &u = call.in(2);
  require(x.rank() == 3 && w.rank() == 3 && u.rank() == 3, call, "X, W and R must have rank 3");
  const std::string direction = call.text("direction", "forward");
  require(direction == "forward" || direction == "reverse" || direction == "bidirectional", call,
          "direction '", printable(direction), "' is not known");
  Recurrent r;
  r.batch_first = call.integer("layout", 0) != 0;
  r.steps = x.dim(r.batch_first ? 1 : 0);
  r.batch = x.dim(r.batch_first ? 0 : 1);
  r.input = x.dim(2);
  r.hidden = u.dim(2);
  r.directions = direction == "bidirectional" ? 2 : 1;
  r.reverse = direction == "reverse";
  r.gates = gates;
  require(w.shape() == Shape{r.directions, gates * r.hidden, r.input} &&
              u.shape() == Shape{r.directions, gates * r.hidden, r.hidden},
          call, "W ", shape_text(w.shape()), " and R ", shape_text(u.shape()), " do not fit X ",
          shape_text(x.shape()), " in ", r.directions, " directions");
  require(call.integer("hidden_size", r.hidden) == r.hidden, call, "hidden_size is not that of R");
  r.lengths = sequence_lengths(call, r.steps, r.batch);
  r.activations = resolve_activations(call, defaults, r.directions);
  r.clip = call.real("clip", std::numeric_limits<float>::infinity());
  require(r.clip > 0, call, "clip is ", r.clip);
  return r;
}

int64_t recurrent_macs(const Node&, std::span<const Shape> inputs, std::span<const Shape>) {
  if (inputs.size() < 3 || inputs[0].size() != 3) return 0;
  for (size_t i = 0; i < 3; ++i) {
    if (!is_static(inputs[i])) return 0;
  }
  // The first two dimensions are steps and batch in either order; W and R count every direction.
  return inputs[0][0] * inputs[0][1] * (element_count(inputs[1]) + element_count(inputs[2]));
}

}  // namespace qtool
