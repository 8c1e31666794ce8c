#include "data/fit.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace qtool::data {
namespace {

bool is_float(DType type) {
  return type == DType::kFloat || type == DType::kDouble || type == DType::kFloat16 ||
         type == DType::kBfloat16;
}

bool is_whole(DType type) { return type == DType::kBool || is_integer(type); }

template <typename T>
bool all_finite(const Tensor& tensor) {
  return std::ranges::all_of(tensor.data<T>(), [](T value) { return std::isfinite(value); });
}

// All exponent bits set: NaN or infinity.
bool all_finite_16(const Tensor& tensor, uint16_t exponent) {
  const auto* bits = static_cast<const uint16_t*>(tensor.raw());
  return std::none_of(bits, bits + tensor.size(),
                      [&](uint16_t value) { return (value & exponent) == exponent; });
}

}  // namespace

std::string input_names(std::span<const InputSpec> inputs) {
  std::string names;
  for (const InputSpec& input : inputs)
    names += cat(names.empty() ? "" : ", ", "'", printable(input.name), "'");
  return names;
}

void check_shape(const InputSpec& input, const Shape& shape, Axis0 axis0,
                 const std::string& origin) {
  bool fits = shape.size() == input.shape.size();
  for (size_t axis = axis0 == Axis0::kSamples ? 1 : 0; fits && axis < shape.size(); ++axis) {
    fits = input.shape[axis] < 0 || input.shape[axis] == shape[axis];
  }
  if (fits) return;
  throw_data("QT-E430",
             cat(printable(origin), " does not fit input '", printable(input.name),
                 "': the model expects ", shape_text(input.shape), ", got ", shape_text(shape)));
}

bool can_convert(DType from, DType to) {
  return from == to || (is_float(from) && is_float(to)) || (is_whole(from) && is_whole(to));
}

void check_type(const InputSpec& input, DType type, const std::string& origin) {
  if (can_convert(type, input.dtype)) return;
  throw_data("QT-E431",
             cat(printable(origin), " does not fit input '", printable(input.name),
                 "': the model expects ", dtype_name(input.dtype), ", got ", dtype_name(type)));
}

Tensor converted(const Tensor& tensor, const InputSpec& input, const std::string& origin) {
  if (tensor.dtype() == input.dtype) return tensor;
  Tensor out = cast(tensor, input.dtype);
  if (is_float(input.dtype)) return out;
  Tensor back = cast(out, tensor.dtype());
  if (std::memcmp(back.raw(), tensor.raw(), static_cast<size_t>(tensor.bytes())) != 0) {
    throw_data("QT-E431", cat(printable(origin), ": a value does not fit type ",
                              dtype_name(input.dtype), " of input '", printable(input.name), "'"));
  }
  return out;
}

void check_finite(const Tensor& tensor, const std::string& input, const std::string& origin) {
  bool finite = true;
  switch (tensor.dtype()) {
    case DType::kFloat:
      finite = all_finite<float>(tensor);
      break;
    case DType::kDouble:
      finite = all_finite<double>(tensor);
      break;
    case DType::kFloat16:
      finite = all_finite_16(tensor, 0x7c00);
      break;
    case DType::kBfloat16:
      finite = all_finite_16(tensor, 0x7f80);
      break;
    default:
      break;
  }
  if (!finite)
    throw_data("QT-E434",
               cat(printable(origin), " holds NaN or infinity (input '", printable(input), "')"));
}

}  // namespace qtool::data
