// Weights that are codes only as they are stored.
#include <gtest/gtest.h>

#include <cmath>

#include "qtool/exec.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "qtool/quantize.hpp"
#include "support/random.hpp"

namespace qtool {
namespace {

struct Net {
  Model model;
  Sites sites;

  // The inputs named "w…" become constants.
  explicit Net(const std::string& text) {
    model = model_from_text(text);
    uint64_t seed = 3;
    for (ValueId v : std::vector<ValueId>(model.graph.inputs)) {
      const Value& value = model.graph.value(v);
      if (value.name[0] == 'w')
        model.graph.initializers[v].data = test::normal(*value.shape, ++seed, 0.3);
    }
    model = prepare(model);
    sites = find_sites(model, find_target("ort-cpu"));
  }

  Quantized quantize(int bits, int64_t block = 0) const {
    QuantPlan plan = uniform_plan(sites, {bits, kFloatBits});
    if (block > 0) set_weight_scale(plan, sites, {.block = block});
    return quantize_model(model, sites, plan, {}, nullptr, {});
  }
};

double sqnr_db(const Tensor& want, const Tensor& have) {
  EXPECT_EQ(want.shape(), have.shape());
  double signal = 0, noise = 0;
  for (int64_t i = 0; i < want.size(); ++i) {
    signal += want.number(i) * want.number(i);
    noise += (have.number(i) - want.number(i)) * (have.number(i) - want.number(i));
  }
  return 10 * std::log10(signal / noise);
}

int count(const Model& model, const std::string& type) {
  int n = 0;
  for (const Node& node : model.graph.nodes) n += node.type == type;
  return n;
}

const char* const kTable = R"(<ir_version: 8, opset_import: ["": 17]>
g (int64[n, t] ids, float[50, 64] w) => (float[n, t, 64] y) { [table] y = Gather(w, ids) })";

TEST(Stored, TablesOfEveryWidthPickRowsOfCodes) {
  const Net net(kTable);
  const Feed feed = {{"ids", Tensor::of<int64_t>({2, 3}, {0, 49, 7, 7, -1, 21})}};
  const Tensor want = Executor(net.model).run(feed)[0];
  for (const auto& [bits, block, least_db] :
       {std::tuple{8, 0, 40.0}, {8, 32, 40.0}, {6, 0, 28.0}, {4, 0, 16.0}, {4, 32, 17.0}}) {
    const Quantized q = net.quantize(bits, block);
    ASSERT_EQ(q.layers.size(), 1u);
    EXPECT_EQ(q.layers[0].weight_bits, bits);
    EXPECT_GT(sqnr_db(want, Executor(q.model).run(feed)[0]), least_db) << bits << " " << block;
    // Nothing makes the whole table real.
    const Tensor* codes = q.model.graph.constant(q.model.graph.find("w_quantized"));
    ASSERT_NE(codes, nullptr);
    EXPECT_EQ(codes->bytes(), 50 * 64 * (bits <= 4 ? 4 : 8) / 8);
    EXPECT_EQ(q.model.graph.constant(q.model.graph.find("w")), nullptr);
    EXPECT_EQ(q.model.opset(), block > 0 ? 21 : 17);
  }
}

TEST(Stored, RowsAreExactlyTheirCodesTimesScales) {
  const Net net(kTable);
  const Feed feed = {{"ids", Tensor::of<int64_t>({1, 2}, {5, 6})}};
  const Quantized q = net.quantize(8);
  const Tensor have = Executor(q.model).run(feed)[0];
  const Tensor& codes = *q.model.graph.constant(q.model.graph.find("w_quantized"));
  const Tensor& scale = *q.model.graph.constant(q.model.graph.find("w_scale"));
  for (int64_t i = 0; i < 128; ++i) {
    EXPECT_EQ(have.data<float>()[static_cast<size_t>(i)],
              static_cast<float>(codes.integer(5 * 64 + i)) *
                  scale.data<float>()[static_cast<size_t>(5 + i / 64)]);
  }
}

TEST(Stored, TablesStayFloatWhereAskedFor) {
  const Net net(kTable);
  const QuantPlan plan =
      uniform_plan(net.sites, {8, kFloatBits}, {{"table", {kFloatBits, kFloatBits}}});
  const Quantized q = quantize_model(net.model, net.sites, plan, {}, nullptr, {});
  ASSERT_EQ(q.float_layers.size(), 1u);
  EXPECT_EQ(q.float_layers[0].first, "table");
  EXPECT_NE(q.model.graph.constant(q.model.graph.find("w")), nullptr);
}

TEST(Stored, RecurrentCellsReadDequantizedWeights) {
  const Net net(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[t, n, 32] x, float[2, 96, 32] w1, float[2, 96, 32] w2) => (float[t, two, n, 32] y)
{ [cell] y = GRU <hidden_size = 32, direction = "bidirectional"> (x, w1, w2) })");
  const Feed feed = {{"x", test::normal({5, 2, 32}, 1)}};
  const Tensor want = Executor(net.model).run(feed)[0];
  for (const auto& [bits, block, least_db] :
       {std::tuple{8, 0, 35.0}, {4, 0, 12.0}, {4, 32, 12.0}}) {
    const Quantized q = net.quantize(bits, block);
    EXPECT_EQ(q.layers.size(), 2u);
    EXPECT_EQ(count(q.model, "DequantizeLinear"), 2);
    EXPECT_EQ(q.model.graph.constant(q.model.graph.find("w1")), nullptr);
    EXPECT_GT(sqnr_db(want, Executor(q.model).run(feed)[0]), least_db) << bits << " " << block;
  }
}

}  // namespace
}  // namespace qtool
