#include "pipeline/request.hpp"

#include <algorithm>
#include <cmath>

namespace qtool::pipeline {

PlanRequest checked(PlanRequest request) {
  if (request.uniform && !request.budgets.empty())
    throw Error(ErrorKind::kUsage, "QT-E127", "--uniform and --budget exclude each other");
  if (!request.uniform && request.budgets.empty())
    throw Error(ErrorKind::kUsage, "QT-E127", "no budget given")
        .hint("for example --budget 4.5bits");
  (void)find_optimizer(request.optimizer);
  (void)find_range(request.range);
  if (request.profile.empty()) return request;
  const DeviceProfile profile = load_profile(request.profile);
  request.signed_activations |= profile.symmetric_activations;
  if (profile.weight_scale == "tensor") request.weight_scale = "tensor";
  request.equal_around = profile.equal_around;
  request.power_of_two_scales |= profile.power_of_two_scales;
  if (profile.power_of_two_scales && uniform_only(request)) request.formats = {"fixed-point"};
  return request;
}

std::vector<Keep> keeps_of(const PlanRequest& request) {
  std::vector<Keep> keeps;
  for (const std::string& text : request.keep) {
    for (Keep& keep : parse_keep(text)) keeps.push_back(std::move(keep));
  }
  return keeps;
}

ActivationMode mode_of(const PlanRequest& request) {
  return find_activation_mode(request.activation_mode).value_or(ActivationMode::kStatic);
}

ActivationStyle style_of(const PlanRequest& request) {
  const bool shifts = request.power_of_two_scales ||
                      std::ranges::all_of(request.formats, [](const std::string& format) {
                        return parse_format(format).def->shifts_activations;
                      });
  return {request.range, request.signed_activations, shifts, request.equal_around,
          request.narrow_branches};
}

bool uniform_only(const PlanRequest& request) {
  return request.formats == std::vector<std::string>{"uniform"};
}

void check_widths(const std::vector<int>& widths, int lowest, int highest, std::string_view what) {
  for (int bits : widths) {
    if (bits == kFloatBits || (bits >= lowest && bits <= highest)) continue;
    throw Error(ErrorKind::kUsage, "QT-E126", cat(what, " of ", bits, " bits are not available"))
        .hint(cat(
            lowest, " to ", highest, ", or float",
            bits == 0 && what == "weights" ? "; 0 prunes filters, with --granularity filter" : ""));
  }
}

namespace {

std::vector<Width> widths_of_formats(const PlanRequest& request) {
  if (uniform_only(request)) {
    std::vector<int> unpruned = request.weight_bits;
    if (request.granularity == "filter") std::erase(unpruned, 0);
    if (unpruned.empty())
      throw Error(ErrorKind::kUsage, "QT-E126", "weights of 0 bits alone leave no network")
          .hint("add widths for the filters that are kept: --weights 0,2,3,4,8");
    check_widths(unpruned, 2, 8, "weights");
    return {request.weight_bits.begin(), request.weight_bits.end()};
  }
  if (request.granularity == "filter")
    throw Error(ErrorKind::kUsage, "QT-E127", "--granularity filter is for uniform weights")
        .hint("leave --formats out, or take --granularity layer");
  std::vector<Width> widths = widths_in(request.formats, request.weight_bits);
  for (const std::string& format : request.formats) {
    if (std::ranges::none_of(widths, [&](const Width& w) { return w.format == format; }))
      check_format_bits(parse_format(format), request.weight_bits[0]);
  }
  return widths;
}

// Of these widths, those that the device takes of some operator, with some width of its input.
std::vector<Width> taken_by_device(std::vector<Width> widths, const PlanRequest& request) {
  if (request.profile.empty()) return widths;
  const DeviceProfile device = load_profile(request.profile);
  std::vector<Width> taken = widths;
  std::erase_if(taken, [&](const Width& width) { return !device.allows_weights(width); });
  if (taken.empty())
    throw Error(ErrorKind::kInfeasible, "QT-E501",
                cat("the device '", printable(device.name), "' takes none of the candidate widths"))
        .hint("name others with --weights and --formats");
  if (taken.size() < widths.size())
    log(LogLevel::kInfo, cat("the device takes ", taken.size(), " of the ", widths.size(),
                             " candidate widths of weights"));
  return taken;
}

}  // namespace

std::vector<Width> offered_widths(const PlanRequest& request) {
  return taken_by_device(widths_of_formats(request), request);
}

std::vector<Width> offered_activations(const PlanRequest& request) {
  std::vector<Width> widths(request.activation_bits.begin(), request.activation_bits.end());
  if (request.activation_mode != "hybrid") return widths;
  for (const ActivationMode mode : {ActivationMode::kDynamic, ActivationMode::kToken})
    widths.emplace_back(8, "uniform", mode);
  return widths;
}

int64_t most_bytes(const PlanRequest& request, const Model& model) {
  double most = 0;
  for (const Limit& limit :
       request.uniform ? std::vector<Limit>{} : parse_budget(joined(request.budgets))) {
    double bytes = limit.kind == Limit::kSize ? limit.value : 0;
    for (const auto& [id, constant] : model.graph.initializers)
      if (limit.kind == Limit::kSizeFraction)
        bytes += limit.value * static_cast<double>(constant.data.bytes());
    if (bytes > 0) most = most > 0 ? std::min(most, bytes) : bytes;
  }
  if (most > 0 && request.storage == Storage::kWidths) {
    log(LogLevel::kWarning,
        "the size limit counts codes in their own width; plain pairs take a byte a code: --export "
        "packed, or another style, holds it in the written file");
    return 0;
  }
  return static_cast<int64_t>(std::floor(most));
}

}  // namespace qtool::pipeline
