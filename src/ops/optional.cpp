// OptionalHasElement and OptionalGetElement, of inputs that are tensors.
#include "ops/dispatch.hpp"

namespace qtool {
namespace {

std::vector<Tensor> eval_has_element(const Call& call) { return {Tensor::scalar(call.has(0))}; }
std::vector<Tensor> eval_get_element(const Call& call) { return {call.in(0)}; }

}  // namespace

extern const OpDef kOptionalHasElement{
    .type = "OptionalHasElement",
    .since = 15,
    .eval = eval_has_element,
    .quant = {.reason = "the output is a condition, not a value"}};
extern const OpDef kOptionalGetElement{.type = "OptionalGetElement",
                                       .since = 15,
                                       .eval = eval_get_element,
                                       .quant = {.kind = QuantKind::kMovement}};

}  // namespace qtool
