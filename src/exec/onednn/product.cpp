// Plain matrix products, for the layers above that need them fast.
#include <dnnl.h>
#include <omp.h>

#include "qtool/exec.hpp"

namespace qtool {

namespace {

struct Factor {
  char transposed;
  const float* data;
  int64_t stride;
};

void product(const Factor& a, const Factor& b, float factor, float* c, int64_t c_stride, int64_t m,
             int64_t n, int64_t k) {
  if (m == 0 || n == 0 || k == 0) return;
  // One thread: how a sum is cut must not depend on the machine.
  omp_set_num_threads(1);
  if (dnnl_sgemm(a.transposed, b.transposed, m, n, k, factor, a.data, a.stride, b.data, b.stride,
                 1.f, c, c_stride) != dnnl_success)
    throw_internal(cat("oneDNN refuses a matrix product of ", m, "x", n, "x", k));
}

}  // namespace

void add_product(const float* a, int64_t a_stride, const float* b, int64_t b_stride, float* c,
                 int64_t c_stride, int64_t m, int64_t n, int64_t k) {
  product({'T', a, a_stride}, {'N', b, b_stride}, 1, c, c_stride, m, n, k);
}

void subtract_row_products(const float* a, int64_t a_stride, const float* b, int64_t b_stride,
                           float* c, int64_t c_stride, int64_t m, int64_t n, int64_t k) {
  product({'N', a, a_stride}, {'T', b, b_stride}, -1, c, c_stride, m, n, k);
}

}  // namespace qtool
