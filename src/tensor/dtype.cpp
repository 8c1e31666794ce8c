#include <array>

#include "qtool/tensor.hpp"

namespace qtool {
namespace {

enum class Kind { kOther, kUnsigned, kSigned, kFloat };

struct TypeInfo {
  const char* name;
  int bits;
  Kind kind;
};

// By the values of onnx.TensorProto.DataType.
constexpr std::array<TypeInfo, 27> kTypes = {{
    {"undefined", 0, Kind::kOther},      {"float32", 32, Kind::kFloat},
    {"uint8", 8, Kind::kUnsigned},       {"int8", 8, Kind::kSigned},
    {"uint16", 16, Kind::kUnsigned},     {"int16", 16, Kind::kSigned},
    {"int32", 32, Kind::kSigned},        {"int64", 64, Kind::kSigned},
    {"string", 0, Kind::kOther},         {"bool", 8, Kind::kOther},
    {"float16", 16, Kind::kFloat},       {"float64", 64, Kind::kFloat},
    {"uint32", 32, Kind::kUnsigned},     {"uint64", 64, Kind::kUnsigned},
    {"complex64", 64, Kind::kFloat},     {"complex128", 128, Kind::kFloat},
    {"bfloat16", 16, Kind::kFloat},      {"float8e4m3fn", 8, Kind::kFloat},
    {"float8e4m3fnuz", 8, Kind::kFloat}, {"float8e5m2", 8, Kind::kFloat},
    {"float8e5m2fnuz", 8, Kind::kFloat}, {"uint4", 4, Kind::kUnsigned},
    {"int4", 4, Kind::kSigned},          {"float4e2m1", 4, Kind::kFloat},
    {"float8e8m0", 8, Kind::kOther},     {"uint2", 2, Kind::kUnsigned},
    {"int2", 2, Kind::kSigned},
}};

constexpr TypeInfo kSequenceInfo = {"sequence", 0, Kind::kOther};
constexpr TypeInfo kNothingInfo = {"empty optional", 0, Kind::kOther};

const TypeInfo& info(DType type) {
  if (type == DType::kSequence) return kSequenceInfo;
  if (type == DType::kNothing) return kNothingInfo;
  const auto i = static_cast<size_t>(type);
  return kTypes[i < kTypes.size() ? i : 0];
}

}  // namespace

const char* dtype_name(DType type) { return info(type).name; }

int dtype_bits(DType type) { return info(type).bits; }

bool is_known_dtype(int value) { return value > 0 && value < static_cast<int>(kTypes.size()); }

bool is_integer(DType type) {
  return info(type).kind == Kind::kUnsigned || info(type).kind == Kind::kSigned;
}

bool is_signed(DType type) {
  return info(type).kind == Kind::kSigned || info(type).kind == Kind::kFloat;
}

bool is_container(DType type) { return type == DType::kSequence || type == DType::kNothing; }

int64_t byte_size(DType type, int64_t count) {
  const int64_t bits = dtype_bits(type);
  int64_t total = 0;
  if (count < 0 || __builtin_mul_overflow(count, bits, &total) || total > INT64_MAX - 7) {
    throw_model("QT-E340", cat("a tensor of ", count, " elements of ", dtype_name(type),
                               " is larger than any memory"));
  }
  return (total + 7) / 8;
}

}  // namespace qtool
