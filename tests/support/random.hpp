// Random tensors for tests.
#pragma once

#include "qtool/tensor.hpp"

namespace qtool::test {

// Normal numbers, the same for the same seed.
inline Tensor normal(Shape shape, uint64_t seed, double scale = 1) {
  Rng rng(seed);
  Tensor t(DType::kFloat, std::move(shape));
  for (float& v : t.mutable_data<float>()) v = static_cast<float>(scale * rng.normal());
  return t;
}

}  // namespace qtool::test
