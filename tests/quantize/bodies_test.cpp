// Layers inside the bodies of If, Loop and Scan.
#include <gtest/gtest.h>

#include <cmath>

#include "graph/subgraphs.hpp"
#include "qtool/exec.hpp"
#include "qtool/narrow.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "qtool/quantize.hpp"
#include "support/random.hpp"

namespace qtool {
namespace {

class Feeds : public SampleSource {
 public:
  explicit Feeds(std::vector<Feed> feeds) : feeds_(std::move(feeds)) {}
  int64_t samples() const override { return static_cast<int64_t>(feeds_.size()); }
  int64_t chunk_count() const override { return samples(); }
  Batch chunk(int64_t i) const override {
    return {.feed = feeds_[static_cast<size_t>(i)], .samples = 1, .labels = {}, .first_sample = i};
  }
  bool has_labels() const override { return false; }
  std::string describe() const override { return "feeds"; }

 private:
  std::vector<Feed> feeds_;
};

struct Net {
  Model model;
  Sites sites;
  CalibrationTable table;
  Feeds source;

  // The inputs named "w…" become constants.
  Net(const std::string& text, std::vector<Feed> feeds)
      : model(model_from_text(text)), source(std::move(feeds)) {
    uint64_t seed = 3;
    for (ValueId v : std::vector<ValueId>(model.graph.inputs)) {
      const Value& value = model.graph.value(v);
      if (value.name[0] == 'w')
        model.graph.initializers[v].data = test::normal(*value.shape, ++seed, 0.3);
    }
    model = prepare(model);
    set_ranks(model, observed_ranks(model, source));
    sites = find_sites(model, find_target("ort-cpu"));
    table = calibrate(model, sites.activation_names(), source, {});
  }

  Quantized quantize(int weight_bits, int activation_bits, const char* style = "qdq") const {
    QuantizeOptions options;
    options.export_style = style;
    return quantize_model(model, sites, uniform_plan(sites, {weight_bits, activation_bits}), table,
                          &source, options);
  }

  double sqnr_db(const Model& other) const {
    const Executor wanted(model), had(other);
    double signal = 0, noise = 0;
    for (int64_t c = 0; c < source.chunk_count(); ++c) {
      const Feed feed = source.chunk(c).feed;
      const auto want = wanted.run(feed), have = had.run(feed);
      for (size_t o = 0; o < want.size(); ++o) {
        EXPECT_EQ(want[o].shape(), have[o].shape());
        for (int64_t i = 0; i < want[o].size(); ++i) {
          const double v = want[o].number(i), d = v - have[o].number(i);
          signal += v * v;
          noise += d * d;
        }
      }
    }
    return 10 * std::log10(signal / noise);
  }
};

std::vector<Feed> pictures(int count, const std::function<void(int, Feed&)>& add = {}) {
  std::vector<Feed> feeds;
  for (int i = 0; i < count; ++i) {
    feeds.push_back({{"x", test::normal({1, 3, 6, 6}, static_cast<uint64_t>(i + 1))}});
    if (add) add(i, feeds.back());
  }
  return feeds;
}

Net branches() {
  return {R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3, 6, 6] x, bool c, float[8, 3, 3, 3] w1, float[8] w1_bias, float[4, 8, 3, 3] w2, float[4, 3, 1, 1] w3) => (float[n, 4, 6, 6] y)
{ [choose] y = If (c) <
    then_branch = a () => (float[n, 4, 6, 6] ya) {
      [one] c1 = Conv <pads = [1, 1, 1, 1]> (x, w1, w1_bias)  r = Relu(c1)  [two] ya = Conv <pads = [1, 1, 1, 1]> (r, w2) },
    else_branch = b () => (float[n, 4, 6, 6] yb) { [three] c3 = Conv(x, w3)  yb = Relu(c3) }> })",
          pictures(12, [](int i, Feed& feed) { feed["c"] = Tensor::scalar(i % 3 != 0); })};
}

const Graph& body(const Model& model, const char* name) {
  for (const Node& node : model.graph.nodes)
    if (const Graph* g = attr_graph(node, name)) return *g;
  throw std::runtime_error("no such body");
}

int count(const Graph& graph, const std::string& type) {
  int n = 0;
  for (const Node& node : graph.nodes) n += node.type == type;
  return n;
}

