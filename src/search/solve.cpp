#include <charconv>

#include "search/table.hpp"

namespace qtool {
namespace {

using search::reduce;
using search::Table;

const SolverDef& solver_or_throw(std::string_view name) {
  if (const SolverDef* def = find_solver(name)) return *def;
  std::vector<std::string> names{"auto"};
  for (const SolverDef* def : all_solvers()) names.emplace_back(def->name);
  const std::string near = nearest(name, names);
  throw Error(ErrorKind::kUsage, "QT-E120", cat("unknown solver '", printable(name), "'"))
      .hint(near.empty() ? "`qtool list solvers` shows them" : cat("did you mean '", near, "'?"));
}

const SolverOption& option_or_throw(const SolverDef& def, std::string_view name) {
  std::vector<std::string> names;
  for (const SolverOption& option : def.options) {
    if (option.name == name) return option;
    names.emplace_back(option.name);
  }
  const std::string near = nearest(name, names);
  throw Error(ErrorKind::kUsage, "QT-E121",
              cat("solver '", def.name, "' has no option '", printable(name), "'"))
      .hint(near.empty() ? "`qtool list solvers` shows them" : cat("did you mean '", near, "'?"));
}

SolverOptions parse_options(const SolverDef& def, std::string_view text) {
  SolverOptions options;
  for (const SolverOption& o : def.options) options.emplace(o.name, o.default_value);
  if (text.empty()) return options;
  for (const std::string& part : split(text, ',')) {
    const size_t equals = part.find('=');
    const SolverOption& option = option_or_throw(def, std::string_view(part).substr(0, equals));
    const std::string value = equals == std::string::npos ? "" : part.substr(equals + 1);
    int64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    const bool whole = error == std::errc() && end == value.data() + value.size();
    if (!whole || number < option.min || number > option.max) {
      throw_usage("QT-E122", cat("solver option '", option.name, "': expected an integer from ",
                                 option.min, " to ", option.max, ", got '", printable(value), "'"));
    }
    options.find(option.name)->second = number;
  }
  return options;
}

Solution run(const Problem& problem, std::string_view text) {
  const size_t colon = text.find(':');
  std::string_view name = text.substr(0, colon);
  const std::optional<Table> table = reduce(problem);
  const int limits = table ? table->limits : 0;
  if (name == "auto" && colon == std::string_view::npos)
    name = limits > 1 ? "branch-and-bound" : "dp";
  const SolverDef& def = solver_or_throw(name);
  const SolverOptions options =
      parse_options(def, colon == std::string_view::npos ? "" : text.substr(colon + 1));
  if (def.max_limits >= 0 && limits > def.max_limits) {
    throw Error(ErrorKind::kUsage, "QT-E123",
                cat("solver '", name, "' takes ", def.max_limits, " limit, ", limits, " bind here"))
        .hint("use --solver branch-and-bound or lagrange");
  }
  Solution s = def.solve(problem, options);
  s.solver = def.name;
  return s;
}

// Replaces each limit's smallest value by the one that is reached while the other limits hold.
void tighten_smallest(const Problem& problem, Solution& s) {
  for (size_t k = 0; k < problem.limit.size(); ++k) {
    Problem others = problem;
    others.cost.erase(others.cost.begin() + static_cast<std::ptrdiff_t>(k));
    others.limit.erase(others.limit.begin() + static_cast<std::ptrdiff_t>(k));
    for (size_t g = 0; g < problem.loss.size(); ++g) {
      for (size_t c = 0; c < problem.loss[g].size(); ++c) {
        if (!search::permitted(problem.loss[g][c])) continue;
        others.loss[g][c] = static_cast<double>(problem.cost[k][g][c]);
      }
    }
    const Solution cheapest = run(others, "auto");
    if (!cheapest.found()) continue;
    s.smallest[k] = 0;
    for (size_t g = 0; g < problem.loss.size(); ++g) {
      s.smallest[k] += problem.cost[k][g][cheapest.choice[g]];
    }
  }
}

}  // namespace

const SolverDef* find_solver(std::string_view name) {
  for (const SolverDef* def : all_solvers()) {
    if (def->name == name) return def;
  }
  return nullptr;
}

Solution solve(const Problem& problem, std::string_view solver) {
  Solution s = run(problem, solver);
  if (!s.found() && s.blocked_group < 0 && problem.limit.size() > 1) tighten_smallest(problem, s);
  return s;
}

}  // namespace qtool
