// Symmetric systems of one layer's size, in single precision.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace qtool::qdq {

// Lower Cholesky factor, row-major [n][n], of the symmetric matrix `a` with `ridge` added to its
// diagonal. Throws Error{kInternal} when that is not positive definite.
std::vector<float> cholesky(std::span<const float> a, int64_t n, float ridge, int threads = 1);

// rows [count][n] · m [n][n].
std::vector<float> multiply_rows(std::span<const float> rows, std::span<const float> m, int64_t n);

// rows [count][n] become rows · (L Lᵀ)⁻¹.
void solve_rows(std::span<float> rows, std::span<const float> factor, int64_t n);

}  // namespace qtool::qdq