TEST(Bodies, HoldPairsAndRunOnCodes) {
  const Net net = branches();
  const Quantized q = net.quantize(8, 8);
  EXPECT_EQ(q.layers.size(), 3u);
  const Graph& then = body(q.model, "then_branch");
  EXPECT_EQ(count(then, "QuantizeLinear"), 3);
  EXPECT_EQ(count(then, "DequantizeLinear"), 6);  // three activations, two weights, one bias
  EXPECT_EQ(count(then, "Identity"), 0);
  EXPECT_GT(net.sqnr_db(q.model), 30);
  const Lowered lowered = lower_qdq(q.model);
  int integer = 0;
  for (const LayerStatus& layer : lowered.layers) {
    EXPECT_TRUE(layer.integer) << layer.name << ": " << layer.reason;
    integer += layer.type == "Conv";
    EXPECT_TRUE(layer.name.starts_with("choose/")) << layer.name;
  }
  EXPECT_EQ(integer, 3);
  EXPECT_EQ(count(body(lowered.model, "then_branch"), "QLinearConv"), 2);
  EXPECT_GT(net.sqnr_db(lowered.model), 30);
  EXPECT_GE(q.fused_nodes, 3);
}

TEST(Bodies, KeepWeightsInTheMainGraph) {
  const Net net = branches();
  const Quantized q = net.quantize(8, 8);
  const Tensor* codes = q.model.graph.constant(q.model.graph.find("w1_quantized"));
  ASSERT_NE(codes, nullptr);
  EXPECT_EQ(codes->dtype(), DType::kInt8);
  EXPECT_EQ(q.model.graph.constant(q.model.graph.find("w1")), nullptr);
  for (const auto& [id, constant] : body(q.model, "then_branch").initializers)
    EXPECT_EQ(constant.data.rank(), 0);
}

TEST(Bodies, ShareWeightsWithTheMainGraphAndEachOther) {
  const Net net(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3, 6, 6] x, bool c, float[3, 3, 1, 1] w) => (float[n, 3, 6, 6] y)
{ [stem] s = Conv(x, w)  [choose] y = If (c) <
    then_branch = a () => (float[n, 3, 6, 6] ya) { [one] ya = Conv(s, w) },
    else_branch = b () => (float[n, 3, 6, 6] yb) { [two] yb = Conv(x, w) }> })",
                pictures(10, [](int i, Feed& feed) { feed["c"] = Tensor::scalar(i % 2 != 0); }));
  const Quantized q = net.quantize(8, 8);
  EXPECT_GT(net.sqnr_db(q.model), 25);
  int64_t codes = 0;
  for (const auto& [id, constant] : q.model.graph.initializers)
    codes += constant.data.dtype() == DType::kInt8 && constant.data.rank() == 4;
  EXPECT_LE(codes, 2);  // the stem's may be fitted, those of the branches are alike
}

Net loop() {
  return {
      R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3, 6, 6] x, int64 steps, float[8, 3, 3, 3] w1, float[3, 8, 3, 3] w2, float[8, 5] w3) => (float[n, 3, 6, 6] y, float[t, n, 5] z) <bool go = {1}>
{ [loop] y, z = Loop (steps, go, x) <body = b (int64 i, bool k, float[n, 3, 6, 6] s) => (bool more, float[n, 3, 6, 6] next, float[n, 5] each) {
    [one] c1 = Conv <pads = [1, 1, 1, 1]> (s, w1)  r = Relu(c1)  [two] next = Conv <pads = [1, 1, 1, 1]> (r, w2)
    p = GlobalAveragePool(r)  f = Flatten(p)  [dense] each = MatMul(f, w3)  more = Identity(k) }> })",
      pictures(12, [](int i, Feed& feed) { feed["steps"] = Tensor::scalar<int64_t>(1 + i % 3); })};
}

TEST(Bodies, OfLoopsAreCalibratedInEveryRound) {
  const Net net = loop();
  const std::string& input = net.sites.layer("loop/one")->input;
  const ValueStats& stats = net.table.at(input);
  EXPECT_EQ(stats.count, 24 * 3 * 6 * 6);  // 1 + 2 + 3 rounds, four times
  EXPECT_EQ(stats.channel_sum.size(), 3u);
  const Quantized q = net.quantize(8, 8);
  EXPECT_EQ(q.layers.size(), 3u);
  EXPECT_GT(net.sqnr_db(q.model), 25);
  EXPECT_GT(net.sqnr_db(lower_qdq(q.model).model), 25);
}

TEST(Bodies, AreTheSameForAnyNumberOfThreads) {
  const Net net = loop();
  const CalibrationTable many =
      calibrate(net.model, net.sites.activation_names(), net.source, {.threads = 4});
  for (const auto& [name, stats] : net.table.values) {
    EXPECT_EQ(stats.sum, many.at(name).sum);
    EXPECT_EQ(stats.min, many.at(name).min);
    EXPECT_EQ(stats.channel_sum_squares, many.at(name).channel_sum_squares);
    EXPECT_EQ(stats.histogram.counts(), many.at(name).histogram.counts());
  }
}

