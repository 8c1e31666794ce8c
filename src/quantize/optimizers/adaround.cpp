// AdaRound (arXiv 2004.10568): which of its two neighbouring codes a weight takes is learned, by a share h in [0, 1] that a
// growing regulariser drives to 0 or 1. The layer's output error is a quadratic form of the Gram matrix, so that every
// step sees all sampled positions. From the solution of cd; rows whose error does not fall stay.
#include "qtool/exec.hpp"
#include "quantize/optimizers/gram_rows.hpp"

namespace qtool {
namespace {

using qdq::RowCodes, qdq::RowsProblem;

constexpr int kSteps = 400, kDescents = 10;
constexpr float kRate = 0.05f, kRegularizer = 0.1f;
constexpr float kFirstPower = 20, kLastPower = 2;  // of the regulariser, sharp to soft
constexpr float kFree = 0.2f;                      // share of the steps without it
constexpr float kStart = 0.1f;                     // distance of h from the start's code
constexpr float kStretch = 1.2f;                   // of the sigmoid over [0, 1], as published

float sigmoid(float v) { return 1 / (1 + std::exp(-v)); }
float share(float v) { return std::clamp(kStretch * sigmoid(v) - (kStretch - 1) / 2, 0.f, 1.f); }

class Learned {
 public:
  Learned(const RowsProblem& problem, const std::vector<RowCodes>& rows)
      : p_(problem), rows_(rows), n_(problem.columns()), base_(rows.size() * n_), v_(base_.size()) {
    const float part = (kStart + (kStretch - 1) / 2) / kStretch;
    const float start = std::log((1 - part) / part);
    for (size_t r = 0; r < rows.size(); ++r) {
      const qdq::RowGrid& grid = p_.grids[r];
      for (size_t j = 0; j < n_; ++j) {
        const int code = static_cast<int>(rows[r].codes[j]);
        const bool up = p_.target(r)[j] > static_cast<float>(code) * grid.scale(j, rows[r].scales);
        const int base = std::clamp(up ? code : code - 1, grid.lowest, grid.highest - 1);
        base_[r * n_ + j] = static_cast<float>(base);
        v_[r * n_ + j] = code > base ? start : -start;
      }
    }
  }

  std::vector<RowCodes> run() {
    std::vector<float> off(v_.size()), first(v_.size(), 0.f), second(v_.size(), 0.f);
    for (int step = 0; step < kSteps; ++step) {
      for (size_t r = 0; r < rows_.size(); ++r)
        for (size_t j = 0; j < n_; ++j)
          off[j * rows_.size() + r] =
              (base_[r * n_ + j] + share(v_[r * n_ + j])) * scale(r, j) - p_.target(r)[j];
      descend(step, gradient(off), first, second);
    }
    std::vector<RowCodes> hard = rows_;
    for (size_t r = 0; r < rows_.size(); ++r)
      for (size_t j = 0; j < n_; ++j)
        hard[r].codes[j] = base_[r * n_ + j] + (v_[r * n_ + j] > 0 ? 1.f : 0.f);
    return hard;
  }

 private:
  float scale(size_t r, size_t j) const { return p_.grids[r].scale(j, rows_[r].scales); }

  // Of ½ (ŵ − w*) H (ŵ − w*)ᵀ by ŵ, [rows][columns].
  std::vector<float> gradient(const std::vector<float>& off) const {
    std::vector<float> g(v_.size());
    for (size_t r = 0; r < rows_.size(); ++r)
      for (size_t j = 0; j < n_; ++j) g[r * n_ + j] = p_.ridge * off[j * rows_.size() + r];
    const auto k = static_cast<int64_t>(n_), m = static_cast<int64_t>(rows_.size());
    add_product(off.data(), m, p_.gram.data(), k, g.data(), k, m, k, k);
    return g;
  }

  // Adam. Errors are told in steps of the row and in H's mean diagonal: one regulariser suits all layers.
  void descend(int step, const std::vector<float>& gradient, std::vector<float>& first,
               std::vector<float>& second) {
    const float done = static_cast<float>(step) / kSteps;
    const float cooled = std::max(0.f, (done - kFree) / (1 - kFree));
    const float power = kLastPower + (kFirstPower - kLastPower) * (1 - cooled);
    const float correct1 = 1 - std::pow(0.9f, static_cast<float>(step + 1)),
                correct2 = 1 - std::pow(0.999f, static_cast<float>(step + 1));
    double diagonal = 0;
    for (size_t j = 0; j < n_; ++j) diagonal += p_.gram[j * n_ + j];
    const float unit = std::max(static_cast<float>(diagonal / static_cast<double>(n_)), 1e-20f);
    for (size_t r = 0; r < rows_.size(); ++r) {
      for (size_t j = 0; j < n_; ++j) {
        const size_t i = r * n_ + j;
        const float s = sigmoid(v_[i]), raw = kStretch * s - (kStretch - 1) / 2;
        if (raw <= 0 || raw >= 1) continue;  // decided
        float g = gradient[i] / (scale(r, j) * unit);
        if (done >= kFree) {
          const float side = 2 * raw - 1;
          g -= kRegularizer * 2 * power * std::copysign(std::pow(std::fabs(side), power - 1), side);
        }
        g *= kStretch * s * (1 - s);
        first[i] = 0.9f * first[i] + 0.1f * g;
        second[i] = 0.999f * second[i] + 0.001f * g * g;
        v_[i] -= kRate * (first[i] / correct1) / (std::sqrt(second[i] / correct2) + 1e-8f);
      }
    }
  }

  const RowsProblem& p_;
  const std::vector<RowCodes>& rows_;
  size_t n_;
  std::vector<float> base_, v_;  // [rows][columns]: the lower neighbour, and what h is the share of
};

void learn_rounding(const RowsProblem& p, std::vector<RowCodes>& rows) {
  qdq::coordinate_descent(p, kDescents, rows);
  // Levels are no neighbours, and codes of 8 bits may depend on each other.
  for (const qdq::RowGrid& grid : p.grids)
    if (grid.codebook || grid.exact_pairs) return;
  std::vector<RowCodes> learned = Learned(p, rows).run();
  qdq::coordinate_descent(p, kDescents, learned);
  const std::vector<double> before = qdq::output_errors(p, rows),
                            after = qdq::output_errors(p, learned);
  for (size_t r = 0; r < rows.size(); ++r)
    if (after[r] < before[r]) rows[r] = std::move(learned[r]);
}

}  // namespace

extern const OptimizerDef kAdaround = {
    .name = "adaround",
    .summary = "cd, then which neighbour each weight takes is learned (arXiv 2004.10568)",
    .optimize =
        [](const OptimizerInput& input) { return qdq::optimize_rows(input, learn_rounding); },
    .needs_moments = true,
    .after = "cd"};

}  // namespace qtool
