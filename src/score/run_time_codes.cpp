#include "score/run_time_codes.hpp"

#include <algorithm>
#include <cmath>

#include "qtool/format.hpp"

namespace qtool::scoring {
namespace {

Tensor by_tensor(const Tensor& x) {
  float low = 0, high = 0;
  for (const float v : x.data<float>()) {
    low = std::min(low, v);
    high = std::max(high, v);
  }
  return fake_quantize(x, affine_params(low, high, {}));
}

Tensor by_row(const Tensor& x) {
  constexpr float kLargestCode = 127, kLeast = 1e-30f;
  Tensor codes = x;
  const auto values = codes.mutable_data<float>();
  const auto length = static_cast<size_t>(x.rank() > 0 ? std::max<int64_t>(x.dim(-1), 1) : 1);
  for (size_t at = 0; at < values.size(); at += length) {
    const auto row = values.subspan(at, length);
    float largest = kLeast;
    for (const float v : row) largest = std::max(largest, std::fabs(v));
    const float scale = largest / kLargestCode;
    for (float& v : row) v = std::nearbyint(v / scale) * scale;
  }
  return codes;
}

}  // namespace

Tensor run_time_codes(const Tensor& x, ActivationMode mode) {
  return mode == ActivationMode::kToken ? by_row(x) : by_tensor(x);
}

}  // namespace qtool::scoring
