// Tensor layer: element types, shapes, and tensors that share their bytes until written.
//
//   Tensor t(DType::kFloat, {2, 3});            // zero-filled
//   t.mutable_data<float>()[0] = 1.f;           // makes the bytes unique first
//   Tensor u = t;                               // cheap: shares the bytes
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "qtool/base.hpp"

namespace qtool {

// Element types; the values are those of onnx.TensorProto.DataType.
enum class DType : uint8_t {
  kUndefined = 0,
  kFloat = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kFloat16 = 10,
  kDouble = 11,
  kUint32 = 12,
  kUint64 = 13,
  kComplex64 = 14,
  kComplex128 = 15,
  kBfloat16 = 16,
  kFloat8E4M3FN = 17,
  kFloat8E4M3FNUZ = 18,
  kFloat8E5M2 = 19,
  kFloat8E5M2FNUZ = 20,
  kUint4 = 21,
  kInt4 = 22,
  kFloat4E2M1 = 23,
  kFloat8E8M0 = 24,
  kUint2 = 25,
  kInt2 = 26,
  // Not element types: what else a value can be. An operator that takes them says so in its record.
  kSequence = 240,  // its elements are tensors; the shape is [count]
  kNothing = 241,   // an optional without a value; one with a value is that value
};
const char* dtype_name(DType type);  // "float32", "int4" …
int dtype_bits(DType type);          // 32, 4 …; 0 for strings and undefined
bool is_known_dtype(int value);
bool is_integer(DType type);  // whole numbers, 2 to 64 bits, not bool
bool is_signed(DType type);
bool is_container(DType type);  // kSequence or kNothing

// Dimensions, outermost first; −1 is unknown.
using Shape = std::vector<int64_t>;
// Product of the dimensions; throws Error{kModel} when one is negative or the product overflows.
int64_t element_count(const Shape& shape);
std::string shape_text(const Shape& shape);  // "[1, 3, ?, 224]"
bool is_static(const Shape& shape);
// Row-major strides in elements.
Shape strides_of(const Shape& shape);
// NumPy broadcasting of two shapes; throws Error{kModel} when they do not fit.
Shape broadcast(const Shape& a, const Shape& b);

// Bytes that `count` elements take: sub-byte types are packed, low bits first.
int64_t byte_size(DType type, int64_t count);

// How fresh memory comes.
enum class Fill { kZero, kNone };

// Upper bound for one tensor's allocation; beyond it Error{kModel, QT-E340}. Set from --max-memory.
void set_max_tensor_bytes(int64_t bytes);

class Tensor {
 public:
  Tensor() = default;  // undefined: an absent optional input
  Tensor(const Tensor&) = default;
  Tensor& operator=(const Tensor&) = default;
  Tensor(Tensor&& other) noexcept;  // leaves an undefined tensor
  Tensor& operator=(Tensor&& other) noexcept;
  ~Tensor() = default;
  Tensor(DType type, Shape shape);  // zero-filled (strings: empty)
  // Not cleared: for outputs that are written whole.
  static Tensor uninitialized(DType type, Shape shape);
  // Bytes owned elsewhere (a mapped file, a larger buffer), kept alive by `owner`; never written to.
  // Copied when their address does not suit the element type.
  static Tensor view(DType type, Shape shape, const void* bytes, std::shared_ptr<const void> owner);
  // The same over a file mapped for reading, whose pages drop_pages() may give back.
  static Tensor mapped(DType type, Shape shape, const void* bytes,
                       std::shared_ptr<const void> file);
  template <typename T>
  static Tensor of(Shape shape, const std::vector<T>& values);
  template <typename T>
  static Tensor scalar(T value) {
    return of<T>({}, {value});
  }
  static Tensor strings(Shape shape, std::vector<std::string> values);
  static Tensor sequence(std::vector<Tensor> elements);
  static Tensor nothing();

  bool defined() const { return type_ != DType::kUndefined; }
  DType dtype() const { return type_; }
  const Shape& shape() const { return shape_; }
  int64_t rank() const { return static_cast<int64_t>(shape_.size()); }
  int64_t dim(int64_t axis) const {
    return shape_[static_cast<size_t>(axis < 0 ? axis + rank() : axis)];
  }
  int64_t size() const { return count_; }  // elements
  int64_t bytes() const { return byte_size(type_, count_); }
  // Same bytes, other dimensions with the same product.
  Tensor reshaped(Shape shape) const;
  // Same bits read as another type of the same width.
  Tensor reinterpreted(DType type) const;

