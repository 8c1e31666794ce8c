// Ranks that no shape inference finds, taken from data.
#include "qtool/calibrate.hpp"

namespace qtool {
namespace {

class RankRecorder : public Tap {
 public:
  explicit RankRecorder(std::map<std::string, int64_t>& ranks) : ranks_(ranks) {}
  void on_value(const std::string& name, Tensor& value) override {
    if (value.dtype() == DType::kFloat) ranks_[name] = value.rank();
  }
  bool replaces() const override { return false; }

 private:
  std::map<std::string, int64_t>& ranks_;
};

}  // namespace

std::map<std::string, int64_t> observed_ranks(const Model& model, const SampleSource& source) {
  ExecOptions options;
  for (const Node& node : model.graph.nodes) {
    for (ValueId v : node.outputs) {
      if (v != ValueId::kNone && !model.graph.value(v).shape)
        options.observe.insert(model.graph.value(v).name);
    }
  }
  std::map<std::string, int64_t> ranks;
  if (options.observe.empty() || source.chunk_count() == 0) return ranks;
  RankRecorder recorder(ranks);
  Executor(model, options).run(source.chunk(0).feed, &recorder);
  return ranks;
}

void set_ranks(Model& model, const std::map<std::string, int64_t>& ranks) {
  for (const auto& [name, rank] : ranks) {
    const ValueId v = model.graph.find(name);
    if (v != ValueId::kNone && !model.graph.value(v).shape)
      model.graph.value(v).shape = Shape(static_cast<size_t>(rank), -1);
  }
}

}  // namespace qtool
