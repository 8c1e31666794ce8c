// The .npy format (numpy.lib.format, versions 1 to 3).
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "qtool/data.hpp"

namespace qtool::data {

// Longest header that is read; numpy itself stops at 10,000 bytes.
inline constexpr size_t kMaxNpyHeader = 64 << 10;

struct NpyHeader {
  std::string descr;                // "<f4"
  DType dtype = DType::kUndefined;  // kUndefined: text, dates, complex, records: no tensor
  bool swapped = false;             // bytes of an element are big endian
  bool fortran_order = false;
  Shape shape;
  int64_t data_bytes = 0;  // 0 when dtype is undefined
  size_t data_offset = 0;  // where the elements begin
};

// Reads the header from the first bytes of a file. Error{kData} when it is malformed, not complete,
// announces pickled objects, or its shape overflows.
NpyHeader parse_npy_header(std::string_view bytes, const std::string& origin);
// Elements in native, C order. With an owner they stay where they are when the format allows it.
Tensor npy_tensor(const NpyHeader& header, std::string_view elements,
                  std::shared_ptr<const void> owner, const std::string& origin);
// The header of a C-order little-endian array, padded to 64 bytes. Error{kInternal} for types that
// numpy lacks.
std::string npy_header_text(DType type, const Shape& shape);

}  // namespace qtool::data
