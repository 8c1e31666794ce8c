#include <cmath>

#include "quantize/internal.hpp"

namespace qtool::qdq {
namespace {

// Steps of a power of two, as runtimes expect behind Softmax (1/256), Sigmoid and Tanh (2/256).
QParams fixed_params(std::pair<double, double> range, const QuantSpec& spec) {
  const double steps = std::exp2(spec.bits);
  const auto [lowest, highest] = code_range(spec);
  QParams p;
  p.storage = container_of(spec);
  p.scale = {static_cast<float>((range.second - range.first) / steps)};
  // The range's lower end is the lowest code: 0 of u8 for [0, 1], 128 for [-1, 1]; s8 −128 and 0.
  p.zero_point = {lowest + static_cast<int32_t>(-range.first / p.scale[0])};
  p.code_min = {lowest};
  p.code_max = {highest};
  return p;
}

// Qm.f: the scale is the power of two nearest to the range's own, and 0 lies at the lowest code or in
// the middle, so that no product with a zero point is left beside shifts.
QParams shift_params(const Range& range, const QuantSpec& spec) {
  const bool both = range.lo < 0;
  const double most = std::max(-range.lo, range.hi);
  QuantSpec with_sign = spec;
  with_sign.symmetric = both && spec.symmetric;
  QParams p = affine_params(both ? -most : 0.0, both ? most : range.hi, with_sign);
  if (!both && spec.symmetric) p = affine_params(0.0, range.hi, spec);
  p.scale = {static_cast<float>(std::exp2(std::nearbyint(std::log2(p.scale[0]))))};
  if (both && !spec.symmetric) p.zero_point = {(p.code_min[0] + p.code_max[0] + 1) / 2};
  return p;
}

QParams params_of(const ActivationSite& site, const QuantPlan& plan, int bits,
                  const CalibrationTable& table) {
  const ValueStats& stats = table.at(site.name);
  QuantSpec spec;
  spec.bits = bits;
  spec.symmetric = plan.signed_activations;
  spec.signed_codes = plan.signed_activations;
  if (site.fixed_range) return fixed_params(*site.fixed_range, spec);
  const Range range =
      site.sensitive
          ? find_range(plan.range_method)
                .choose(stats.clamped(site.sensitive->first, site.sensitive->second), spec)
          : find_range(plan.range_method).choose(stats, spec);
  return plan.power_of_two_scales ? shift_params(range, spec)
                                  : affine_params(range.lo, range.hi, spec);
}

}  // namespace

ActivationParams activation_params(const Sites& sites, const QuantPlan& plan,
                                   const CalibrationTable& table) {
  ActivationParams params;
  for (const ActivationSite& site : sites.activations) {
    const int bits = plan.activation_bits.at(site.name);
    if (bits == kFloatBits) continue;
    const bool same =
        !site.shares_with.empty() && plan.activation_bits.at(site.shares_with) == bits;
    params[site.name] = same ? params.at(site.shares_with) : params_of(site, plan, bits, table);
  }
  return params;
}

}  // namespace qtool::qdq
