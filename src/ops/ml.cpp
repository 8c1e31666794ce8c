// Small operators of ai.onnx.ml that pipelines put around a network.
#include "ops/movable.hpp"

namespace qtool {
namespace {

constexpr std::string_view kMl = "ai.onnx.ml";

std::vector<Tensor> eval_array_feature_extractor(const Call& call) {
  const Tensor& x = call.in(0);
  require(x.rank() >= 1, call, "the input is a scalar");
  std::vector<int64_t> positions = index_data(call, 1);
  for (int64_t& at : positions) at = checked_index(at, x.dim(-1), call);
  const Movable m(call, {x});
  Tensor out = m.restore(take(m[0], x.rank() - 1, positions));
  // A list of features gives a row.
  if (x.rank() == 1) out = out.reshaped({1, out.size()});
  return {out};
}

std::vector<Tensor> eval_binarizer(const Call& call) {
  const Tensor& x = call.in(0);
  const float threshold = call.real("threshold", 0);
  return {with_number(call, x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    Tensor out = Tensor::uninitialized(x.dtype(), x.shape());
    const auto from = x.data<T>();
    const auto to = out.mutable_data<T>();
    for (size_t i = 0; i < to.size(); ++i)
      to[i] = static_cast<double>(from[i]) > threshold ? T(1) : T(0);
    return out;
  })};
}

}  // namespace

extern const OpDef kArrayFeatureExtractor{.type = "ArrayFeatureExtractor",
                                          .domain = kMl,
                                          .eval = eval_array_feature_extractor,
                                          .quant = {.kind = QuantKind::kMovement}};
extern const OpDef kBinarizer{.type = "Binarizer", .domain = kMl, .eval = eval_binarizer};

}  // namespace qtool
