// Cast and CastLike convert values; BitCast reads the same bits as another type.
#include <cmath>

#include "ops/movable.hpp"

namespace qtool {
namespace {

ScaleRounding scale_rounding(const Call& call) {
  const std::string mode = call.text("round_mode", "up");
  if (mode == "up") return ScaleRounding::kUp;
  if (mode == "down") return ScaleRounding::kDown;
  require(mode == "nearest", call, "round_mode '", printable(mode), "' is not known");
  return ScaleRounding::kNearest;
}

// ONNX does not say which number of float4e2m1, a type without NaN, NaN becomes.
void refuse_nan(const Call& call, const Tensor& x) {
  if (is_integer(x.dtype()) || x.dtype() == DType::kBool || x.dtype() == DType::kString) return;
  for (int64_t i = 0; i < x.size(); ++i) {
    refuse(std::isnan(x.number(i)), call, "NaN has no value in float4e2m1");
  }
}

std::vector<Tensor> cast_to(const Call& call, DType type) {
  if (type == DType::kFloat4E2M1) refuse_nan(call, call.in(0));
  const bool saturate = call.integer("saturate", 1) != 0;
  return {cast(call.in(0), type, saturate, scale_rounding(call))};
}

// Before opset 6 the type is given by its name.
DType named_type(const Call& call) {
  const std::string name = call.text("to", "");
  for (int value = 1; is_known_dtype(value); ++value) {
    const auto type = static_cast<DType>(value);
    std::string known = dtype_name(type);
    if (type == DType::kFloat) known = "float";
    if (type == DType::kDouble) known = "double";
    for (char& c : known) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    if (known == name) return type;
  }
  throw_model("QT-E331", cat("Cast: element type '", printable(name), "' is not known"));
}

std::vector<Tensor> eval_cast(const Call& call) {
  require(find_attribute(call.node, "to"), call, "no element type is given");
  return cast_to(call,
                 call.opset < 6 ? named_type(call) : checked_dtype(call.integer("to", 0), call));
}

std::vector<Tensor> eval_cast_like(const Call& call) { return cast_to(call, call.in(1).dtype()); }

std::vector<Tensor> eval_bit_cast(const Call& call) {
  const Tensor& x = call.in(0);
  const DType type = checked_dtype(call.integer("to", 0), call);
  require(dtype_bits(type) > 0 && dtype_bits(type) == dtype_bits(x.dtype()), call,
          dtype_name(x.dtype()), " and ", dtype_name(type), " have other widths");
  return {x.reinterpreted(type)};
}

constexpr QuantRule kConversion{.reason = "changes the element type"};

}  // namespace

extern const OpDef kCast{.type = "Cast", .eval = eval_cast, .quant = kConversion};
extern const OpDef kCastLike{
    .type = "CastLike", .since = 15, .eval = eval_cast_like, .quant = kConversion};
extern const OpDef kBitCast{
    .type = "BitCast", .since = 26, .eval = eval_bit_cast, .quant = kConversion};

}  // namespace qtool
