// Vectors of elements, for operators whose loops the compiler does not see through.
#pragma once

#include <cstdint>

#include "base/clones.hpp"

// Helpers of functions with clones are compiled as part of them.
#define QTOOL_ALWAYS __attribute__((always_inline))
#define QTOOL_INLINE inline QTOOL_ALWAYS

namespace qtool {

template <typename T>
struct LanesOf {
  typedef T Type __attribute__((vector_size(64)));
};
template <typename T>
using Lanes = typename LanesOf<T>::Type;

template <typename T>
inline constexpr auto kLanes = static_cast<int64_t>(64 / sizeof(T));

}  // namespace qtool
