#include "quantize/internal.hpp"

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

namespace qdq {

const OptimizerDef& affordable(const OptimizerDef& wanted, int64_t rows, int64_t columns) {
  // Products of a pass over all rows and of the Gram matrix's factor. Descent, whose rows follow the Gram matrix one
  // by one, takes about half a minute at its limit and a layer of 4,096 × 4,096 eight times as long; the nearest plane,
  // made of products of matrices, about four minutes.
  constexpr double kMostDescent = 1LL << 34, kMostPlane = 1LL << 41;
  const double work = static_cast<double>(rows + columns) * static_cast<double>(columns) *
                      static_cast<double>(columns);
  const OptimizerDef* chosen = &wanted;
  if (chosen->needs_moments && chosen != &kGptq && work > kMostDescent) chosen = &kGptq;
  if (chosen->needs_moments && work > kMostPlane) chosen = &kRtn;
  return *chosen;
}

}  // namespace qdq

}  // namespace qtool
