// One record a subcommand: its file binds flags in `setup` and does the work in what setup returns.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "qtool/options.hpp"

namespace cli {

// What a command leaves: the result for stdout and, for missed gates, an exit code with its reason.
struct Outcome {
  std::string result;
  int exit_code = 0;
  std::string message = {};
};

using Run = std::function<Outcome()>;

struct Command {
  std::string_view name, summary, examples;
  Run (*setup)(CLI::App& app, const GlobalOptions& global);
};

// The setup of a command whose options are a struct with bind(app): called once, run() after parsing.
template <typename Options>
Run bind(CLI::App& app, const GlobalOptions& global,
         Outcome (*run)(const Options&, const GlobalOptions&)) {
  auto options = std::make_shared<Options>();
  options->bind(app);
  return [options, &global, run] { return run(*options, global); };
}

extern const Command kInspect, kVerify, kCalibrate, kSearch, kQuantize, kEval, kReport, kAuto,
    kBench, kCompare, kList, kProfile, kNarrow;

}  // namespace cli
