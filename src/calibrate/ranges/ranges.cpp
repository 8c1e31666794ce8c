#include "calibrate/ranges/ranges.hpp"

namespace qtool {

std::span<const RangeMethod* const> range_methods() {
  static constexpr const RangeMethod* kMethods[] = {
      &ranges::kMinMax, &ranges::kPercentile, &ranges::kMse,
      &ranges::kLp,     &ranges::kEntropy,    &ranges::kOutput,
  };
  return kMethods;
}

const RangeMethod& find_range(std::string_view name) {
  std::vector<std::string> names;
  for (const RangeMethod* method : range_methods()) {
    if (method->name == name) return *method;
    names.emplace_back(method->name);
  }
  const std::string near = nearest(std::string(name), names);
  throw Error(ErrorKind::kUsage, "QT-E142", cat("unknown range method '", printable(name), "'"))
      .hint(near.empty() ? "`qtool list ranges` shows them" : cat("did you mean '", near, "'?"));
}

}  // namespace qtool
