#include "exec/integer/loops.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <cmath>

#include "base/clones.hpp"
#include "exec/parallel_blocks.hpp"

namespace qtool::integer {
namespace {

constexpr int64_t kBlock = 1 << 13;  // elements that are worth a thread

template <typename Code>
inline __attribute__((always_inline)) void quantize_codes(const float* x, Code* codes,
                                                          int64_t count, float scale, CodeRange r) {
  const float below = static_cast<float>(r.lowest - r.zero_point),
              above = static_cast<float>(r.highest - r.zero_point);
  for (int64_t i = 0; i < count; ++i) {
    float v = x[i] / scale;
    v = v > below ? v : below;
    v = v < above ? v : above;
    codes[i] = static_cast<Code>(static_cast<int32_t>(std::nearbyint(v)) + r.zero_point);
  }
}

template <typename Code>
inline __attribute__((always_inline)) void dequantize_codes(const Code* codes, float* x,
                                                            int64_t count, float scale,
                                                            int32_t zero_point) {
  for (int64_t i = 0; i < count; ++i)
    x[i] = static_cast<float>(static_cast<int32_t>(codes[i]) - zero_point) * scale;
}

template <typename Code>
inline __attribute__((always_inline)) void add_codes(const Code* a, const Code* b, Code* y,
                                                     int64_t count, float scale_a, float scale_b,
                                                     float offset, CodeRange r) {
  const float below = static_cast<float>(r.lowest), above = static_cast<float>(r.highest);
  for (int64_t i = 0; i < count; ++i) {
    const auto x = static_cast<float>(static_cast<int32_t>(a[i])),
               z = static_cast<float>(static_cast<int32_t>(b[i]));
    float v = __builtin_fmaf(x, scale_a, __builtin_fmaf(z, scale_b, offset));
    v = v > below ? v : below;
    v = v < above ? v : above;
    y[i] = static_cast<Code>(static_cast<int32_t>(std::nearbyint(v)));
  }
}

template <typename Code>
inline __attribute__((always_inline)) void multiply_codes(const Code* a, const Code* b, Code* y,
                                                          int64_t count, ProductScale p,
                                                          CodeRange r) {
  const float below = static_cast<float>(r.lowest - r.zero_point),
              above = static_cast<float>(r.highest - r.zero_point);
  for (int64_t i = 0; i < count; ++i) {
    const int32_t product =
        (static_cast<int32_t>(a[i]) - p.zero_a) * (static_cast<int32_t>(b[i]) - p.zero_b);
    float v = static_cast<float>(product) * p.scale;
    v = v > below ? v : below;
    v = v < above ? v : above;
    y[i] = static_cast<Code>(static_cast<int32_t>(std::nearbyint(v)) + r.zero_point);
  }
}

template <typename Code>
inline __attribute__((always_inline)) void rescale_codes(const Code* x, Code* y, int64_t count,
                                                         float scale, float offset, CodeRange r) {
  const float below = static_cast<float>(r.lowest), above = static_cast<float>(r.highest);
  for (int64_t i = 0; i < count; ++i) {
    float v = static_cast<float>(static_cast<int32_t>(x[i])) * scale + offset;
    v = v > below ? v : below;
    v = v < above ? v : above;
    y[i] = static_cast<Code>(static_cast<int32_t>(std::nearbyint(v)));
  }
}

QTOOL_AVX2_CLONES void multiply_u8(const uint8_t* a, const uint8_t* b, uint8_t* y, int64_t n,
                                   ProductScale p, CodeRange r) {
  multiply_codes(a, b, y, n, p, r);
}
QTOOL_AVX2_CLONES void multiply_s8(const int8_t* a, const int8_t* b, int8_t* y, int64_t n,
                                   ProductScale p, CodeRange r) {
  multiply_codes(a, b, y, n, p, r);
}
QTOOL_AVX2_CLONES void rescale_u8(const uint8_t* x, uint8_t* y, int64_t n, float s, float o,
                                  CodeRange r) {
  rescale_codes(x, y, n, s, o, r);
}
QTOOL_AVX2_CLONES void rescale_s8(const int8_t* x, int8_t* y, int64_t n, float s, float o,
                                  CodeRange r) {
  rescale_codes(x, y, n, s, o, r);
}
QTOOL_AVX2_CLONES void quantize_u8(const float* x, uint8_t* y, int64_t n, float s, CodeRange r) {
  quantize_codes(x, y, n, s, r);
}
QTOOL_AVX2_CLONES void quantize_s8(const float* x, int8_t* y, int64_t n, float s, CodeRange r) {
  quantize_codes(x, y, n, s, r);
}
QTOOL_AVX2_CLONES void dequantize_u8(const uint8_t* x, float* y, int64_t n, float s, int32_t z) {
  dequantize_codes(x, y, n, s, z);
}
QTOOL_AVX2_CLONES void dequantize_s8(const int8_t* x, float* y, int64_t n, float s, int32_t z) {
  dequantize_codes(x, y, n, s, z);
}
#if defined(__x86_64__)
// The first of `count` sums, 32 at a time, as the loop above makes them; returns how many. The compiler's own
// vectors spend half of the time on taking codes apart and together again.
__attribute__((target("avx2,fma"))) int64_t add_u8_avx2(const uint8_t* a, const uint8_t* b,
                                                        uint8_t* y, int64_t count, float scale_a,
                                                        float scale_b, float offset, CodeRange r) {
  const __m256 sa = _mm256_set1_ps(scale_a), sb = _mm256_set1_ps(scale_b),
               o = _mm256_set1_ps(offset), below = _mm256_set1_ps(static_cast<float>(r.lowest)),
               above = _mm256_set1_ps(static_cast<float>(r.highest));
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);  // packing interleaves halves
  int64_t i = 0;
  for (; i + 32 <= count; i += 32) {
    __m256i sums[4];
    for (int k = 0; k < 4; ++k) {
      const __m128i left = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(a + i + 8 * k)),
                    right = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(b + i + 8 * k));
      const __m256 x = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(left)),
                   z = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(right));
      const __m256 v = _mm256_fmadd_ps(x, sa, _mm256_fmadd_ps(z, sb, o));
      sums[k] = _mm256_cvtps_epi32(_mm256_min_ps(_mm256_max_ps(v, below), above));
    }
    const __m256i bytes = _mm256_packus_epi16(_mm256_packs_epi32(sums[0], sums[1]),
                                              _mm256_packs_epi32(sums[2], sums[3]));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(y + i),
                        _mm256_permutevar8x32_epi32(bytes, order));
  }
  return i;
}
#endif

