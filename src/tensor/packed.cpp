#include "tensor/elements.hpp"

namespace qtool {

Tensor unpack_bits(const Tensor& packed) {
  if (!is_packed(packed.dtype()) || !is_integer(packed.dtype())) {
    throw_internal(cat("unpack_bits: ", dtype_name(packed.dtype()), " is not packed"));
  }
  Tensor out = Tensor::uninitialized(is_signed(packed.dtype()) ? DType::kInt8 : DType::kUint8, packed.shape());
  auto* codes = static_cast<int8_t*>(out.mutable_raw());
  const ConstElements in{packed.dtype(), packed.raw()};
  for (int64_t i = 0; i < packed.size(); ++i) codes[i] = static_cast<int8_t>(packed_code(in, i));
  return out;
}

Tensor pack_bits(const Tensor& bytes, DType to) {
  const DType from = is_signed(to) ? DType::kInt8 : DType::kUint8;
  if (!is_packed(to) || !is_integer(to) || bytes.dtype() != from) {
    throw_internal(cat("pack_bits: ", dtype_name(bytes.dtype()), " to ", dtype_name(to)));
  }
  Tensor out(to, bytes.shape());
  const Elements packed{to, out.mutable_raw()};
  const auto* codes = static_cast<const int8_t*>(bytes.raw());
  for (int64_t i = 0; i < bytes.size(); ++i) set_packed_code(packed, i, codes[i]);
  return out;
}

}  // namespace qtool
