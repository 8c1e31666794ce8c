#include "qtool/narrow.hpp"

#include <algorithm>

#include "qtool/onnx.hpp"
#include "quantize/export/weight_nodes.hpp"

namespace qtool {
namespace {

using namespace qdq;

constexpr int64_t kFourBitOpset = 21, kTwoBitOpset = 25;

[[noreturn]] void refuse(const std::string& why) {
  throw Error(ErrorKind::kUsage, "QT-E149", why)
      .hint("`--format nested` makes files that can be read at any width");
}

// Row `at` of a tensor, of the shape that follows.
Tensor row_of(const Tensor& rows, int64_t at) {
  Tensor row(rows.dtype(), Shape(rows.shape().begin() + 1, rows.shape().end()));
  for (int64_t i = 0; i < row.size(); ++i) row.set_number(i, rows.number(at * row.size() + i));
  return row;
}

// The first of so many neighbours each.
Tensor every(const Tensor& levels, int64_t step) {
  Tensor few(levels.dtype(), {levels.size() / step});
  for (int64_t i = 0; i < few.size(); ++i) few.set_number(i, levels.number(i * step));
  return few;
}

DType index_type(int64_t entries) {
  return entries <= 4 ? DType::kUint2 : entries <= 16 ? DType::kUint4 : DType::kUint8;
}

class Narrowing {
 public:
  Narrowing(Graph& graph, int bits) : g_(graph), uses_(uses_of(graph)), bits_(bits) {}

  // Bits of the narrowest type that indices have then.
  int run() {
    const ValueId wanted = g_.find(kWeightBits);
    if (wanted == ValueId::kNone || !g_.constant(wanted)) refuse("the model has no nested codes");
    int64_t fewest = 8;
    for (int clip : readers(wanted)) {
      const int64_t least = number(node(clip).inputs[1]), most = number(node(clip).inputs[2]);
      fewest = std::min(fewest, least);
      const int64_t left_out = most - std::clamp<int64_t>(bits_, least, most);
      for (int sub : readers(node(clip).outputs[0]))
        for (int gather : readers(node(sub).outputs[0])) choose(gather, left_out);
    }
    if (bits_ < fewest)
      refuse(cat("the model's codes cannot be read at ", bits_, " bits: the fewest are ", fewest));
    std::ranges::sort(replaced_);
    remove_nodes(g_, replaced_);
    remove_dead(g_);
    return narrowest_;
  }

 private:
  Node& node(int at) { return g_.nodes[static_cast<size_t>(at)]; }
  const std::vector<int32_t>& readers(ValueId value) const { return uses_.consumers[index(value)]; }
  int64_t number(ValueId value) const {
    return static_cast<int64_t>(g_.constant(value)->number(0));
  }

  // A constant in place of the row that Gather chooses: biases, or a codebook.
  void choose(int gather, int64_t left_out) {
    const ValueId chosen = node(gather).outputs[0];
    Tensor row = row_of(*g_.constant(node(gather).inputs[0]), left_out);
    if (row.dtype() == DType::kInt8) {
      row = every(row, int64_t{1} << left_out);
      shorten(g_, g_.value(chosen).name, left_out, index_type(row.size()));
    }
    g_.value(chosen).shape = row.shape();
    g_.initializers[chosen] = {std::move(row), ""};
    replaced_.push_back(gather);
  }

  // Leaves out the lowest bits of the indices that look-ups in a codebook read behind a Cast, in bodies, too.
  void shorten(Graph& g, const std::string& codebook, int64_t left_out, DType type) {
    const ValueId levels = g.find(codebook);
    for (Node& look_up : g.nodes) {
      if (levels != ValueId::kNone && !look_up.inputs.empty() && look_up.inputs[0] == levels) {
        const auto cast = std::ranges::find_if(
            g.nodes, [&](const Node& n) { return n.outputs[0] == look_up.inputs[1]; });
        shorten(g, cast->inputs[0], left_out, type);
      }
      for (Attribute& attribute : look_up.attributes) {
        const auto change = [&](std::shared_ptr<const Graph>& body) {
          auto inner = std::make_shared<Graph>(*body);
          shorten(*inner, codebook, left_out, type);
          body = std::move(inner);
        };
        if (auto* one = std::get_if<std::shared_ptr<const Graph>>(&attribute.value)) change(*one);
        if (auto* many = std::get_if<std::vector<std::shared_ptr<const Graph>>>(&attribute.value))
          std::ranges::for_each(*many, change);
      }
    }
  }

  void shorten(Graph& g, ValueId stored, int64_t left_out, DType type) {
    const Tensor& indices = *g.constant(stored);
    Tensor high(type, indices.shape());
    for (int64_t i = 0; i < high.size(); ++i)
      high.set_number(i, static_cast<double>(static_cast<int64_t>(indices.number(i)) >> left_out));
    g.value(stored).dtype = type;
    g.initializers[stored] = {std::move(high), ""};
    narrowest_ = std::min(narrowest_, dtype_bits(type));
  }

  Graph& g_;
  const Uses uses_;
  int bits_;
  int narrowest_ = 8;
  std::vector<int32_t> replaced_;
};

}  // namespace

Model narrowed(Model model, int bits) {
  const int index_bits = Narrowing(model.graph, bits).run();
  const int64_t opset = index_bits == 2 ? kTwoBitOpset : index_bits == 4 ? kFourBitOpset : 0;
  if (model.opset() < opset) model = convert_opset(model, opset);
  std::erase_if(model.metadata, [](const auto& item) { return item.first == "qtool.weight_bits"; });
  model.metadata.emplace_back("qtool.weight_bits", std::to_string(bits));
  verify(model.graph);
  check_model(model);
  return model;
}

}  // namespace qtool
