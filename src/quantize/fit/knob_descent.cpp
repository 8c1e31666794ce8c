#include "quantize/fit/knob_descent.hpp"

#include <algorithm>

namespace qtool::qdq {
namespace {

using Kind = TunableNetwork::Knob::Kind;

constexpr float kLeastScale = 0.25f;  // of where it starts

}  // namespace

std::vector<double> summed(const ChunkGradients& chunks, const std::string& name) {
  std::vector<double> sum;
  for (const auto& chunk : chunks) {
    const auto it = chunk.find(name);
    if (it == chunk.end()) continue;
    const auto g = it->second.data<float>();
    sum.resize(g.size(), 0.0);
    for (size_t i = 0; i < g.size(); ++i) sum[i] += g[i];
  }
  return sum;
}

KnobDescent::KnobDescent(const Knob& knob, const Tensor& raw)
    : knob_(knob),
      value_(knob.start),
      unit_(static_cast<size_t>(knob.start.size()), 1.0),
      adam_(unit_.size()) {
  if (knob.kind == Kind::kScale) unit_[0] = knob.start.data<float>()[0];
  if (knob.kind != Kind::kShift) return;
  const int64_t channels = knob.start.dim(0);
  const int64_t inner =
      knob.dense ? 1 : element_count({raw.shape().begin() + 2, raw.shape().end()});
  std::vector<double> squares(unit_.size(), 0.0);
  const auto y = raw.data<float>();
  for (size_t i = 0; i < y.size(); ++i)
    squares[i / static_cast<size_t>(inner) % static_cast<size_t>(channels)] +=
        static_cast<double>(y[i]) * y[i];
  const double each = static_cast<double>(raw.size()) / static_cast<double>(channels);
  for (size_t c = 0; c < unit_.size(); ++c) unit_[c] = std::sqrt(squares[c] / each) + 1e-12;
}

void KnobDescent::step(double rate, const ChunkGradients& gradients) {
  const std::vector<double> sum = summed(gradients, knob_.name);
  if (sum.empty()) return;
  const auto count = static_cast<double>(gradients.size());
  auto value = value_.mutable_data<float>();
  adam_.step(
      value, rate, [&](size_t i) { return sum[i] * (unit_[i] / count); },
      [&](size_t i) { return unit_[i]; });
  if (knob_.kind == Kind::kShift) return;
  // Scales stay scales: positive, and large enough for a bias in int32.
  const auto start = knob_.start.data<float>();
  for (size_t i = 0; i < value.size(); ++i) value[i] = std::max(value[i], kLeastScale * start[i]);
}

}  // namespace qtool::qdq
