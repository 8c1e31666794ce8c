// y = x · gain + shift by channel: one walk for all three gradients.
#include "exec/floats/kernels.hpp"
#include "exec/gradient/vjp.hpp"

namespace qtool::gradient {
namespace {

constexpr int64_t kLanes = 8;

// dx = dy · gain; returns Σ dy · x and Σ dy.
struct Sums {
  double product = 0, plain = 0;
};
QTOOL_CLONES Sums walk(const float* dy, const float* x, float gain, float* dx, int64_t count) {
  double products[kLanes] = {}, plain[kLanes] = {};
  const int64_t whole = count / kLanes * kLanes;
  for (int64_t i = 0; i < whole; i += kLanes) {
    for (int64_t k = 0; k < kLanes; ++k) {
      products[k] += static_cast<double>(dy[i + k]) * static_cast<double>(x[i + k]);
      plain[k] += static_cast<double>(dy[i + k]);
      dx[i + k] = dy[i + k] * gain;
    }
  }
  for (int64_t i = whole; i < count; ++i) {
    products[i - whole] += static_cast<double>(dy[i]) * static_cast<double>(x[i]);
    plain[i - whole] += static_cast<double>(dy[i]);
    dx[i] = dy[i] * gain;
  }
  Sums sums;
  for (int64_t k = 0; k < kLanes; ++k) {
    sums.product += products[k];
    sums.plain += plain[k];
  }
  return sums;
}

// Channels innermost.
QTOOL_CLONES void walk_row(const float* dy, const float* x, const float* gain, float* dx,
                           double* products, double* plain, int64_t channels) {
  for (int64_t c = 0; c < channels; ++c) {
    products[c] += static_cast<double>(dy[c]) * static_cast<double>(x[c]);
    plain[c] += static_cast<double>(dy[c]);
    dx[c] = dy[c] * gain[c];
  }
}

Tensor as_floats(const std::vector<double>& sums, const Shape& shape) {
  Tensor t = Tensor::uninitialized(DType::kFloat, shape);
  auto out = t.mutable_data<float>();
  for (size_t c = 0; c < sums.size(); ++c) out[c] = static_cast<float>(sums[c]);
  return t;
}

}  // namespace

Gradients channel_affine(const VjpCall& call) {
  const Tensor &dy = call.dy(), &x = call.inputs[0];
  const Shape& shape = x.shape();
  const int64_t axis = normalize_axis(attr_int(call.node, "axis", 1), x.rank(), call.node);
  const auto channels = static_cast<size_t>(shape[static_cast<size_t>(axis)]);
  const int64_t inner = element_count({shape.begin() + axis + 1, shape.end()});
  std::vector<float> gain(channels, 1.f);
  if (call.inputs[1].defined()) {
    const auto given = call.inputs[1].data<float>();
    gain.assign(given.begin(), given.end());
  }
  std::vector<double> products(channels, 0.0), plain(channels, 0.0);
  Tensor dx = Tensor::uninitialized(DType::kFloat, shape);
  const float *d = dy.data<float>().data(), *v = x.data<float>().data();
  float* out = dx.mutable_data<float>().data();
  for (int64_t at = 0; at < x.size();) {
    if (inner == 1) {
      walk_row(d + at, v + at, gain.data(), out + at, products.data(), plain.data(),
               static_cast<int64_t>(channels));
      at += static_cast<int64_t>(channels);
      continue;
    }
    for (size_t c = 0; c < channels; ++c, at += inner) {
      const Sums sums = walk(d + at, v + at, gain[c], out + at, inner);
      products[c] += sums.product;
      plain[c] += sums.plain;
    }
  }
  Gradients found(call.wanted.size());
  found[0] = std::move(dx);
  if (call.wanted.size() > 1 && call.wanted[1])
    found[1] = as_floats(products, call.inputs[1].shape());
  if (call.wanted.size() > 2 && call.wanted[2]) found[2] = as_floats(plain, call.shapes[2]);
  return found;
}

}  // namespace qtool::gradient
