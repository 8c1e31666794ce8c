#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <type_traits>

#include "tensor/cast_strings.hpp"
#include "tensor/elements.hpp"
#include "tensor/half.hpp"
#include "tensor/small_float.hpp"

namespace qtool {
namespace {

constexpr int64_t kChunk = 1024;  // even, so that packed chunks begin at whole bytes

// Floats truncate. ONNX leaves values that do not fit open; here they become what x86 makes of
// them: the lowest int32 (int64 for wider targets), cut to the target's width.
template <typename To, typename From>
To to_integer(From value) {
  if constexpr (sizeof(To) < 4 || std::is_same_v<To, int32_t>) {
    const bool fits = value > From(-0x1p31) - 1 && value < From(0x1p31);
    return static_cast<To>(fits ? static_cast<int32_t>(value)
                                : std::numeric_limits<int32_t>::min());
  } else {
    if constexpr (std::is_same_v<To, uint64_t>) {
      if (value >= From(0x1p63) && value < From(0x1p64)) return static_cast<uint64_t>(value);
    }
    const bool fits = value >= From(-0x1p63) && value < From(0x1p63);
    return static_cast<To>(fits ? static_cast<int64_t>(value)
                                : std::numeric_limits<int64_t>::min());
  }
}

template <typename From, typename To>
To convert(From value) {
  if constexpr (std::is_same_v<To, bool>) {
    return value != From{0};
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    return to_integer<To>(value);
  } else {
    return static_cast<To>(value);
  }
}

template <typename From, typename To>
void convert_run(const From* in, void* out, int64_t count) {
  To* const to = static_cast<To*>(out);
  for (int64_t i = 0; i < count; ++i) to[i] = convert<From, To>(in[i]);
}

bool is_native(DType type) {
  return type != DType::kString && !is_small_float(type) && !is_packed(type) &&
         type != DType::kComplex64 && type != DType::kComplex128;
}

// From a C++ type to any native element type.
template <typename From>
void convert_to(const From* in, DType to, void* out, int64_t count) {
  switch (to) {
    case DType::kFloat:
      return convert_run<From, float>(in, out, count);
    case DType::kDouble:
      return convert_run<From, double>(in, out, count);
    case DType::kUint8:
      return convert_run<From, uint8_t>(in, out, count);
    case DType::kInt8:
      return convert_run<From, int8_t>(in, out, count);
    case DType::kUint16:
      return convert_run<From, uint16_t>(in, out, count);
    case DType::kInt16:
      return convert_run<From, int16_t>(in, out, count);
    case DType::kUint32:
      return convert_run<From, uint32_t>(in, out, count);
    case DType::kInt32:
      return convert_run<From, int32_t>(in, out, count);
    case DType::kUint64:
      return convert_run<From, uint64_t>(in, out, count);
    case DType::kInt64:
      return convert_run<From, int64_t>(in, out, count);
    case DType::kBool:
      return convert_run<From, bool>(in, out, count);
    default:
      throw_internal(cat("no direct conversion to ", dtype_name(to)));
  }
}

// Any native element type to any other; bool comes as bytes, any but 0 being true.
void convert_native(ConstElements in, int64_t begin, Elements out, int64_t count) {
  const auto run = [&]<typename From>(From) {
    convert_to(static_cast<const From*>(in.bytes) + begin, out.type, out.bytes, count);
  };
  switch (in.type) {
    case DType::kFloat:
      return run(float{});
    case DType::kDouble:
      return run(double{});
    case DType::kUint8:
      return run(uint8_t{});
    case DType::kInt8:
      return run(int8_t{});
    case DType::kUint16:
      return run(uint16_t{});
    case DType::kInt16:
      return run(int16_t{});
    case DType::kUint32:
      return run(uint32_t{});
    case DType::kInt32:
      return run(int32_t{});
    case DType::kUint64:
      return run(uint64_t{});
    case DType::kInt64:
      return run(int64_t{});
    default:
      break;
  }
  std::array<uint8_t, kChunk> ones;  // bool
  const auto* const bytes = static_cast<const uint8_t*>(in.bytes) + begin;
  for (int64_t i = 0; i < count; ++i) ones[static_cast<size_t>(i)] = bytes[i] != 0;
  convert_to(ones.data(), out.type, out.bytes, count);
}

// A run of at most kChunk elements as native ones: where they lie, or decoded into `scratch`.
struct Run {
  ConstElements elements;
  int64_t begin;
};

Run native_run(ConstElements in, int64_t begin, int64_t count,
               std::array<double, kChunk>& scratch) {
  if (is_native(in.type)) return {in, begin};
  if (is_packed(in.type) && is_integer(in.type)) {
    auto* const codes = reinterpret_cast<int8_t*>(scratch.data());
    unpack_run(in, begin, count, codes);
    return {{DType::kInt8, codes}, 0};
  }
  auto* const floats = reinterpret_cast<float*>(scratch.data());
  const auto* const halves = static_cast<const uint16_t*>(in.bytes) + begin;
  if (in.type == DType::kFloat16) {
    for (int64_t i = 0; i < count; ++i) floats[i] = widen_half(halves[i]);
  } else if (in.type == DType::kBfloat16) {
    for (int64_t i = 0; i < count; ++i) floats[i] = widen_bfloat16(halves[i]);
  } else {
    for (int64_t i = 0; i < count; ++i) floats[i] = decode_small_float(in, begin + i);
  }
  return {{DType::kFloat, floats}, 0};
}

void encode_run(ConstElements in, int64_t begin, Elements out, int64_t to, int64_t count,
                SmallFloatRounding rounding) {
  auto* const halves = static_cast<uint16_t*>(out.bytes) + to;
  if (in.type == DType::kFloat && (out.type == DType::kFloat16 || out.type == DType::kBfloat16)) {
    const float* const floats = static_cast<const float*>(in.bytes) + begin;
    if (out.type == DType::kFloat16) {
      for (int64_t i = 0; i < count; ++i) halves[i] = narrow_to_half(floats[i]);
    } else {
      for (int64_t i = 0; i < count; ++i) halves[i] = narrow_to_bfloat16(floats[i]);
    }
    return;
  }
  std::array<double, kChunk> values;
  read_doubles(in, begin, count, values.data());
  for (int64_t i = 0; i < count; ++i)
    encode_small_float(out, to + i, values[static_cast<size_t>(i)], rounding);
}

void cast_run(ConstElements in, Elements out, int64_t begin, int64_t count,
              SmallFloatRounding rounding) {
  alignas(64) std::array<double, kChunk> scratch;
  const Run run = native_run(in, begin, count, scratch);
  if (is_small_float(out.type)) {
    return encode_run(run.elements, run.begin, out, begin, count, rounding);
  }
  if (is_packed(out.type)) {
    std::array<int8_t, kChunk> codes;
    convert_native(run.elements, run.begin, {DType::kInt8, codes.data()}, count);
    return pack_run(codes.data(), begin, count, out);
  }
  auto* const bytes = static_cast<uint8_t*>(out.bytes) + begin * (dtype_bits(out.type) / 8);
  convert_native(run.elements, run.begin, {out.type, bytes}, count);
}

}  // namespace

Tensor cast(const Tensor& input, DType to, bool saturate, ScaleRounding rounding) {
  if (input.dtype() == to) return input;
  const auto is_complex = [](DType t) { return t == DType::kComplex64 || t == DType::kComplex128; };
  if (!input.defined() || to == DType::kUndefined || is_complex(to) || is_complex(input.dtype())) {
    throw_unsupported(cat("Cast from ", dtype_name(input.dtype()), " to ", dtype_name(to)));
  }
  if (to == DType::kString) return numbers_to_strings(input);
  if (input.dtype() == DType::kString) return strings_to_numbers(input, to, saturate);

  Tensor out = Tensor::uninitialized(to, input.shape());
  const int64_t tail = out.bytes();
  auto* const bytes = static_cast<uint8_t*>(out.mutable_raw());
  if (is_packed(to) && tail > 0) bytes[tail - 1] = 0;  // bits after the last code are zero
  for (int64_t begin = 0; begin < input.size(); begin += kChunk) {
    const int64_t count = std::min(kChunk, input.size() - begin);
    cast_run({input.dtype(), input.raw()}, {to, bytes}, begin, count, {saturate, rounding});
  }
  return out;
}

}  // namespace qtool
