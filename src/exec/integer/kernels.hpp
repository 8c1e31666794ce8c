// Kernels on 8-bit codes that oneDNN has not with ONNX's rounding and zero points; the makers that
// exec/list.cpp names.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>

#include "exec/kernel.hpp"

namespace qtool::integer {

std::unique_ptr<Kernel> make_quantize(const KernelRequest& request);
std::unique_ptr<Kernel> make_dequantize(const KernelRequest& request);
std::unique_ptr<Kernel> make_add(const KernelRequest& request);
std::unique_ptr<Kernel> make_broadcast_add(const KernelRequest& request);
std::unique_ptr<Kernel> make_mul(const KernelRequest& request);
std::unique_ptr<Kernel> make_concat(const KernelRequest& request);
std::unique_ptr<Kernel> make_global_average_pool(const KernelRequest& request);
std::unique_ptr<Kernel> make_lookup(const KernelRequest& request);
std::unique_ptr<Kernel> make_conv_sums(const KernelRequest& request);
std::unique_ptr<Kernel> make_product_sums(const KernelRequest& request);

// Per-tensor scale and zero point from constant inputs i and i + 1.
struct Affine {
  float scale = 1;
  int32_t zero_point = 0;
};
// The offset that add() wants, its products rounded as onnxruntime rounds them.
inline float sum_offset(const Affine& a, const Affine& b, const Affine& y) {
  const float of_b = b.scale / y.scale * static_cast<float>(b.zero_point);
  return static_cast<float>(y.zero_point) -
         std::fma(a.scale / y.scale, static_cast<float>(a.zero_point), of_b);
}
std::optional<Affine> affine(const KernelRequest& request, size_t i);
inline bool is_eight_bit(DType type) { return type == DType::kUint8 || type == DType::kInt8; }
inline int32_t lowest_code(DType type) { return type == DType::kUint8 ? 0 : -128; }
inline int32_t highest_code(DType type) { return type == DType::kUint8 ? 255 : 127; }

}  // namespace qtool::integer
