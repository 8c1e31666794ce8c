#include <array>
#include <cmath>

#include "format/granularity.hpp"
#include "tensor/elements.hpp"

namespace qtool {
namespace {

constexpr auto kMaxRun = static_cast<size_t>(Granularity::kMaxRun);

// Floats of any width as float32; the tensor itself when it is one.
Tensor as_float(const Tensor& real) {
  if (!real.defined() || is_integer(real.dtype()) || dtype_bits(real.dtype()) == 0) {
    throw_model("QT-E352", cat("cannot quantize a tensor of ", dtype_name(real.dtype())));
  }
  return cast(real, DType::kFloat);
}

void check_no_nan(const float* values, int64_t count) {
  if (!has_nan(values, count)) return;
  throw Error(ErrorKind::kModel, "QT-E353", "cannot quantize a tensor that holds NaN")
      .hint("look for NaN in the weights and in the data");
}

template <typename T>
void narrow(const int32_t* codes, void* out, int64_t begin, int64_t count) {
  T* const to = static_cast<T*>(out) + begin;
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<T>(codes[i]);
}

void store_codes(const int32_t* codes, Elements out, int64_t begin, int64_t count) {
  switch (out.type) {
    case DType::kUint8:
      return narrow<uint8_t>(codes, out.bytes, begin, count);
    case DType::kInt8:
      return narrow<int8_t>(codes, out.bytes, begin, count);
    case DType::kUint16:
      return narrow<uint16_t>(codes, out.bytes, begin, count);
    case DType::kInt16:
      return narrow<int16_t>(codes, out.bytes, begin, count);
    default:
      break;
  }
  std::array<int8_t, kMaxRun> bytes;
  narrow<int8_t>(codes, bytes.data(), 0, count);
  pack_run(bytes.data(), begin, count, out);
}

template <typename T>
void widen(const void* in, int64_t begin, int64_t count, int32_t* codes) {
  const T* const from = static_cast<const T*>(in) + begin;
  for (int64_t i = 0; i < count; ++i) codes[i] = from[i];
}

void load_codes(ConstElements in, int64_t begin, int64_t count, int32_t* codes) {
  switch (in.type) {
    case DType::kUint8:
      return widen<uint8_t>(in.bytes, begin, count, codes);
    case DType::kInt8:
      return widen<int8_t>(in.bytes, begin, count, codes);
    case DType::kUint16:
      return widen<uint16_t>(in.bytes, begin, count, codes);
    case DType::kInt16:
      return widen<int16_t>(in.bytes, begin, count, codes);
    default:
      break;
  }
  std::array<int8_t, kMaxRun> bytes;
  unpack_run(in, begin, count, bytes.data());
  widen<int8_t>(bytes.data(), 0, count, codes);
}

}  // namespace

Tensor quantize(const Tensor& real, const QParams& p) {
  const Tensor input = as_float(real);
  const Granularity granularity(input.shape(), p);
  const float* const values = input.data<float>().data();
  Tensor out(p.storage, input.shape());
  const Elements elements{p.storage, out.mutable_raw()};
  granularity.for_each_run([&](int64_t begin, int64_t count, const auto& grid) {
    std::array<int32_t, kMaxRun> codes;
    check_no_nan(values + begin, count);
    encode_run(values + begin, codes.data(), count, grid);
    store_codes(codes.data(), elements, begin, count);
  });
  return out;
}

Tensor dequantize(const Tensor& codes, const QParams& p) {
  container_range(codes.dtype());
  const Granularity granularity(codes.shape(), p);
  const ConstElements elements{codes.dtype(), codes.raw()};
  Tensor out = Tensor::uninitialized(DType::kFloat, codes.shape());
  float* const values = out.mutable_data<float>().data();
  granularity.for_each_run([&](int64_t begin, int64_t count, const auto& grid) {
    std::array<int32_t, kMaxRun> run;
    load_codes(elements, begin, count, run.data());
    decode_run(run.data(), values + begin, count, grid);
  });
  return out;
}

Tensor fake_quantize(const Tensor& real, const QParams& p) {
  Tensor out = as_float(real);
  const Granularity granularity(out.shape(), p);
  float* const values = out.mutable_data<float>().data();
  granularity.for_each_run([&](int64_t begin, int64_t count, const auto& grid) {
    check_no_nan(values + begin, count);
    snap_run(values + begin, count, grid);
  });
  return out;
}

void fake_quantize_inplace(std::span<float> values, float scale, int32_t zero_point,
                           int32_t code_min, int32_t code_max) {
  const Grid grid{scale, static_cast<float>(code_min - zero_point),
                  static_cast<float>(code_max - zero_point), zero_point};
  snap_run(values.data(), static_cast<int64_t>(values.size()), grid);
}

}  // namespace qtool
