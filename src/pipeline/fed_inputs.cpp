// Inputs that the data does not hold.
#include <algorithm>

#include "pipeline/stages.hpp"
#include "qtool/exec.hpp"
#include "qtool/passes.hpp"

namespace qtool::pipeline {
namespace {

struct Data {
  const std::vector<std::filesystem::path>& paths;
  const Preprocess& preprocess;
  std::vector<InputSpec> inputs;

  std::unique_ptr<SampleSource> open(const DataOptions& options) const {
    return open_data(paths, preprocess, inputs, options);
  }
  bool opens(const DataOptions& options) const {
    try {
      open(options);
      return true;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kData) throw;
      return false;
    }
  }
};

// Those of `candidates` that the data does not hold; empty when their absence is not what is wrong.
std::vector<SelectorInput> missing(const Data& data, const DataOptions& options,
                                   std::vector<SelectorInput> candidates) {
  const auto with = [&](const std::vector<SelectorInput>& absent) {
    DataOptions filled = options;
    for (const SelectorInput& input : absent) filled.constants.emplace(input.name, 0);
    return filled;
  };
  std::erase_if(candidates,
                [&](const SelectorInput& c) { return options.constants.contains(c.name); });
  if (candidates.empty() || !data.opens(with(candidates))) return {};
  for (size_t i = 0; i < candidates.size();) {
    std::vector<SelectorInput> fewer = candidates;
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
    if (data.opens(with(fewer)))
      candidates = std::move(fewer);
    else
      ++i;
  }
  return candidates;
}

bool runs(const Model& model, const Data& data, const DataOptions& options) {
  try {
    Executor(model, {.intra_threads = 1, .observe = {}}).run(data.open(options)->chunk(0).feed);
    return true;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInterrupted) throw;
    log(LogLevel::kDebug, cat("a value that was tried does not run: ", error.message()));
    return false;
  }
}

void assume(DataOptions& options, const std::string& name, int64_t value, const std::string& why) {
  options.constants[name] = static_cast<double>(value);
  log(LogLevel::kWarning,
      cat("the data holds no input '", printable(name), "': ", why, ", so it is taken as ", value,
          " (another value: --constant ", printable(name), "=NUMBER)"));
}

// The one of the numbers that the input is compared with for which the model runs on this data.
void assume_selected(const Model& model, const Data& data, const SelectorInput& input,
                     DataOptions& options) {
  std::vector<int64_t> fit;
  for (const int64_t value : input.compared) {
    DataOptions tried = options;
    tried.constants[input.name] = static_cast<double>(value);
    if (runs(model, data, tried)) fit.push_back(value);
  }
  std::string all;
  for (const int64_t value : input.compared) all += cat(all.empty() ? "" : ", ", value);
  if (fit.size() != 1) {
    throw Error(ErrorKind::kData, "QT-E432",
                cat("the data holds no input '", printable(input.name),
                    "', which chooses a branch of the model by comparison with ", all, "; ",
                    fit.empty() ? "none" : "more than one", " of them fits the data"))
        .hint(cat("say which: --constant ", printable(input.name), "=", input.compared[0]));
  }
  assume(options, input.name, fit[0],
         cat("it only chooses a branch of the model by comparison with ", all));
}

}  // namespace

std::unique_ptr<SampleSource> open_fed(const std::vector<std::filesystem::path>& paths,
                                       const Preprocess& preprocess, const Model& model,
                                       DataOptions& options) {
  const Data data{paths, preprocess, input_specs(model)};
  try {
    return data.open(options);
  } catch (const Error& error) {
    if (error.code() != "QT-E432") throw;
    const auto absent = missing(data, options, selector_inputs(model));
    if (absent.empty()) throw;
    DataOptions filled = options;
    for (const SelectorInput& input : absent) filled.constants[input.name] = 0;
    for (const SelectorInput& input : absent) {
      if (input.unread)
        assume(filled, input.name, 0, "no result depends on it");
      else
        assume_selected(model, data, input, filled);
    }
    options = filled;
    return data.open(options);
  }
}

}  // namespace qtool::pipeline
