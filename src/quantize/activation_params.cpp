#include <cmath>

#include "qtool/branches.hpp"
#include "quantize/internal.hpp"

namespace qtool::qdq {
namespace {

// Steps of a power of two, as runtimes expect behind Softmax (1/256), Sigmoid and Tanh (2/256).
QParams fixed_params(std::pair<double, double> range, const QuantSpec& spec) {
  if (spec.symmetric) range.first = std::min(range.first, -range.second);
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

// Of a value and of those that its parameters cover, as far as they make a difference to their readers.
ValueStats covered_stats(const Sites& sites, const ActivationSite& site,
                         const CalibrationTable& table) {
  const auto stats_of = [&](const ActivationSite& one) {
    const ValueStats& stats = table.at(one.name);
    return one.sensitive ? stats.clamped(one.sensitive->first, one.sensitive->second) : stats;
  };
  ValueStats stats = stats_of(site);
  for (const std::string& name : site.covers) stats.merge(stats_of(*sites.activation(name)));
  return stats;
}

}  // namespace

QParams activation_quantizer(const Sites& sites, const ActivationSite& site, int bits,
                             const ActivationStyle& style, const CalibrationTable& table) {
  QuantSpec spec;
  spec.bits = bits;
  spec.symmetric = style.signed_codes;
  spec.signed_codes = style.signed_codes;
  if (site.fixed_range) return fixed_params(*site.fixed_range, spec);
  const Range range =
      find_range(style.range_method).choose(covered_stats(sites, site, table), spec);
  return style.power_of_two_scales ? shift_params(range, spec)
                                   : affine_params(range.lo, range.hi, spec);
}

ActivationParams activation_params(const Sites& sites, const QuantPlan& plan,
                                   const CalibrationTable& table, int threads,
                                   KnownQuantizers* known) {
  const std::set<std::string> branched = branched_values(sites);
  KnownQuantizers own;
  KnownQuantizers& quantizers = known ? *known : own;
  const auto assemble = [&](const std::function<QParams(const ActivationSite&, int)>& quantizer) {
    ActivationParams params;
    const auto branch_of = [&](const std::string& owner) {
      return quantizer(*sites.activation(owner), kBranchBits);
    };
    for (const ActivationSite& site : sites.activations) {
      const int bits = plan.activation_bits.at(site.name);
      if (bits == kFloatBits) continue;
      const std::string& owner = site.owner();
      const int owner_bits = plan.activation_bits.at(owner);
      const bool branch = branched.contains(site.name);
      if (owner != site.name && owner_bits == bits)
        params[site.name] = params.at(owner);
      else if (branch && bits == kBranchBits && owner_bits < kBranchBits)
        params[site.name] = branch_of(owner);
      else
        params[site.name] = quantizer(site, bits);
      if (branch && bits < kBranchBits) params[site.name].branch = branch_of(owner);
    }
    return params;
  };
  // Ranges are searched for side by side, once it is known which.
  std::vector<std::pair<const ActivationSite*, KnownQuantizers::iterator>> unknown;
  assemble([&](const ActivationSite& site, int bits) {
    const auto [it, fresh] = quantizers.try_emplace({site.name, bits});
    if (fresh) unknown.emplace_back(&site, it);
    return it->second;
  });
  parallel_for(threads, std::ssize(unknown), [&](int64_t i, int) {
    const auto& [site, it] = unknown[static_cast<size_t>(i)];
    it->second = activation_quantizer(sites, *site, it->first.second, plan.style, table);
  });
  return assemble([&](const ActivationSite& site, int bits) {
    return quantizers.at({site.name, bits});
  });
}

std::set<std::string> branch_values(const Sites& sites, const ActivationParams& activations) {
  std::set<std::string> owners, values;
  for (const ActivationSite& site : sites.activations)
    if (const auto at = activations.find(site.name); at != activations.end() && at->second.branch)
      owners.insert(site.owner());
  for (const ActivationSite& site : sites.activations)
    if (const auto at = activations.find(site.name);
        at != activations.end() && !at->second.branch && owners.contains(site.owner()))
      values.insert(site.name);
  return values;
}

}  // namespace qtool::qdq