  const void* raw() const { return bytes_; }
  void* mutable_raw();  // unique afterwards
  template <typename T>
  std::span<const T> data() const;  // throws Error{kInternal} when T is not the element type
  template <typename T>
  std::span<T> mutable_data();
  const std::vector<std::string>& string_data() const;
  const std::vector<Tensor>& sequence_data() const;
  // False for undefined tensors.
  bool shares_bytes_with(const Tensor& other) const { return bytes_ && bytes_ == other.bytes_; }
  bool is_unique() const { return writable_ && owner_.use_count() == 1; }

  // For whoever has read a weight and will not soon again: a mapped file's pages leave the memory of the
  // process until they are read again. Other tensors keep theirs.
  void drop_pages() const;

  // Element i of any numeric type as double / int64 (slow: for attributes, shapes, tests, references).
  double number(int64_t i) const;
  int64_t integer(int64_t i) const;
  void set_number(int64_t i, double value);  // saturates integers, rounds half to even
  std::vector<int64_t> to_int64s() const;

 private:
  void allocate(Fill fill);
  void check_index(int64_t i) const;

  DType type_ = DType::kUndefined;
  Shape shape_;
  int64_t count_ = 0;
  std::shared_ptr<const void> owner_;
  const void* bytes_ = nullptr;
  bool writable_ = false, mapped_ = false;
};

// DType of a C++ type: dtype_of<float>().
template <typename T>
constexpr DType dtype_of();
template <>
constexpr DType dtype_of<float>() {
  return DType::kFloat;
}
template <>
constexpr DType dtype_of<double>() {
  return DType::kDouble;
}
template <>
constexpr DType dtype_of<uint8_t>() {
  return DType::kUint8;
}
template <>
constexpr DType dtype_of<int8_t>() {
  return DType::kInt8;
}
template <>
constexpr DType dtype_of<uint16_t>() {
  return DType::kUint16;
}
template <>
constexpr DType dtype_of<int16_t>() {
  return DType::kInt16;
}
template <>
constexpr DType dtype_of<uint32_t>() {
  return DType::kUint32;
}
template <>
constexpr DType dtype_of<int32_t>() {
  return DType::kInt32;
}
template <>
constexpr DType dtype_of<uint64_t>() {
  return DType::kUint64;
}
template <>
constexpr DType dtype_of<int64_t>() {
  return DType::kInt64;
}
template <>
constexpr DType dtype_of<bool>() {
  return DType::kBool;
}

namespace detail {
void check_element_type(DType have, DType want);
}

template <typename T>
std::span<const T> Tensor::data() const {
  detail::check_element_type(type_, dtype_of<T>());
  return {static_cast<const T*>(bytes_), static_cast<size_t>(count_)};
}

template <typename T>
std::span<T> Tensor::mutable_data() {
  detail::check_element_type(type_, dtype_of<T>());
  return {static_cast<T*>(mutable_raw()), static_cast<size_t>(count_)};
}

template <typename T>
Tensor Tensor::of(Shape shape, const std::vector<T>& values) {
  Tensor t = uninitialized(dtype_of<T>(), std::move(shape));
  if (t.count_ != static_cast<int64_t>(values.size()))
    throw_internal("Tensor::of: count and shape differ");
  auto out = t.mutable_data<T>();
  for (size_t i = 0; i < values.size(); ++i) out[i] = values[i];
  return t;
}

// How a number becomes a float8e8m0, a bare power of two (`round_mode` of Cast): away from zero, toward
// zero, or to the nearest with ties up.
enum class ScaleRounding { kUp, kDown, kNearest };

// Element-wise conversion as the ONNX Cast operator defines it; `saturate` applies to float8 targets.
// Floats truncate toward zero, integers wrap, strings are decimal numbers ("1e-5", "INF", "NaN").
// Throws Error{kModel}: QT-E320 for complex types, QT-E331 for a text that is no number.
Tensor cast(const Tensor& input, DType to, bool saturate = true,
            ScaleRounding rounding = ScaleRounding::kUp);

// --- small floats: bit patterns in uint16_t / uint8_t --------------------------------------------
// The tables of ONNX Cast; all round half to even. float4e2m1 saturates always and turns NaN into 6.
float half_to_float(uint16_t bits);
uint16_t float_to_half(float value);  // round half to even
float bfloat16_to_float(uint16_t bits);
uint16_t float_to_bfloat16(float value);
float float8_to_float(uint8_t bits, DType type);
uint8_t float_to_float8(float value, DType type, bool saturate,
                        ScaleRounding rounding = ScaleRounding::kUp);
float float4_to_float(uint8_t bits);
uint8_t float_to_float4(float value);

// --- packed integers (ONNX: 2 or 4 bits, low bits first) -----------------------------------------
// Codes of a packed tensor as int8/uint8 with one byte per element, and back.
Tensor unpack_bits(const Tensor& packed);
Tensor pack_bits(const Tensor& bytes, DType to);

}  // namespace qtool
