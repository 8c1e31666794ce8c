// Plain matrix products, for the layers above that need them fast.
#include <dnnl.h>
#include <omp.h>

#include "qtool/exec.hpp"

namespace qtool {

void add_product(const float* a, int64_t a_stride, const float* b, int64_t b_stride, float* c,
                 int64_t c_stride, int64_t m, int64_t n, int64_t k) {
  // One thread: how a sum is cut must not depend on the machine.
  omp_set_num_threads(1);
  if (dnnl_sgemm('T', 'N', m, n, k, 1.f, a, a_stride, b, b_stride, 1.f, c, c_stride) !=
      dnnl_success)
    throw_internal(cat("oneDNN refuses a matrix product of ", m, "x", n, "x", k));
}

}  // namespace qtool
