// Reading and writing runs of elements of any type: what number(), set_number() and cast() stand on.
#pragma once

#include <cstdint>

#include "qtool/tensor.hpp"

namespace qtool {

// Elements of one type at an address; packed types count elements, not bytes.
struct ConstElements {
  DType type;
  const void* bytes;
};
struct Elements {
  DType type;
  void* bytes;
};

// Elements [begin, begin + count) of a numeric type or bool, exact but for 64-bit integers, which
// round. Throws Error{kModel, QT-E320} for strings and complex numbers.
void read_doubles(ConstElements in, int64_t begin, int64_t count, double* out);
// The same for integers and bool; uint64 beyond int64 wraps.
void read_int64s(ConstElements in, int64_t begin, int64_t count, int64_t* out);
// One element: integers saturate and round half to even, NaN becomes 0.
void write_number(Elements out, int64_t i, double value);

// Truncates; out of range saturates, NaN becomes 0.
int64_t saturate_to_int64(double value);

// Copies one element between arrays of the same type, packed or not.
void copy_element(ConstElements in, int64_t from, Elements out, int64_t to);

// The code at `i` of a type of 2 or 4 bits, sign-extended when the type is signed.
int packed_code(ConstElements in, int64_t i);
void set_packed_code(Elements out, int64_t i, int code);
// Runs of codes with one byte each; unsigned codes fit an int8 as well.
void unpack_run(ConstElements in, int64_t begin, int64_t count, int8_t* codes);
void pack_run(const int8_t* codes, int64_t begin, int64_t count, Elements out);
inline bool is_packed(DType type) { return dtype_bits(type) == 4 || dtype_bits(type) == 2; }

}  // namespace qtool
