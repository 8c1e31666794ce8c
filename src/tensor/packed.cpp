#include "tensor/elements.hpp"

namespace qtool {
namespace {

// `kBits` known to the compiler makes shifts and masks cheap.
template <int kBits, bool kSigned>
void unpack(const uint8_t* bytes, int64_t begin, int64_t count, int8_t* codes) {
  constexpr int kShift = kSigned ? 32 - kBits : 0, kMask = (1 << kBits) - 1, kPerByte = 8 / kBits;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t at = begin + i;
    const uint32_t code = bytes[at / kPerByte] >> (at % kPerByte * kBits) & kMask;
    codes[i] = static_cast<int8_t>(static_cast<int32_t>(code << kShift) >> kShift);
  }
}

template <int kBits>
void pack(const int8_t* codes, int64_t begin, int64_t count, uint8_t* bytes) {
  constexpr int kMask = (1 << kBits) - 1, kPerByte = 8 / kBits;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t at = begin + i, shift = at % kPerByte * kBits;
    uint8_t& byte = bytes[at / kPerByte];
    byte = static_cast<uint8_t>((byte & ~(kMask << shift)) | (codes[i] & kMask) << shift);
  }
}

}  // namespace

void unpack_run(ConstElements in, int64_t begin, int64_t count, int8_t* codes) {
  const auto* const bytes = static_cast<const uint8_t*>(in.bytes);
  switch (in.type) {
    case DType::kInt4:
      return unpack<4, true>(bytes, begin, count, codes);
    case DType::kUint4:
      return unpack<4, false>(bytes, begin, count, codes);
    case DType::kInt2:
      return unpack<2, true>(bytes, begin, count, codes);
    case DType::kUint2:
      return unpack<2, false>(bytes, begin, count, codes);
    default:
      throw_internal(cat("unpack_run: ", dtype_name(in.type), " is not packed"));
  }
}

void pack_run(const int8_t* codes, int64_t begin, int64_t count, Elements out) {
  auto* const bytes = static_cast<uint8_t*>(out.bytes);
  if (dtype_bits(out.type) == 4) return pack<4>(codes, begin, count, bytes);
  pack<2>(codes, begin, count, bytes);
}

Tensor unpack_bits(const Tensor& packed) {
  if (!is_packed(packed.dtype()) || !is_integer(packed.dtype())) {
    throw_internal(cat("unpack_bits: ", dtype_name(packed.dtype()), " is not packed"));
  }
  Tensor out = Tensor::uninitialized(is_signed(packed.dtype()) ? DType::kInt8 : DType::kUint8,
                                     packed.shape());
  unpack_run({packed.dtype(), packed.raw()}, 0, packed.size(),
             static_cast<int8_t*>(out.mutable_raw()));
  return out;
}

Tensor pack_bits(const Tensor& bytes, DType to) {
  const DType from = is_signed(to) ? DType::kInt8 : DType::kUint8;
  if (!is_packed(to) || !is_integer(to) || bytes.dtype() != from) {
    throw_internal(cat("pack_bits: ", dtype_name(bytes.dtype()), " to ", dtype_name(to)));
  }
  Tensor out(to, bytes.shape());
  pack_run(static_cast<const int8_t*>(bytes.raw()), 0, bytes.size(), {to, out.mutable_raw()});
  return out;
}

}  // namespace qtool