QTOOL_AVX2_CLONES void add_rest_u8(const uint8_t* a, const uint8_t* b, uint8_t* y, int64_t n,
                                   float sa, float sb, float o, CodeRange r) {
  add_codes(a, b, y, n, sa, sb, o, r);
}
void add_u8(const uint8_t* a, const uint8_t* b, uint8_t* y, int64_t count, float scale_a,
            float scale_b, float offset, CodeRange range) {
  int64_t done = 0;
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    done = add_u8_avx2(a, b, y, count, scale_a, scale_b, offset, range);
#endif
  add_rest_u8(a + done, b + done, y + done, count - done, scale_a, scale_b, offset, range);
}
QTOOL_AVX2_CLONES void add_s8(const int8_t* a, const int8_t* b, int8_t* y, int64_t n, float sa,
                              float sb, float o, CodeRange r) {
  add_codes(a, b, y, n, sa, sb, o, r);
}

}  // namespace

void quantize(const float* x, void* codes, DType type, int64_t count, float scale,
              CodeRange range) {
  parallel_blocks(count, kBlock, [&](int64_t begin, int64_t n) {
    if (type == DType::kUint8)
      quantize_u8(x + begin, static_cast<uint8_t*>(codes) + begin, n, scale, range);
    else
      quantize_s8(x + begin, static_cast<int8_t*>(codes) + begin, n, scale, range);
  });
}

void dequantize(const void* codes, DType type, float* x, int64_t count, float scale,
                int32_t zero_point) {
  parallel_blocks(count, kBlock, [&](int64_t begin, int64_t n) {
    if (type == DType::kUint8)
      dequantize_u8(static_cast<const uint8_t*>(codes) + begin, x + begin, n, scale, zero_point);
    else
      dequantize_s8(static_cast<const int8_t*>(codes) + begin, x + begin, n, scale, zero_point);
  });
}

void add(const void* a, const void* b, void* y, DType type, int64_t count, float scale_a,
         float scale_b, float offset, CodeRange range) {
  parallel_blocks(count, kBlock, [&](int64_t begin, int64_t n) {
    if (type == DType::kUint8) {
      add_u8(static_cast<const uint8_t*>(a) + begin, static_cast<const uint8_t*>(b) + begin,
             static_cast<uint8_t*>(y) + begin, n, scale_a, scale_b, offset, range);
    } else {
      add_s8(static_cast<const int8_t*>(a) + begin, static_cast<const int8_t*>(b) + begin,
             static_cast<int8_t*>(y) + begin, n, scale_a, scale_b, offset, range);
    }
  });
}

void multiply(const void* a, const void* b, void* y, DType type, int64_t count, ProductScale p,
              CodeRange range) {
  parallel_blocks(count, kBlock, [&](int64_t begin, int64_t n) {
    if (type == DType::kUint8) {
      multiply_u8(static_cast<const uint8_t*>(a) + begin, static_cast<const uint8_t*>(b) + begin,
                  static_cast<uint8_t*>(y) + begin, n, p, range);
    } else {
      multiply_s8(static_cast<const int8_t*>(a) + begin, static_cast<const int8_t*>(b) + begin,
                  static_cast<int8_t*>(y) + begin, n, p, range);
    }
  });
}

void rescale(const void* x, void* y, DType type, int64_t count, float scale, float offset,
             CodeRange range) {
  parallel_blocks(count, kBlock, [&](int64_t begin, int64_t n) {
    if (type == DType::kUint8) {
      rescale_u8(static_cast<const uint8_t*>(x) + begin, static_cast<uint8_t*>(y) + begin, n, scale,
                 offset, range);
    } else {
      rescale_s8(static_cast<const int8_t*>(x) + begin, static_cast<int8_t*>(y) + begin, n, scale,
                 offset, range);
    }
  });
}

void lookup(const uint8_t* x, uint8_t* y, int64_t count, const uint8_t* table) {
  parallel_blocks(count, kBlock, [&](int64_t begin, int64_t n) {
    for (int64_t i = begin; i < begin + n; ++i) y[i] = table[x[i]];
  });
}

}  // namespace qtool::integer
