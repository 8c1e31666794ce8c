#include <algorithm>
#include <tuple>

#include "ops/list.hpp"
#include "qtool/ops.hpp"

namespace qtool {

namespace {

auto key(const OpDef* op) { return std::tuple(op->domain, op->type, op->since); }

}  // namespace

const OpDef* find_op(std::string_view type, std::string_view domain, int64_t opset) {
  if (domain == "ai.onnx") domain = "";
  static const std::vector<const OpDef*> sorted = all_ops();
  // The newest record of this operator that is not newer than `opset`.
  const auto next =
      std::upper_bound(sorted.begin(), sorted.end(), std::tuple(domain, type, opset),
                       [](const auto& wanted, const OpDef* op) { return wanted < key(op); });
  if (next == sorted.begin()) return nullptr;
  const OpDef* op = *(next - 1);
  return op->domain == domain && op->type == type ? op : nullptr;
}

std::vector<const OpDef*> all_ops() {
  const auto list = op_list();
  std::vector<const OpDef*> ops(list.begin(), list.end());
  std::sort(ops.begin(), ops.end(), [](const OpDef* a, const OpDef* b) { return key(a) < key(b); });
  return ops;
}

const Tensor& Call::in(size_t i) const {
  if (!has(i)) throw_model("QT-E331", cat(node.type, ": input ", i, " is absent"));
  return inputs[i];
}

std::vector<int64_t> Call::integers_or_input(std::string_view name, size_t i,
                                             std::vector<int64_t> fallback) const {
  if (!has(i)) return integers(name, std::move(fallback));
  const Tensor& t = inputs[i];
  if (!is_integer(t.dtype()) || t.rank() > 1) {
    throw_model("QT-E331", cat(node.type, ": '", name, "' must be a list of integers, not ",
                               dtype_name(t.dtype()), shape_text(t.shape())));
  }
  return t.to_int64s();
}

std::vector<Tensor> eval_node(const Node& node, int64_t opset, std::span<const Tensor> inputs,
                              const BodyRunner* run_body) {
  const OpDef* op = find_op(node.type, node.domain, opset);
  if (!op || !op->eval) {
    throw_unsupported(cat("operator ", printable(node.domain.empty() ? "ai.onnx" : node.domain),
                          ".", printable(node.type), " of opset ", opset, " is not supported"));
  }
  try {
    for (const Tensor& t : inputs) {
      if (!op->containers && is_container(t.dtype()))
        throw_model("QT-E331", cat("an input is a value of type ", dtype_name(t.dtype()),
                                   ", expected a tensor"));
    }
    return op->eval(Call{node, opset, inputs, run_body});
  } catch (Error& error) {
    error.context(cat("while running ", node_text(node)));
    throw;
  }
}

}  // namespace qtool
