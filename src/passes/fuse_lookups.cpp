// On codes of 8 bits a function of a function is a table, and so is a sum or product of one value and functions
// of it: x · Sigmoid(x) is one look-up.
#include <algorithm>

#include "passes/passes.hpp"
#include "qtool/ops.hpp"

namespace qtool::passes {
namespace {

constexpr std::string_view kMicrosoft = "com.microsoft";

// A value as codes that are functions of `base`'s; no table: it is the base itself.
struct OfCodes {
  ValueId base = ValueId::kNone;
  const Tensor* table = nullptr;
  int32_t node = -1;  // that has the table
};

class Fusion {
 public:
  explicit Fusion(Graph& graph) : g_(graph), uses_(uses_of(graph)) {}

  void run() {
    for (size_t i = 0; i < g_.nodes.size(); ++i) {
      const Node& node = g_.nodes[i];
      if (is(node, "Lookup", "qtool"))
        fuse(static_cast<int32_t>(i), {0});
      else if (is(node, "QLinearMul", kMicrosoft) || is(node, "QLinearAdd", kMicrosoft))
        fuse(static_cast<int32_t>(i), {0, 3});
    }
    std::sort(gone_.begin(), gone_.end());
    remove_nodes(g_, gone_);
  }

 private:
  OfCodes of_codes(ValueId v) const {
    const int32_t p = uses_.producer[index(v)];
    if (p < 0 || !is(g_.nodes[static_cast<size_t>(p)], "Lookup", "qtool") ||
        sole_consumer(uses_, v) < 0)
      return {v, nullptr, -1};
    const Node& lookup = g_.nodes[static_cast<size_t>(p)];
    return {lookup.inputs[0], g_.constant(lookup.inputs[1]), p};
  }

  // `slots`: the node's inputs of codes; all others are constants.
  void fuse(int32_t i, std::initializer_list<size_t> slots) {
    const Node node = g_.nodes[static_cast<size_t>(i)];
    std::vector<Tensor> arguments;
    for (const ValueId v : node.inputs)
      arguments.push_back(v != ValueId::kNone && g_.constant(v) ? *g_.constant(v) : Tensor());
    ValueId base = ValueId::kNone;
    std::vector<int32_t> tables;
    for (const size_t slot : slots) {
      if (slot >= node.inputs.size() || node.inputs[slot] == ValueId::kNone) return;
      const OfCodes from = of_codes(node.inputs[slot]);
      const Tensor* zero = slot + 2 < arguments.size() ? &arguments[slot + 2] : nullptr;
      const DType type = from.table                ? from.table->dtype()
                         : zero && zero->defined() ? zero->dtype()
                                                   : DType::kUint8;
      if ((base != ValueId::kNone && from.base != base) || g_.constant(from.base) ||
          (type != DType::kUint8 && type != DType::kInt8))
        return;
      base = from.base;
      arguments[slot] = from.table ? *from.table : every_code(type);
      if (from.node >= 0) tables.push_back(from.node);
    }
    for (size_t k = 0; k < node.inputs.size(); ++k)
      if (node.inputs[k] != ValueId::kNone && !arguments[k].defined()) return;
    if (tables.empty()) return;
    Tensor table = eval_node(node, 1, arguments)[0];
    clamp(node, table);
    Node& fused = g_.nodes[static_cast<size_t>(i)];
    fused.type = "Lookup";
    fused.domain = "qtool";
    fused.attributes.clear();
    fused.inputs = {base, add_initializer(g_, node.name + "/table", std::move(table))};
    gone_.insert(gone_.end(), tables.begin(), tables.end());
  }

  // By bit pattern, as look-ups count.
  static Tensor every_code(DType type) {
    Tensor codes(DType::kUint8, {256});
    for (int32_t bits = 0; bits < 256; ++bits) codes.set_number(bits, bits);
    return codes.reinterpreted(type);
  }

  static void clamp(const Node& node, Tensor& table) {
    if (!find_attribute(node, "code_min")) return;
    const auto low = static_cast<double>(attr_int(node, "code_min", 0)),
               high = static_cast<double>(attr_int(node, "code_max", 0));
    for (int64_t k = 0; k < table.size(); ++k)
      table.set_number(k, std::clamp(table.number(k), low, high));
  }

  Graph& g_;
  const Uses uses_;
  std::vector<int32_t> gone_;
};

}  // namespace

void fuse_lookups(Model& model) { Fusion(model.graph).run(); }

}  // namespace qtool::passes
