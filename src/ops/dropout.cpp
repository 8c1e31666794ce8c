// Dropout as it is at inference: the input itself and a mask that keeps everything.
#include <algorithm>

#include "ops/dispatch.hpp"

namespace qtool {
namespace {

std::vector<Tensor> eval_dropout(const Call& call) {
  const Tensor& x = call.in(0);
  bool training = call.opset < 7 && call.integer("is_test", 0) == 0;
  double ratio = call.real("ratio", 0.5f);
  if (call.opset >= 12) {
    if (call.has(1)) {
      require(call.in(1).size() == 1, call, "ratio must be a scalar");
      ratio = call.in(1).number(0);
    }
    if (call.has(2)) {
      require(call.in(2).size() == 1, call, "training_mode must be a scalar");
      training = input_data<bool>(call, 2)[0];
    }
  }
  refuse(training && ratio != 0, call, "training mode drops at random and is not supported");
  if (call.outputs() < 2) return {x};
  Tensor mask(DType::kBool, x.shape());
  std::ranges::fill(mask.mutable_data<bool>(), true);
  // Before opset 10 the mask has the input's type.
  return {x, call.opset < 10 ? cast(mask, x.dtype()) : mask};
}

}  // namespace

extern const OpDef kDropout{
    .type = "Dropout", .eval = eval_dropout, .quant = {.kind = QuantKind::kMovement, .reason = ""}};

}  // namespace qtool
