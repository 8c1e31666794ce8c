#include "tensor/elements.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "tensor/small_float.hpp"

namespace qtool {
namespace {

template <typename T, typename Out>
void read_as(const void* bytes, int64_t begin, int64_t count, Out* out) {
  const T* in = static_cast<const T*>(bytes) + begin;
  for (int64_t i = 0; i < count; ++i) out[i] = static_cast<Out>(in[i]);
}

// The native integers, bool and packed integers; false when `type` is none of them.
template <typename Out>
bool read_whole_numbers(ConstElements in, int64_t begin, int64_t count, Out* out) {
  switch (in.type) {
    case DType::kUint8:
      return read_as<uint8_t>(in.bytes, begin, count, out), true;
    case DType::kInt8:
      return read_as<int8_t>(in.bytes, begin, count, out), true;
    case DType::kUint16:
      return read_as<uint16_t>(in.bytes, begin, count, out), true;
    case DType::kInt16:
      return read_as<int16_t>(in.bytes, begin, count, out), true;
    case DType::kUint32:
      return read_as<uint32_t>(in.bytes, begin, count, out), true;
    case DType::kInt32:
      return read_as<int32_t>(in.bytes, begin, count, out), true;
    case DType::kUint64:
      return read_as<uint64_t>(in.bytes, begin, count, out), true;
    case DType::kInt64:
      return read_as<int64_t>(in.bytes, begin, count, out), true;
    case DType::kBool:
      // Files may hold bytes other than 0 and 1.
      for (int64_t i = 0; i < count; ++i) {
        out[i] = static_cast<const uint8_t*>(in.bytes)[begin + i] != 0 ? Out{1} : Out{0};
      }
      return true;
    case DType::kUint4:
    case DType::kInt4:
    case DType::kUint2:
    case DType::kInt2:
      for (int64_t i = 0; i < count; ++i) out[i] = static_cast<Out>(packed_code(in, begin + i));
      return true;
    default:
      return false;
  }
}

[[noreturn]] void throw_no_number(DType type) {
  throw_unsupported(cat("elements of type ", dtype_name(type), " are not numbers here"));
}

// Half to even within the type; NaN becomes 0.
template <typename T>
T round_to(double value) {
  if (std::isnan(value)) return 0;
  const double rounded = std::nearbyint(value);
  // The largest 64-bit integers are no doubles: compare before converting.
  if (rounded >= static_cast<double>(std::numeric_limits<T>::max()))
    return std::numeric_limits<T>::max();
  if (rounded <= static_cast<double>(std::numeric_limits<T>::min()))
    return std::numeric_limits<T>::min();
  return static_cast<T>(rounded);
}

template <typename T>
void store(Elements out, int64_t i, T value) {
  static_cast<T*>(out.bytes)[i] = value;
}

int round_to_bits(double value, DType type) {
  const int bits = dtype_bits(type);
  const double low = is_signed(type) ? -(1 << (bits - 1)) : 0;
  const double high = low + (1 << bits) - 1;
  return std::isnan(value) ? 0 : static_cast<int>(std::nearbyint(std::clamp(value, low, high)));
}

}  // namespace

int packed_code(ConstElements in, int64_t i) {
  const int bits = dtype_bits(in.type);
  const int64_t bit = i * bits;
  const int code = static_cast<const uint8_t*>(in.bytes)[bit / 8] >> (bit % 8) & ((1 << bits) - 1);
  const bool negative =
      in.type != DType::kFloat4E2M1 && is_signed(in.type) && code >> (bits - 1) != 0;
  return negative ? code - (1 << bits) : code;
}

void set_packed_code(Elements out, int64_t i, int code) {
  const int bits = dtype_bits(out.type);
  const int64_t bit = i * bits;
  uint8_t& byte = static_cast<uint8_t*>(out.bytes)[bit / 8];
  const int mask = ((1 << bits) - 1) << (bit % 8);
  byte = static_cast<uint8_t>((byte & ~mask) | (code << (bit % 8) & mask));
}

void copy_element(ConstElements in, int64_t from, Elements out, int64_t to) {
  if (is_packed(in.type)) return set_packed_code(out, to, packed_code(in, from));
  const int64_t width = dtype_bits(in.type) / 8;
  std::memcpy(static_cast<uint8_t*>(out.bytes) + to * width,
              static_cast<const uint8_t*>(in.bytes) + from * width, static_cast<size_t>(width));
}

void read_doubles(ConstElements in, int64_t begin, int64_t count, double* out) {
  if (read_whole_numbers(in, begin, count, out)) return;
  if (in.type == DType::kFloat) return read_as<float>(in.bytes, begin, count, out);
  if (in.type == DType::kDouble) return read_as<double>(in.bytes, begin, count, out);
  if (!is_small_float(in.type)) throw_no_number(in.type);
  for (int64_t i = 0; i < count; ++i) out[i] = double{decode_small_float(in, begin + i)};
}

void read_int64s(ConstElements in, int64_t begin, int64_t count, int64_t* out) {
  if (!read_whole_numbers(in, begin, count, out)) throw_no_number(in.type);
}

int64_t saturate_to_int64(double value) {
  if (std::isnan(value)) return 0;
  if (value >= 0x1p63) return INT64_MAX;
  if (value <= -0x1p63) return INT64_MIN;
  return static_cast<int64_t>(value);
}

void write_number(Elements out, int64_t i, double value) {
  switch (out.type) {
    case DType::kFloat:
      return store(out, i, static_cast<float>(value));
    case DType::kDouble:
      return store(out, i, value);
    case DType::kUint8:
      return store(out, i, round_to<uint8_t>(value));
    case DType::kInt8:
      return store(out, i, round_to<int8_t>(value));
    case DType::kUint16:
      return store(out, i, round_to<uint16_t>(value));
    case DType::kInt16:
      return store(out, i, round_to<int16_t>(value));
    case DType::kUint32:
      return store(out, i, round_to<uint32_t>(value));
    case DType::kInt32:
      return store(out, i, round_to<int32_t>(value));
    case DType::kUint64:
      return store(out, i, round_to<uint64_t>(value));
    case DType::kInt64:
      return store(out, i, round_to<int64_t>(value));
    case DType::kBool:
      return store<uint8_t>(out, i, value != 0);
    case DType::kUint4:
    case DType::kInt4:
    case DType::kUint2:
    case DType::kInt2:
      return set_packed_code(out, i, round_to_bits(value, out.type));
    default:
      if (!is_small_float(out.type)) throw_no_number(out.type);
      encode_small_float(out, i, value, {});
  }
}

}  // namespace qtool
