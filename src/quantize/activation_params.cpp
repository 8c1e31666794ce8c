#include "quantize/internal.hpp"

namespace qtool::qdq {
namespace {

QParams params_of(const ActivationSite& site, const QuantPlan& plan, int bits,
                  const CalibrationTable& table) {
  const ValueStats& stats = table.at(site.name);
  QuantSpec spec;
  spec.bits = bits;
  spec.symmetric = plan.signed_activations;
  spec.signed_codes = plan.signed_activations;
  Range range = site.fixed_range ? Range{site.fixed_range->first, site.fixed_range->second}
                                 : find_range(plan.range_method).choose(stats, spec);
  return affine_params(range.lo, range.hi, spec);
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
