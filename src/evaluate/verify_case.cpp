#include <algorithm>
#include <charconv>

#include "evaluate/compare.hpp"
#include "qtool/onnx.hpp"
#include "qtool/ops.hpp"

namespace qtool {
namespace {

namespace fs = std::filesystem;

// A comparison that missed; everything else that goes wrong is an Error.
struct Mismatch {
  std::string reason;
};

// The case's test_data_set_N folders by their numbers.
std::vector<fs::path> data_sets(const fs::path& folder) {
  constexpr std::string_view kPrefix = "test_data_set_";
  std::vector<std::pair<int64_t, fs::path>> numbered;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix) || !entry.is_directory()) continue;
    int64_t number = 0;
    std::from_chars(name.data() + kPrefix.size(), name.data() + name.size(), number);
    numbered.emplace_back(number, entry.path());
  }
  std::sort(numbered.begin(), numbered.end());
  std::vector<fs::path> sets;
  for (auto& [number, path] : numbered) sets.push_back(std::move(path));
  return sets;
}

fs::path file_of(const fs::path& set, const char* stem, size_t number) {
  return set / cat(stem, '_', number, ".pb");
}

size_t count_files(const fs::path& set, const char* stem) {
  size_t count = 0;
  while (fs::exists(file_of(set, stem, count))) ++count;
  return count;
}

// Files give the inputs in order, without those that have a default, or all of them.
Feed load_feed(const Model& model, const fs::path& set) {
  const Graph& g = model.graph;
  std::vector<ValueId> inputs;
  for (ValueId v : g.inputs)
    if (!g.constant(v)) inputs.push_back(v);
  const size_t files = count_files(set, "input");
  if (files == g.inputs.size()) inputs = g.inputs;
  if (files != inputs.size()) {
    throw_data("QT-E432",
               cat("there are ", files, " input files, the model has ", inputs.size(), " inputs"));
  }
  Feed feed;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Value& value = g.value(inputs[i]);
    feed[value.name] = load_value_pb(file_of(set, "input", i), value).tensor;
  }
  return feed;
}

std::vector<Tensor> load_outputs(const Model& model, const fs::path& set) {
  const Graph& g = model.graph;
  std::vector<Tensor> outputs;
  const size_t files = count_files(set, "output");
  for (size_t i = 0; i < files; ++i) {
    const Value& value = g.value(g.outputs[std::min(i, g.outputs.size() - 1)]);
    outputs.push_back(load_value_pb(file_of(set, "output", i), value).tensor);
  }
  return outputs;
}

void refuse_random(const Graph& graph, const Model& model) {
  for (const Node& node : graph.nodes) {
    const OpDef* op = find_op(node.type, node.domain, model.opset(node.domain));
    if (op && !op->deterministic)
      throw_unsupported(cat(node_text(node), " is random: no expected values can be compared"));
    for (const Attribute& attribute : node.attributes) {
      if (const auto* body = std::get_if<std::shared_ptr<const Graph>>(&attribute.value))
        refuse_random(**body, model);
    }
  }
}

void run_case(const fs::path& folder, const VerifyOptions& options, CaseResult& result) {
  const Model model = load_model(folder / "model.onnx");
  refuse_random(model.graph, model);
  ExecOptions how;
  how.backend = options.backend;
  const Executor executor(model, how);
  const std::vector<fs::path> sets = data_sets(folder);
  if (sets.empty()) throw Mismatch{"there is no test_data_set_* folder"};
  for (const fs::path& set : sets) {
    const std::vector<Tensor> want = load_outputs(model, set);
    const std::vector<Tensor> have = executor.run(load_feed(model, set));
    if (have.size() != want.size())
      throw Mismatch{cat("the model gives ", have.size(), " outputs, expected ", want.size())};
    for (size_t i = 0; i < want.size(); ++i) {
      const std::string wrong = mismatch(have[i], want[i], options, result.max_abs_error);
      if (wrong.empty()) continue;
      const std::string& name = model.graph.value(model.graph.outputs[i]).name;
      throw Mismatch{
          cat("output '", printable(name), "' of ", set.filename().string(), ": ", wrong)};
    }
  }
}

}  // namespace

CaseResult verify_case(const fs::path& folder, const VerifyOptions& options) {
  CaseResult result;
  result.name = folder.filename().empty() ? folder.parent_path().filename().string()
                                          : folder.filename().string();
  const auto end = [&](CaseResult::Status status, std::string reason) {
    result.status = status;
    result.reason = std::move(reason);
  };
  const ResourceLimit::Scope limit(std::make_shared<ResourceLimit>(options.seconds, options.bytes));
  try {
    run_case(folder, options, result);
  } catch (const Mismatch& wrong) {
    end(CaseResult::Status::kFailed, wrong.reason);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInterrupted) throw;
    const bool unsupported = error.code() == kUnsupportedCode;
    end(unsupported ? CaseResult::Status::kUnsupported : CaseResult::Status::kFailed,
        error.message());
  } catch (const std::exception& error) {
    end(CaseResult::Status::kFailed, error.what());
  }
  return result;
}

}  // namespace qtool
