// Ranks that no shape inference finds, taken from data.
#include <algorithm>

#include "graph/subgraphs.hpp"
#include "qtool/calibrate.hpp"

namespace qtool {
namespace {

// A branch that the first chunk does not take may be taken by one of these.
constexpr int64_t kMostChunks = 8;

class RankRecorder : public Tap {
 public:
  void on_value(const std::string& name, Tensor& value) override {
    seen_.insert(name);
    if (value.dtype() != DType::kFloat) return;
    const int64_t rank = ranks_.try_emplace(name, value.rank()).first->second;
    if (rank != value.rank()) changing_.insert(name);
  }
  bool replaces() const override { return false; }

  size_t seen() const { return seen_.size(); }
  // Of float values that always have the same.
  std::map<std::string, int64_t> ranks() && {
    std::erase_if(ranks_, [&](const auto& rank) { return changing_.contains(rank.first); });
    return std::move(ranks_);
  }

 private:
  std::map<std::string, int64_t> ranks_;
  std::set<std::string> seen_, changing_;
};

void for_each_graph(const Graph& graph, const std::function<void(const Graph&)>& visit) {
  visit(graph);
  for (const Node& node : graph.nodes)
    for (const Graph* body : subgraphs_of(node)) for_each_graph(*body, visit);
}

bool is_unknown(const Value& value) { return !value.shape || value.dtype == DType::kUndefined; }

// In the graph and in the bodies that its nodes carry.
void set_in_graph(Graph& g, const std::map<std::string, int64_t>& ranks) {
  for (Value& value : g.values) {
    const auto found = ranks.find(value.name);
    if (found == ranks.end()) continue;
    if (!value.shape) value.shape = Shape(static_cast<size_t>(found->second), -1);
    if (value.dtype == DType::kUndefined) value.dtype = DType::kFloat;
  }
}

}  // namespace

std::map<std::string, int64_t> observed_ranks(const Model& model, const SampleSource& source) {
  ExecOptions options;
  for_each_graph(model.graph, [&](const Graph& g) {
    for (const ValueId v : g.inputs)
      if (&g != &model.graph && is_unknown(g.value(v))) options.observe.insert(g.value(v).name);
    for (const Node& node : g.nodes) {
      for (ValueId v : node.outputs)
        if (v != ValueId::kNone && is_unknown(g.value(v))) options.observe.insert(g.value(v).name);
    }
  });
  if (options.observe.empty()) return {};
  RankRecorder recorder;
  const Executor executor(model, options);
  const int64_t chunks = std::min(source.chunk_count(), kMostChunks);
  for (int64_t c = 0; c < chunks && recorder.seen() < options.observe.size(); ++c)
    executor.run(source.chunk(c).feed, &recorder);
  return std::move(recorder).ranks();
}

void set_ranks(Model& model, const std::map<std::string, int64_t>& ranks) {
  if (ranks.empty()) return;
  set_in_graph(model.graph, ranks);
  change_bodies(model, [&](Model& body, const Node&) { set_ranks(body, ranks); });
}

}  // namespace qtool