TEST(Bodies, OfWeightOnlyPlansReadWeightsMadeRealOnce) {
  const Net net = loop();
  for (const auto& [bits, least_db] : {std::pair{8, 30.0}, {4, 8.0}}) {
    const Quantized q = net.quantize(bits, kFloatBits);
    EXPECT_EQ(q.layers.size(), 3u);
    EXPECT_EQ(count(q.model.graph, "DequantizeLinear"),
              3);  // in the main graph, not in every round
    EXPECT_EQ(count(body(q.model, "body"), "DequantizeLinear"), 0);
    EXPECT_GT(net.sqnr_db(q.model), least_db);
  }
}

TEST(Bodies, OfScansAndIfsInsideThem) {
  std::vector<Feed> feeds;
  for (uint64_t i = 0; i < 12; ++i)
    feeds.push_back({{"x", test::normal({4, 1, 8}, i + 1)}, {"h", test::normal({1, 16}, i + 50)}});
  const Net net(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[t, n, 8] x, float[n, 16] h, float[24, 16] w1, float[16, 16] w2, float[16] w2_bias) => (float[n, 16] last, float[t, n, 16] all) <float zero = {0.0}>
{ [scan] last, all = Scan <num_scan_inputs = 1, body = b (float[n, 16] s, float[n, 8] xt) => (float[n, 16] next, float[n, 16] out) {
    both = Concat <axis = 1> (xt, s)  [one] g1 = Gemm(both, w1)  next = Tanh(g1)
    m = ReduceMean <keepdims = 0> (xt)  up = Greater(m, zero)
    [pick] out = If (up) <then_branch = a () => (float[n, 16] oa) { [two] oa = Gemm(next, w2, w2_bias) },
                          else_branch = e () => (float[n, 16] ob) { ob = Neg(next) }> }> (h, x) })",
                feeds);
  ASSERT_NE(net.sites.layer("scan/pick/two"), nullptr);
  const Quantized q = net.quantize(8, 8);
  EXPECT_EQ(q.layers.size(), 2u);
  EXPECT_GT(net.sqnr_db(q.model), 30);
  const Lowered lowered = lower_qdq(q.model);
  for (const LayerStatus& layer : lowered.layers)
    EXPECT_TRUE(layer.integer || layer.type != "Gemm") << layer.name << ": " << layer.reason;
  EXPECT_GT(net.sqnr_db(lowered.model), 30);
}

TEST(Bodies, AreWrittenInQuantizedOperators) {
  const Net net = branches();
  const Quantized q = net.quantize(8, 8, "qoperator");
  const Graph& then = body(q.model, "then_branch");
  EXPECT_EQ(count(then, "QLinearConv"), 2);
  EXPECT_EQ(count(then, "Conv"), 0);
  EXPECT_GT(net.sqnr_db(q.model), 30);
}

TEST(Bodies, WithNestedCodesAreReadAtAnyWidth) {
  const Net net = branches();
  QuantPlan plan = uniform_plan(net.sites, {6, 8});
  set_format(plan, parse_format("nested"));
  QuantizeOptions options;
  options.export_style = "packed";
  const Model wide =
      quantize_model(net.model, net.sites, plan, net.table, &net.source, options).model;
  EXPECT_EQ(net.sqnr_db(wide), net.sqnr_db(narrowed(wide, 6)));
  double last = 0;
  for (int bits = 3; bits <= 6; ++bits) {
    Model read = wide;
    read.graph.initializers[read.graph.find("weight_bits")].data =
        Tensor::scalar<int64_t>(int64_t{bits});
    const Model narrow = narrowed(wide, bits);
    EXPECT_EQ(narrow.graph.constant(narrow.graph.find("weight_bits")), nullptr);
    const double db = net.sqnr_db(narrow);
    EXPECT_EQ(db, net.sqnr_db(read));
    EXPECT_GT(db, last);
    last = db;
  }
  int indices = 0;
  const Model narrow = narrowed(wide, 4);
  for (const auto& [id, constant] : body(narrow, "then_branch").initializers)
    indices += constant.data.dtype() == DType::kUint4;
  EXPECT_EQ(indices, 2);
}

TEST(Bodies, AreRefusedByNameWhereAStyleHasNoPlaceForThem) {
  const Net net = branches();
  for (const char* style : {"integer", "encodings"}) {
    try {
      (void)net.quantize(8, 8, style);
      ADD_FAILURE() << style;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.message()).find("choose"), std::string::npos) << style;
    }
  }
}

TEST(Bodies, TakeRangesAtRunTime) {
  const Net net = branches();
  QuantPlan plan = uniform_plan(net.sites, {8, 8, ActivationMode::kDynamic});
  settle_activation_modes(plan, net.sites, net.model);
  const Quantized q = quantize_model(net.model, net.sites, plan, net.table, &net.source, {});
  EXPECT_EQ(count(body(q.model, "then_branch"), "ConvInteger"), 2);
  EXPECT_GT(net.sqnr_db(q.model), 30);
}

}  // namespace
}  // namespace qtool
