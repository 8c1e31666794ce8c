// Einsum of two operands becomes Transpose, Reshape and MatMul: then a fast kernel runs it, and a constant
// operand is a weight that can be quantized.
#include <algorithm>
#include <utility>

#include "passes/passes.hpp"
#include "qtool/onnx.hpp"

namespace qtool::passes {
namespace {

constexpr int64_t kUnknown = -1;

// Labels that form one dimension.
using Groups = std::vector<std::string>;

struct Equation {
  std::string a, b, out;
};

bool are_letters(const std::string& labels) {
  return std::ranges::all_of(
      labels, [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
}
bool has(const std::string& labels, char c) { return labels.find(c) != std::string::npos; }
bool repeats(const std::string& labels) {
  for (size_t i = 0; i < labels.size(); ++i)
    if (has(labels.substr(i + 1), labels[i])) return true;
  return false;
}

// Nothing for equations with an ellipsis, a diagonal, an implied output or another number of operands.
std::optional<Equation> parse(const Node& node) {
  std::string text = attr_string(node, "equation", "");
  std::erase(text, ' ');
  const size_t comma = text.find(','), arrow = text.find("->");
  if (comma == std::string::npos || arrow == std::string::npos || comma > arrow ||
      node.inputs.size() != 2)
    return std::nullopt;
  Equation e{text.substr(0, comma), text.substr(comma + 1, arrow - comma - 1),
             text.substr(arrow + 2)};
  for (const std::string* labels : {&e.a, &e.b, &e.out})
    if (!are_letters(*labels) || repeats(*labels)) return std::nullopt;
  return e;
}

class Lowering {
 public:
  Lowering(Graph& graph, const Node& node, const Equation& equation)
      : g_(graph), node_(node), e_(equation) {}

  // Appends the nodes that take the Einsum's place; false, with nothing appended, when it cannot.
  bool run() {
    const Graph before = g_;
    if (sort_labels() && read_sizes() && append_product()) return true;
    g_ = before;
    return false;
  }

 private:
  // Batch, rows of the first operand, columns of the second, and what is summed over.
  bool sort_labels() {
    for (char c : e_.out) {
      const bool in_a = has(e_.a, c), in_b = has(e_.b, c);
      if (!in_a && !in_b) return false;
      (in_a && in_b ? batch_ : in_a ? rows_ : columns_) += c;
    }
    for (char c : e_.a) {
      if (has(e_.out, c)) continue;
      if (!has(e_.b, c)) return false;
      inner_ += c;
    }
    return std::ranges::all_of(e_.b, [&](char c) { return has(e_.out, c) || has(e_.a, c); });
  }

  // Sizes of labels where shapes tell; false when a dimension of one may be stretched.
  bool read_sizes() {
    for (size_t i : {size_t{0}, size_t{1}}) {
      const std::string& labels = i == 0 ? e_.a : e_.b;
      const auto& shape = g_.value(node_.inputs[i]).shape;
      if (shape && shape->size() != labels.size()) return false;
      for (size_t d = 0; d < labels.size(); ++d) {
        const int64_t size = shape ? (*shape)[d] : kUnknown;
        if (size == 0) return false;
        int64_t& known = sizes_.try_emplace(labels[d], size).first->second;
        if (known == kUnknown) known = size;
        if ((known == 1) != (size == 1) && has(e_.a, labels[d]) && has(e_.b, labels[d]))
          return false;
      }
    }
    return true;
  }

  static Groups each(const std::string& labels) {
    Groups groups;
    for (char c : labels) groups.emplace_back(1, c);
    return groups;
  }
  Groups with_batch(std::initializer_list<std::string> more) const {
    Groups groups = each(batch_);
    groups.insert(groups.end(), more.begin(), more.end());
    return groups;
  }

  bool append_product() {
    ValueId a = transposed(node_.inputs[0], e_.a, batch_ + rows_ + inner_, "a");
    ValueId b = transposed(node_.inputs[1], e_.b, batch_ + inner_ + columns_, "b");
    // Without a batch, MatMul takes the rows as they are.
    const bool stacked = batch_.empty() && !rows_.empty() && inner_.size() == 1;
    Groups left = stacked ? each(rows_ + inner_) : with_batch({rows_, inner_});
    a = reshaped(a, each(batch_ + rows_ + inner_), left, "a_matrix");
    b = reshaped(b, each(batch_ + inner_ + columns_), with_batch({inner_, columns_}), "b_matrix");
    if (a == ValueId::kNone || b == ValueId::kNone) return false;
    left.back() = columns_;
    const std::string order = batch_ + rows_ + columns_;
    const Groups single = each(order);
    const bool last = single == left && order == e_.out;
    ValueId y = last ? node_.outputs[0] : fresh("product");
    g_.nodes.push_back(make_node(g_, node_.name, "MatMul", {a, b}, {y}));
    g_.nodes.back().name = node_.name;  // the Einsum goes
    if (last) return true;
    if (order == e_.out) return reshape_into(y, left, single, node_.outputs[0], "output");
    y = reshaped(y, left, single, "output");
    if (y == ValueId::kNone) return false;
    append_transpose(y, order, e_.out, node_.outputs[0], "output");
    return true;
  }

  ValueId fresh(const std::string& part) {
    return add_value(g_, cat(node_.name, "/", part), g_.value(node_.inputs[0]).dtype);
  }

  ValueId transposed(ValueId x, const std::string& from, const std::string& to,
                     const std::string& part) {
    if (from == to) return x;
    const ValueId y = fresh(part);
    append_transpose(x, from, to, y, part);
    return y;
  }

  void append_transpose(ValueId x, const std::string& from, const std::string& to, ValueId y,
                        const std::string& part) {
    std::vector<int64_t> perm;
    for (char c : to) perm.push_back(static_cast<int64_t>(from.find(c)));
    g_.nodes.push_back(
        make_node(g_, cat(node_.name, "/", part, "/Transpose"), "Transpose", {x}, {y}));
    set_attribute(g_.nodes.back(), "perm", perm);
  }

  // kNone when the sizes are not known well enough.
  ValueId reshaped(ValueId x, const Groups& from, const Groups& to, const std::string& part) {
    if (from == to) return x;
    const ValueId y = fresh(part);
    return reshape_into(x, from, to, y, part) ? y : ValueId::kNone;
  }

  bool reshape_into(ValueId x, const Groups& from, const Groups& to, ValueId y,
                    const std::string& part) {
    std::vector<int64_t> dims;
    bool open = false;  // one dimension may follow from the others
    for (size_t i = 0; i < to.size(); ++i) {
      int64_t size = 1;
      for (char c : to[i])
        size = size == kUnknown || sizes_.at(c) == kUnknown ? kUnknown : size * sizes_.at(c);
      if (size == kUnknown && i < from.size() && from[i] == to[i]) size = 0;  // as it is
      if (size == kUnknown && std::exchange(open, true)) return false;
      dims.push_back(size);
    }
    const auto rank = static_cast<int64_t>(dims.size());
    const ValueId shape = add_initializer(g_, cat(node_.name, "/", part, "/shape"),
                                          Tensor::of<int64_t>({rank}, dims));
    g_.nodes.push_back(
        make_node(g_, cat(node_.name, "/", part, "/Reshape"), "Reshape", {x, shape}, {y}));
    return true;
  }

  Graph& g_;
  const Node node_;
  const Equation e_;
  std::string batch_, rows_, columns_, inner_;
  std::map<char, int64_t> sizes_;
};

}  // namespace

void lower_einsum(Model& model) {
  Graph& g = model.graph;
  const auto is_einsum = [](const Node& node) { return is(node, "Einsum"); };
  if (std::ranges::none_of(g.nodes, is_einsum)) return;
  infer_shapes(model);
  std::vector<int32_t> gone;
  for (size_t i = 0, count = g.nodes.size(); i < count; ++i) {
    const Node node = g.nodes[i];
    if (!is_einsum(node)) continue;
    const DType type = g.value(node.inputs[0]).dtype;
    const bool real = type == DType::kFloat || type == DType::kFloat16 || type == DType::kDouble;
    const auto equation = parse(node);
    if (real && equation && Lowering(g, node, *equation).run())
      gone.push_back(static_cast<int32_t>(i));
  }
  remove_nodes(g, gone);
  sort_nodes(g);
}

}  // namespace qtool::passes
