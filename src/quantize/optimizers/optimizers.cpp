#include "qtool/quantize.hpp"

namespace qtool {

extern const OptimizerDef kRtn, kGpfq, kGptq, kCd, kCyclic, kAdaround;

std::span<const OptimizerDef* const> optimizers() {
  static const OptimizerDef* const kList[] = {&kRtn, &kGpfq, &kGptq, &kCd, &kCyclic, &kAdaround};
  return kList;
}

const OptimizerDef& find_optimizer(std::string_view name) {
  std::vector<std::string> names;
  for (const OptimizerDef* o : optimizers()) {
    if (o->name == name) return *o;
    names.emplace_back(o->name);
  }
  const std::string near = nearest(name, names);
  throw Error(ErrorKind::kUsage, "QT-E121", cat("unknown optimizer '", printable(name), "'"))
      .hint(near.empty() ? "`qtool list optimizers` shows them"
                         : cat("did you mean '", near, "'?"));
}

}  // namespace qtool
