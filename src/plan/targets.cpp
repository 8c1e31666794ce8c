#include "plan/targets.hpp"

#include <algorithm>

namespace qtool {

bool Target::runs_on_codes(const Node& node, const QuantRule& rule) const {
  if (!node.domain.empty()) return false;
  return rule.kind == QuantKind::kMovement ||
         std::find(integer_types.begin(), integer_types.end(), node.type) != integer_types.end();
}

bool Target::takes_weight_codes(const Node& node) const {
  return node.domain.empty() &&
         std::find(weight_types.begin(), weight_types.end(), node.type) != weight_types.end();
}

std::span<const Target* const> targets() {
  static const Target* const kList[] = {&kOrtCpu};
  return kList;
}

const Target& find_target(std::string_view name) {
  std::vector<std::string> names;
  for (const Target* t : targets()) {
    if (t->name == name) return *t;
    names.emplace_back(t->name);
  }
  const std::string near = nearest(name, names);
  throw Error(ErrorKind::kUsage, "QT-E120", cat("unknown target '", printable(name), "'"))
      .hint(near.empty() ? "`qtool list targets` shows them" : cat("did you mean '", near, "'?"));
}

}  // namespace qtool
