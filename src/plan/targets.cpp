#include "plan/targets.hpp"

namespace qtool {

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
