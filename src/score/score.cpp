#include "qtool/score.hpp"

#include "score/score_methods.hpp"

namespace qtool {

std::span<const ScoreMethod* const> score_methods() {
  static const ScoreMethod* const kList[] = {&kAuto, &kSqnr, &kFisher};
  return kList;
}

ScoreTable score(const Model& model, const Sites& sites, const CalibrationTable& table,
                 const SampleSource& source, const ScoreOptions& options) {
  std::vector<std::string> names;
  for (const ScoreMethod* m : score_methods()) {
    if (m->name == options.method) return m->run(model, sites, table, source, options);
    names.emplace_back(m->name);
  }
  const std::string near = nearest(options.method, names);
  throw Error(ErrorKind::kUsage, "QT-E123", cat("unknown score '", printable(options.method), "'"))
      .hint(near.empty() ? "`qtool list scores` shows them" : cat("did you mean '", near, "'?"));
}

}  // namespace qtool
