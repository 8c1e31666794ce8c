#include "quantize/internal.hpp"

namespace qtool {

extern const OptimizerDef kRtn, kGpfq, kGptq, kCd, kCyclic, kAdaround, kBrecq, kQdrop;

std::span<const OptimizerDef* const> optimizers() {
  static const OptimizerDef* const kList[] = {&kRtn,    &kGpfq,     &kGptq,  &kCd,
                                              &kCyclic, &kAdaround, &kBrecq, &kQdrop};
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
  // Multiplications of a pass over all rows, and for the nearest plane of the Gram matrix's factor, too. Descent, whose
  // rows follow the Gram matrix one by one, takes about half a minute of processor time at its limit; the nearest
  // plane, made of products of matrices, some minutes.
  constexpr double kMostDescent = 1LL << 34, kMostPlane = 1LL << 41;
  const double r = static_cast<double>(rows), k = static_cast<double>(columns);
  const OptimizerDef* chosen = &wanted;
  if (chosen->needs_moments && chosen != &kGptq && r * k * k > kMostDescent) chosen = &kGptq;
  if (chosen->needs_moments && (r + k) * k * k > kMostPlane) chosen = &kRtn;
  return *chosen;
}

}  // namespace qdq

}  // namespace qtool
