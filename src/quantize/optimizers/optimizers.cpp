#include "quantize/internal.hpp"

namespace qtool {

extern const OptimizerDef kRtn, kGpfq, kGptq, kCd, kCyclic, kDescent, kAdaround, kBrecq, kQdrop;

std::span<const OptimizerDef* const> optimizers() {
  static const OptimizerDef* const kList[] = {&kRtn,     &kGpfq,     &kGptq,  &kCd,   &kCyclic,
                                              &kDescent, &kAdaround, &kBrecq, &kQdrop};
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

namespace {

// Multiplications of a pass over all rows.
double work(int64_t rows, int64_t columns) {
  return static_cast<double>(rows) * static_cast<double>(columns) * static_cast<double>(columns);
}

}  // namespace

bool is_large(int64_t rows, int64_t columns) { return work(rows, columns) > 1LL << 34; }

const OptimizerDef& affordable(const OptimizerDef& wanted, int64_t rows, int64_t columns) {
  // Of a pass over all rows and of the Gram matrix's factor.
  constexpr double kMostPlane = 1LL << 41;
  const OptimizerDef* chosen = &wanted;
  // Descent, whose rows follow the Gram matrix one by one, takes about half a minute of processor time at its limit.
  if (chosen->needs_moments && is_large(rows, columns)) chosen = &kGptq;
  if (chosen->needs_moments && work(rows + columns, columns) > kMostPlane) chosen = &kRtn;
  return *chosen;
}

}  // namespace qdq

}  // namespace qtool
