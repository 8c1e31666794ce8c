// Optional values: one without a value is a tensor of type kNothing, one with a value is that value.
#include "ops/dispatch.hpp"

namespace qtool {
namespace {

bool has_element(const Call& call) {
  return call.has(0) && call.inputs[0].dtype() != DType::kNothing;
}

std::vector<Tensor> eval_optional(const Call& call) {
  return {call.has(0) ? call.inputs[0] : Tensor::nothing()};
}

std::vector<Tensor> eval_has_element(const Call& call) {
  return {Tensor::scalar(has_element(call))};
}

std::vector<Tensor> eval_get_element(const Call& call) {
  require(has_element(call), call, "the optional is empty");
  return {call.in(0)};
}

}  // namespace

extern const OpDef kOptional{.type = "Optional",
                             .since = 15,
                             .eval = eval_optional,
                             .quant = {.reason = "an optional value, not a tensor"},
                             .containers = true};
extern const OpDef kOptionalHasElement{
    .type = "OptionalHasElement",
    .since = 15,
    .eval = eval_has_element,
    .quant = {.reason = "the output is a condition, not a value"},
    .containers = true};
extern const OpDef kOptionalGetElement{.type = "OptionalGetElement",
                                       .since = 15,
                                       .eval = eval_get_element,
                                       .quant = {.kind = QuantKind::kMovement},
                                       .containers = true};

}  // namespace qtool
