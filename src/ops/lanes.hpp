// Vectors of elements, for operators whose loops the compiler does not see through.
#pragma once

#include <cstdint>

// Compiled for the baseline, AVX2 and AVX-512. All give the same bits: no contraction, sums in lanes of their own.
#define QTOOL_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
// Helpers of such functions are compiled as part of them.
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
