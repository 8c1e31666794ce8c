// Memory of tensors: 64-byte aligned, large blocks recycled.
#pragma once

#include <cstdint>
#include <memory>

#include "qtool/tensor.hpp"

namespace qtool {

// At least `bytes` bytes (one at least); throws Error{kInternal} when the system has none left.
std::shared_ptr<void> allocate_bytes(int64_t bytes, Fill fill);

// Gives back the pages of a mapped file that touch [address, address + bytes).
void drop_mapped_pages(const void* address, size_t bytes);

// Bytes that wait for reuse, for tests.
int64_t recyclable_bytes();

}  // namespace qtool
