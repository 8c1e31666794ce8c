#include "calibrate/outliers/outliers.hpp"

#include <algorithm>

namespace qtool {

std::span<const OutlierMethod* const> outlier_methods() {
  static constexpr const OutlierMethod* kMethods[] = {
      &outliers::kShift,
      &outliers::kSplit,
      &outliers::kMigrate,
  };
  return kMethods;
}

std::vector<const OutlierMethod*> find_outlier_methods(const std::vector<std::string>& wanted) {
  std::vector<std::string> names;
  for (const OutlierMethod* method : outlier_methods()) names.emplace_back(method->name);
  for (const std::string& name : wanted) {
    if (std::ranges::find(names, name) != names.end()) continue;
    const std::string near = nearest(name, names);
    throw Error(ErrorKind::kUsage, "QT-E142",
                cat("unknown method for outliers '", printable(name), "'"))
        .hint(near.empty() ? "`qtool list outliers` shows them"
                           : cat("did you mean '", near, "'?"));
  }
  std::vector<const OutlierMethod*> found;
  for (const OutlierMethod* method : outlier_methods())
    if (std::ranges::find(wanted, method->name) != wanted.end()) found.push_back(method);
  return found;
}

}  // namespace qtool
