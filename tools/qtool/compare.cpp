#include <cmath>
#include <qtool/onnx.hpp>

#include "qtool/command.hpp"

namespace cli {
namespace {

using qtool::cat;
using qtool::Comparison;
using qtool::Tensor;

struct Options {
  std::string a, b;
  double threshold_db = 30;
  DataFlags data;
  void bind(CLI::App& app) {
    app.add_option("A", a, "a model, usually the float one")->required();
    app.add_option("B", b, "another one with values of the same names")->required();
    data.bind_positional(app, false);
    app.add_option("--threshold", threshold_db, "SQNR in dB below which values have diverged");
    data.bind(app);
  }
};

// Values that both models compute from their inputs, in the order of `a`.
std::vector<Comparison::Row> common_values(const qtool::Model& a, const qtool::Model& b) {
  std::set<std::string> in_b;
  for (const qtool::Node& node : b.graph.nodes) {
    for (qtool::ValueId v : node.outputs)
      if (v != qtool::ValueId::kNone) in_b.insert(b.graph.value(v).name);
  }
  std::vector<Comparison::Row> rows;
  for (const qtool::Node& node : a.graph.nodes) {
    for (qtool::ValueId v : node.outputs) {
      if (v != qtool::ValueId::kNone && in_b.contains(a.graph.value(v).name))
        rows.push_back({a.graph.value(v).name, node.type});
    }
  }
  return rows;
}

class Recorder : public qtool::Tap {
 public:
  void on_value(const std::string& name, Tensor& value) override { values[name] = value; }
  bool replaces() const override { return false; }
  std::map<std::string, Tensor> values;
};

struct Sums {
  double signal = 0, noise = 0, largest = 0;
  int64_t count = 0;
  std::string note;
  void add(const Tensor& a, const Tensor& b);
};

void Sums::add(const Tensor& a, const Tensor& b) {
  if (a.dtype() != qtool::DType::kFloat || b.dtype() != qtool::DType::kFloat)
    note = cat(qtool::dtype_name(a.dtype()), " against ", qtool::dtype_name(b.dtype()));
  else if (a.shape() != b.shape())
    note = cat(qtool::shape_text(a.shape()), " against ", qtool::shape_text(b.shape()));
  if (!note.empty()) return;
  const auto want = a.data<float>();
  const auto have = b.data<float>();
  for (size_t i = 0; i < want.size(); ++i) {
    const double difference = static_cast<double>(have[i]) - want[i];
    signal += static_cast<double>(want[i]) * want[i];
    noise += difference * difference;
    largest = std::max(largest, std::abs(difference));
  }
  count += a.size();
}

double sqnr_db(const Sums& s) {
  if (std::isnan(s.noise) || std::isnan(s.signal)) return -INFINITY;
  return s.noise == 0 ? INFINITY : 10 * std::log10(s.signal / s.noise);
}

Outcome run(const Options& o, const GlobalOptions& global) {
  const qtool::Model a = qtool::load_model(o.a), b = qtool::load_model(o.b);
  constexpr int64_t kSamples = 32;
  qtool::DataRequest request = o.data.request(global);
  if (request.data.empty() && request.random_samples == 0) request.random_samples = 8;
  if (request.options.limit == 0) request.options.limit = kSamples;
  const auto source = qtool::open_source(request, a);
  Comparison c;
  c.a = o.a;
  c.b = o.b;
  c.data = source->describe();
  c.threshold_db = o.threshold_db;
  c.random_data = request.random_samples > 0;
  c.rows = common_values(a, b);
  if (c.rows.empty())
    throw qtool::Error(qtool::ErrorKind::kUsage, "QT-E161",
                       "the two models have no value name in common");
  std::set<std::string> names;
  for (const Comparison::Row& row : c.rows) names.insert(row.name);
  const qtool::Executor run_a(a, {.intra_threads = global.thread_count(), .observe = names}),
      run_b(b, {.intra_threads = global.thread_count(), .observe = names});
  std::map<std::string, Sums> sums;
  qtool::Progress progress("compare", source->samples(), "samples");
  for (int64_t i = 0; i < source->chunk_count(); ++i) {
    qtool::check_interrupted();
    const qtool::Batch batch = source->chunk(i);
    Recorder seen_a, seen_b;
    (void)run_a.run(batch.feed, &seen_a);
    (void)run_b.run(batch.feed, &seen_b);
    for (const auto& [name, value] : seen_a.values) {
      if (const auto other = seen_b.values.find(name); other != seen_b.values.end())
        sums[name].add(value, other->second);
    }
    c.samples += batch.samples;
    progress.advance(batch.samples);
  }
  for (Comparison::Row& row : c.rows) {
    const Sums& s = sums[row.name];
    row.note = !s.note.empty() ? s.note : s.count == 0 ? "not computed" : "";
    row.sqnr_db = sqnr_db(s);
    row.max_abs_error = s.largest;
  }
  return {global.json ? qtool::compare_json(c) : qtool::compare_text(c)};
}

}  // namespace

const Command kCompare = {
    .name = "compare",
    .summary = "where two models first differ, value by value",
    .examples =
        "Examples:\n  qtool compare net.onnx net.q.onnx test.npz --preprocess net.json\n  qtool "
        "compare a.onnx b.onnx --random-data 4 --threshold 60",
    .setup = [](CLI::App& app,
                const GlobalOptions& global) { return bind<Options>(app, global, run); },
};

}  // namespace cli
