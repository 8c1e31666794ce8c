// Moving elements without looking at them: what Transpose, Slice, Gather, Concat … are made of.
//
//   const Movable m(call, {call.in(0)});
//   return {m.restore(strided(m[0], shape, strides, first))};
#pragma once

#include <cstring>

#include "ops/dispatch.hpp"
#include "ops/loops.hpp"

namespace qtool {

// Tensors of one element type with every element in whole bytes, so that memcpy can move them:
// packed types are unpacked, and a string is replaced by its number in a table whose entry 0 is the
// empty string. Zero bytes are thus the zero of every type.
class Movable {
 public:
  // Throws Error{kModel} when the element types differ.
  Movable(const Call& call, std::vector<Tensor> tensors);
  const Tensor& operator[](size_t i) const { return tensors_[i]; }
  size_t size() const { return tensors_.size(); }
  // A tensor made of moved elements, in the original element type.
  Tensor restore(Tensor moved) const;

 private:
  DType type_ = DType::kUndefined;
  std::vector<Tensor> tensors_;
  std::vector<std::string> table_;
};

// Throws Error{kModel} unless the parts are not negative and add up to `length`.
void require_parts(const Call& call, const std::vector<int64_t>& parts, int64_t length);

// Bytes of one element of a movable tensor: 1, 2, 4, 8 or 16.
inline int64_t width_of(const Tensor& t) { return dtype_bits(t.dtype()) / 8; }
inline const char* bytes_of(const Tensor& t) { return static_cast<const char*>(t.raw()); }
inline char* bytes_of(Tensor& t) { return static_cast<char*>(t.mutable_raw()); }

// Calls fn(integral_constant) with the width as a constant, so that memcpy becomes one move.
template <typename Fn>
void with_width(int64_t width, Fn&& fn) {
  switch (width) {
    case 1:
      return fn(std::integral_constant<size_t, 1>{});
    case 2:
      return fn(std::integral_constant<size_t, 2>{});
    case 4:
      return fn(std::integral_constant<size_t, 4>{});
    case 8:
      return fn(std::integral_constant<size_t, 8>{});
    case 16:
      return fn(std::integral_constant<size_t, 16>{});
    default:
      throw_internal(cat("elements of ", width, " bytes cannot be moved"));
  }
}

// to[offset 0] = from[offset 1] over the nest; strides count elements of `width` bytes.
void copy_elements(const LoopNest<2>& nest, void* to, const void* from, int64_t width);

// y[i, j, …] = x[first + i * strides[0] + j * strides[1] + …]; a stride may be 0 or negative.
Tensor strided(const Tensor& x, const Shape& shape, const Shape& strides, int64_t first = 0);

// y[…, i, …] = x[…, positions[i], …] along one axis; positions must be in range.
Tensor take(const Tensor& x, int64_t axis, std::span<const int64_t> positions);

// The same in memory, for any number of arrays [outer, length, inner] of elements of `width` bytes.
class Taking {
 public:
  Taking(std::vector<int64_t> positions, AxisView view, int64_t width);
  void run(const char* from, char* to) const;

 private:
  // Eight elements of four bytes that lie among eight neighbours: which of them are taken to where.
  struct Window {
    int64_t to, from;
    std::array<int32_t, 8> choice;
  };
  static std::vector<Window> windows(std::span<const int64_t> positions, int64_t length);
  static void take_windows(const Taking& taking, const char* from, char* to);

  std::vector<int64_t> positions_;
  AxisView view_;
  int64_t block_;
  std::vector<Window> windows_;  // of one row; none if there are none for some element
};

// A tensor of one value, repeated.
Tensor filled(const Tensor& value, const Shape& shape);

// Integers of an index input (int32 or int64); throws Error{kModel} for other types.
std::vector<int64_t> index_data(const Call& call, size_t i);
// The same for an input that must be one number, a scalar or a tensor of one element.
int64_t index_scalar(const Call& call, size_t i);
// index, or index + size when negative; throws Error{kModel} when outside [-size, size).
int64_t checked_index(int64_t index, int64_t size, const Call& call);
// Sums and products of dimensions; throw Error{kModel} on overflow.
int64_t checked_add(int64_t a, int64_t b, const Call& call);
int64_t checked_multiply(int64_t a, int64_t b, const Call& call);
// Throws Error{kModel} when a tensor of so many bytes would be refused.
void check_allocation(int64_t bytes);
// The element type of an attribute such as "to" or "dtype"; throws Error{kModel} when not known.
DType checked_dtype(int64_t value, const Call& call);

}  // namespace qtool
