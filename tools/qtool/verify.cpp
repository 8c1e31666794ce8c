#include <algorithm>

#include "qtool/command.hpp"

namespace cli {
namespace {

namespace fs = std::filesystem;
using qtool::CaseResult;

struct Options {
  std::vector<std::string> paths;
  qtool::VerifyOptions verify;
  std::string backend = "onednn";
  std::string case_memory = "4GiB";
  bool strict = false;
  void bind(CLI::App& app) {
    app.add_option("PATH", paths,
                   "folders with model.onnx and test_data_set_*/, or folders of those")
        ->required();
    app.add_option("--rtol", verify.rtol, "allowed relative error")->check(CLI::NonNegativeNumber);
    app.add_option("--atol", verify.atol, "allowed absolute error")->check(CLI::NonNegativeNumber);
    app.add_option("--backend", backend, "onednn or reference");
    app.add_option("--case-time", verify.seconds,
                   "seconds that one case may take (0: any), looked at between nodes")
        ->check(CLI::NonNegativeNumber);
    app.add_option("--case-memory", case_memory, "memory that the tensors of one case may take");
    app.add_flag("--strict", strict, "unsupported cases count as failed");
  }
};

bool is_case(const fs::path& folder) { return fs::is_regular_file(folder / "model.onnx"); }

std::vector<fs::path> cases_in(const std::vector<std::string>& paths) {
  std::vector<fs::path> cases;
  for (const std::string& path : paths) {
    std::error_code failed;
    if (!fs::is_directory(path, failed))
      qtool::throw_data("QT-E430", qtool::cat(qtool::printable(path), " is no folder"));
    if (is_case(path)) {
      cases.emplace_back(path);
      continue;
    }
    std::vector<fs::path> inside;
    for (const auto& entry : fs::directory_iterator(path)) {
      if (entry.is_directory() && is_case(entry.path())) inside.push_back(entry.path());
    }
    if (inside.empty())
      qtool::throw_data("QT-E431",
                        qtool::cat("no test case in ", qtool::printable(path),
                                   ": model.onnx is neither in it nor in a folder of it"));
    std::sort(inside.begin(), inside.end());
    cases.insert(cases.end(), inside.begin(), inside.end());
  }
  return cases;
}

Outcome run(const Options& o, const GlobalOptions& global) {
  check_choice("--backend", o.backend, {"onednn", "reference"});
  qtool::VerifyOptions options = o.verify;
  options.backend = o.backend == "reference" ? qtool::Backend::kReference : qtool::Backend::kOneDnn;
  options.bytes = static_cast<int64_t>(parse_bytes(o.case_memory, "--case-memory"));
  const double begin = qtool::now_seconds();
  const std::vector<fs::path> cases = cases_in(o.paths);
  std::vector<CaseResult> results(cases.size());
  qtool::Progress progress("verify", static_cast<int64_t>(cases.size()), "cases");
  qtool::parallel_for(global.thread_count(), static_cast<int64_t>(cases.size()),
                      [&](int64_t i, int) {
                        results[static_cast<size_t>(i)] =
                            qtool::verify_case(cases[static_cast<size_t>(i)], options);
                        progress.advance(1);
                      });
  const auto count = [&](CaseResult::Status status) {
    return std::count_if(results.begin(), results.end(),
                         [&](const CaseResult& r) { return r.status == status; });
  };
  const auto missed =
      count(CaseResult::Status::kFailed) + (o.strict ? count(CaseResult::Status::kUnsupported) : 0);
  Outcome outcome{global.json ? qtool::verify_json(results, qtool::now_seconds() - begin)
                              : qtool::verify_text(results)};
  if (missed > 0) {
    outcome.exit_code = static_cast<int>(qtool::ErrorKind::kGate);
    outcome.message = qtool::cat("QT-E601: ", missed, " of ", results.size(), " cases missed");
  }
  return outcome;
}

}  // namespace

const Command kVerify = {
    .name = "verify",
    .summary = "run ONNX test sets and compare with their expected outputs",
    .examples =
        "Examples:\n  qtool verify test_conv/\n  qtool verify backend_tests/ --strict --json",
    .setup = [](CLI::App& app,
                const GlobalOptions& global) { return bind<Options>(app, global, run); },
};

}  // namespace cli
