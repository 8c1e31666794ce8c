// Constant and ConstantOfShape.
#include "ops/movable.hpp"

namespace qtool {
namespace {

std::vector<Tensor> eval_constant(const Call& call) {
  const Node& node = call.node;
  int forms = 0;
  for (const char* name : {"value", "value_float", "value_floats", "value_int", "value_ints",
                           "value_string", "value_strings", "sparse_value"}) {
    forms += find_attribute(node, name) != nullptr;
  }
  require(forms == 1, call, "exactly one value attribute is expected, not ", forms);
  const auto count = [](const auto& list) { return Shape{static_cast<int64_t>(list.size())}; };
  if (const Tensor* value = attr_tensor(node, "value")) return {*value};
  if (find_attribute(node, "value_float")) return {Tensor::scalar(call.real("value_float", 0))};
  if (find_attribute(node, "value_int")) return {Tensor::scalar(call.integer("value_int", 0))};
  if (find_attribute(node, "value_string"))
    return {Tensor::strings({}, {call.text("value_string", "")})};
  if (find_attribute(node, "value_floats")) {
    const std::vector<float> list = attr_floats(node, "value_floats");
    return {Tensor::of(count(list), list)};
  }
  if (find_attribute(node, "value_ints")) {
    const std::vector<int64_t> list = call.integers("value_ints");
    return {Tensor::of(count(list), list)};
  }
  if (const Attribute* a = find_attribute(node, "value_strings")) {
    // An empty list has no kind of its own.
    const auto* list = std::get_if<std::vector<std::string>>(&a->value);
    const auto text = list ? *list : std::vector<std::string>{};
    return {Tensor::strings(count(text), text)};
  }
  throw_unsupported("Constant: sparse_value is not supported");
}

std::vector<Tensor> eval_constant_of_shape(const Call& call) {
  const std::vector<int64_t> shape = index_data(call, 0);
  require(call.in(0).rank() == 1, call, "the shape must be a list, not ",
          shape_text(call.in(0).shape()));
  element_count(shape);  // throws for absurd dimensions
  const Tensor* value = attr_tensor(call.node, "value");
  if (!value) return {Tensor(DType::kFloat, shape)};
  require(value->size() == 1, call, "value has ", value->size(), " elements, expected 1");
  const Movable m(call, {*value});
  return {m.restore(filled(m[0], shape))};
}

constexpr QuantRule kWeightLike{.reason = "a constant is quantized with its consumer"};

}  // namespace

extern const OpDef kConstant{.type = "Constant", .eval = eval_constant, .quant = kWeightLike};
extern const OpDef kConstantOfShape{
    .type = "ConstantOfShape", .since = 9, .eval = eval_constant_of_shape, .quant = kWeightLike};

}  // namespace qtool
