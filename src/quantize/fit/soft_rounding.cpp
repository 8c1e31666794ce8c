#include "quantize/fit/soft_rounding.hpp"

#include <algorithm>

namespace qtool::qdq {
namespace {

constexpr float kStart = 0.1f;    // distance of h from the start's code
constexpr float kStretch = 1.2f;  // of the sigmoid over [0, 1], as published
constexpr double kRegularizer = 0.3;

float sigmoid(float v) { return 1 / (1 + std::exp(-v)); }
float stretched(float s) { return kStretch * s - (kStretch - 1) / 2; }

}  // namespace

SoftRounding::SoftRounding(const LayerResult& start, int64_t channel_axis,
                           std::span<const double> slope)
    : start_(start.weight),
      scale_(slope.size()),
      base_(slope.size()),
      v_(slope.size()),
      adam_(slope.size()) {
  const float part = (kStart + (kStretch - 1) / 2) / kStretch;
  const float away = std::log((1 - part) / part);
  const int lowest = -(1 << (start.bits - 1)), highest = (1 << (start.bits - 1)) - 1;
  const auto codes = start_.codes.data<int8_t>();
  const RowLayout layout = row_layout(start_.codes.shape(), channel_axis);
  layout.for_each([&](int64_t r, int64_t c, int64_t at) {
    const auto i = static_cast<size_t>(at);
    scale_[i] = start_.scales[start_.scale_index(r, c, layout.columns())];
    const int code = codes[i];
    const int base = std::clamp(slope[i] < 0 ? code : code - 1, lowest, highest - 1);
    base_[i] = static_cast<float>(base);
    v_[i] = code > base ? away : -away;
  });
}

float SoftRounding::share(size_t i) const {
  return hard_ ? (v_[i] > 0 ? 1.f : 0.f) : std::clamp(stretched(sigmoid(v_[i])), 0.f, 1.f);
}

void SoftRounding::step(std::span<const double> gradient, double rate, double power) {
  if (hard_) return;
  double sum = 0;
  for (size_t i = 0; i < gradient.size(); ++i) sum += std::fabs(gradient[i] * scale_[i]);
  usual_ += (sum / static_cast<double>(gradient.size()) - usual_) / static_cast<double>(++seen_);
  const auto by_v = [&](size_t i) -> double {
    const float s = sigmoid(v_[i]), raw = stretched(s);
    if (raw <= 0 || raw >= 1) return 0;  // decided
    double g = gradient[i] * scale_[i];
    if (power > 0) {
      const double side = 2 * static_cast<double>(raw) - 1;
      g -= kRegularizer * usual_ * 2 * power *
           std::copysign(std::pow(std::fabs(side), power - 1), side);
    }
    return g * kStretch * s * (1 - s);
  };
  adam_.step(v_, rate, by_v, [](size_t) { return 1.0; });
}

void SoftRounding::harden() { hard_ = true; }

Tensor SoftRounding::weights() const {
  Tensor real = Tensor::uninitialized(DType::kFloat, start_.codes.shape());
  auto w = real.mutable_data<float>();
  for (size_t i = 0; i < w.size(); ++i) w[i] = scale_[i] * (base_[i] + share(i));
  return real;
}

Tensor SoftRounding::codes() const {
  Tensor codes = Tensor::uninitialized(DType::kInt8, start_.codes.shape());
  auto out = codes.mutable_data<int8_t>();
  for (size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<int8_t>(base_[i] + (v_[i] > 0 ? 1.f : 0.f));
  return codes;
}

}  // namespace qtool::qdq
