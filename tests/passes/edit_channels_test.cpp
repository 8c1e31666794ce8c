#include <gtest/gtest.h>

#include "qtool/exec.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "support/random.hpp"

namespace qtool {
namespace {

using test::normal;

// A model whose inputs but "x" become constants of noise.
Model with_weights(const std::string& text) {
  Model model = model_from_text(text);
  uint64_t seed = 1;
  for (const ValueId v : std::vector<ValueId>(model.graph.inputs)) {
    const Value& value = model.graph.value(v);
    if (value.name != "x") model.graph.initializers[v].data = normal(*value.shape, seed++);
  }
  return prepare(model);
}

void expect_equal(const Model& a, const Model& b, const Shape& shape) {
  const Tensor x = normal(shape, 99);
  const Tensor want = Executor(a).run({{"x", x}})[0], have = Executor(b).run({{"x", x}})[0];
  ASSERT_EQ(want.shape(), have.shape());
  for (int64_t i = 0; i < want.size(); ++i) EXPECT_NEAR(have.number(i), want.number(i), 1e-4) << i;
}

std::vector<float> factors(size_t n) {
  std::vector<float> f;
  for (size_t c = 0; c < n; ++c) f.push_back(1.f + 0.5f * static_cast<float>(c));
  return f;
}

ChannelEdit scale(const std::string& value, size_t channels) {
  return {value, {}, factors(channels), {}};
}

std::vector<std::string> names(const Model& model) {
  std::vector<std::string> found;
  for (const ScalableValue& value : scalable_values(model)) found.push_back(value.name);
  return found;
}

TEST(EditChannels, KeepsWhatAModelComputes) {
  const Model conv = with_weights(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1, 3, 6, 6] x, float[4, 3, 3, 3] w1, float[4] b1, float[4, 1, 3, 3] w2, float[2, 4, 1, 1] w3, float[4, 2, 2, 2] w4) => (float y)
{ a = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)  r = Relu(a)  p = MaxPool <kernel_shape = [2, 2], strides = [1, 1]> (r)
  d = Conv <group = 4, pads = [1, 1, 1, 1]> (p, w2)  e = ConvTranspose(d, w4)  y = HardSwish(e) })");
  EXPECT_EQ(names(conv), (std::vector<std::string>{"p", "d"}));
  expect_equal(conv, edit_channels(conv, {scale("p", 4), scale("d", 4)}), {1, 3, 6, 6});

  const Model dense = with_weights(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[2, 5] x, float[6, 5] w1, float[6] b1, float[6, 3] w2) => (float y)
{ a = Gemm <transB = 1> (x, w1, b1)  r = LeakyRelu(a)  y = MatMul(r, w2) })");
  EXPECT_EQ(names(dense), std::vector<std::string>{"r"});
  expect_equal(dense, edit_channels(dense, {scale("r", 6)}), {2, 5});

  // A constant factor takes the factors of what no layer makes.
  const Model affine = with_weights(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1, 4, 6, 6] x, float k, float[1, 4, 1, 1] b, float[2, 4, 3, 3] w, float[3, 4, 1, 1] v) => (float y, float z)
{ h = HardSwish(x)  m = Mul(k, h)  a = Add(m, b)  r = Relu(a)  y = Conv(r, w)  z = Conv(r, v) })");
  EXPECT_EQ(names(affine), std::vector<std::string>{"r"});
  expect_equal(affine, edit_channels(affine, {scale("r", 4)}), {1, 4, 6, 6});
}

TEST(EditChannels, LeavesAloneWhatOthersSee) {
  // A residual sum, a bounded activation, a graph output, a shared weight.
  EXPECT_TRUE(names(with_weights(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1, 4, 4, 4] x, float[4, 4, 1, 1] w1, float[4, 4, 1, 1] w2) => (float y)
{ a = Conv(x, w1)  b = Conv(a, w2)  y = Add(a, b) })"))
                  .empty());
  EXPECT_TRUE(names(with_weights(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1, 4, 4, 4] x, float[4, 4, 1, 1] w1, float[4, 4, 1, 1] w2, float lo, float hi) => (float y)
{ a = Conv(x, w1)  c = Clip(a, lo, hi)  y = Conv(c, w2) })"))
                  .empty());
  EXPECT_TRUE(names(with_weights(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1, 4, 4, 4] x, float[4, 4, 1, 1] w1, float[4, 4, 1, 1] w2) => (float y, float[1, 4, 4, 4] a)
{ a = Conv(x, w1)  y = Conv(a, w2) })"))
                  .empty());
  const Model shared = with_weights(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1, 4, 4, 4] x, float[4, 4, 1, 1] w) => (float y)
{ a = Conv(x, w)  y = Conv(a, w) })");
  EXPECT_TRUE(names(shared).empty());
  EXPECT_THROW(edit_channels(shared, {scale("a", 4)}), Error);
}

// The constant has more channels than what it is added to or multiplied with.
TEST(EditChannels, LeavesBroadcastChannelsAlone) {
  const Model model = with_weights(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1, 3, 4, 4] x, float[1, 3, 1, 1] w1, float[1, 4, 1, 1] b, float[2, 4, 3, 3] w2) => (float y)
{ a = Conv(x, w1)  r = Relu(a)  s = Add(r, b)  y = Conv(s, w2) })");
  EXPECT_TRUE(names(model).empty());
  // A bias of one number for all columns cannot take a factor a column.
  EXPECT_TRUE(names(with_weights(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[2, 5] x, float[6, 5] w1, float[1] b1, float[6, 3] w2) => (float y)
{ a = Gemm <transB = 1> (x, w1, b1)  r = Relu(a)  y = Gemm(r, w2) })"))
                  .empty());
}

// Two layers, alone or beside another reader, of what a normalization makes; with biases of every kind.
TEST(DenseInputs, KeepWhatAModelComputes) {
  const ChannelEdit shift{"n", factors(6), {}, {}}, split{"n", {}, {}, {1, 4, 4}};
  const ChannelEdit all{"n", factors(6), factors(6), {0, 5, 5}};
  struct Case {
    const char* readers;
    bool alone;
  };
  for (const Case& c : {Case{"y = MatMul(n, w1)  z = MatMul(n, w2)", true},
                        Case{"m = MatMul(n, w1)  y = Add(c, m)  z = MatMul(n, w2)", true},
                        Case{"y = MatMul(n, w1)  m = MatMul(n, w2)  z = Add(n, m)", false}}) {
    const Model model = with_weights(cat(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[2, 3, 6] x, float[6] s, float[6] b, float[6, 5] w1, float[6, 6] w2, float[5] c) => (float y, float z)
{ n = LayerNormalization(x, s, b)  )",
                                         c.readers, " }"));
    const std::vector<ScalableValue> found = dense_inputs(model);
    ASSERT_EQ(found.size(), 1u);
    EXPECT_EQ(found[0].name, "n");
    EXPECT_EQ(found[0].readers.size(), 2u);
    const Tensor x = normal({2, 3, 6}, 99);
    const auto want = Executor(model).run({{"x", x}});
    for (const ChannelEdit& edit : {scale("n", 6), shift, split, all}) {
      const Model edited = edit_channels(model, {edit});
      const auto have = Executor(edited).run({{"x", x}});
      for (size_t o = 0; o < 2; ++o)
        for (int64_t i = 0; i < want[o].size(); ++i)
          EXPECT_NEAR(have[o].number(i), want[o].number(i), 1e-3);
    }
    // The normalization takes factors where layers alone read it, a node in front of them where others do.
    EXPECT_EQ(edit_channels(model, {scale("n", 6)}).graph.nodes.size(),
              model.graph.nodes.size() + (c.alone ? 0 : 1));
  }
}

// A weight or bias that is an output itself stays what it is.
TEST(EditChannels, LeaveConstantsThatAreOutputs) {
  const char* text = R"(<ir_version: 8, opset_import: ["": 17]>
g (float[2, 5] x, float[6, 5] w1, float[6, 3] w2) => (float y, float[6, 3] w2)
{ a = Gemm <transB = 1> (x, w1)  r = Relu(a)  y = MatMul(r, w2) })";
  const Model model = with_weights(text);
  EXPECT_TRUE(names(model).empty());
  for (const ScalableValue& value : dense_inputs(model)) EXPECT_EQ(value.name, "x");
  EXPECT_THROW(edit_channels(model, {scale("r", 6)}), Error);
}

TEST(DenseInputs, ShiftsReachBiasesOfMatrices) {
  for (const char* layer : {"y = Gemm <transB = 1> (r, w, c)", "y = Gemm <transB = 1> (r, w)",
                            "y = Gemm <transB = 1, beta = 0.5> (r, w, c)"}) {
    const Model model = with_weights(cat(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[2, 6] x, float[4, 6] w, float[4] c) => (float[2, 4] y) { r = Relu(x)  )",
                                         layer, " }"));
    const ChannelEdit edit{"r", factors(6), factors(6), {3}};
    expect_equal(model, edit_channels(model, {edit}), {2, 6});
    EXPECT_THROW(edit_channels(model, {{"r", factors(5), {}, {}}}), Error);
    EXPECT_THROW(edit_channels(model, {{"r", {}, {}, {6}}}), Error);
    EXPECT_THROW(edit_channels(model, {{"w", {}, {}, {0}}}), Error);
  }
}

TEST(FoldOffsets, LeaveBroadcastChannelsAlone) {
  Model original = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1, 1, 4, 4] x, float[1, 3, 1, 1] b, float[2, 3, 3, 3] w) => (float y)
{ h = HardSwish(x)  s = Add(h, b)  y = Conv(s, w) })");
  Graph& g = original.graph;
  g.initializers[g.find("b")].data = normal({1, 3, 1, 1}, 1);
  g.initializers[g.find("w")].data = normal({2, 3, 3, 3}, 2);
  expect_equal(original, prepare(original), {1, 1, 4, 4});
}

TEST(FoldOffsets, MovesAConstantIntoTheBiasesOfItsReaders) {
  const char* text = R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1, 4, 6, 5] x, float k, float b, float[4, 1, 3, 3] w, float[2, 4, 1, 1] v, float[2] c) => (float y, float z)
{ h = HardSwish(x)  m = Mul(h, k)  a = Add(m, b)  y = Conv <group = 4, pads = [1, 0, 2, 1]> (a, w)
  z = Conv(a, v, c) })";
  Model original = model_from_text(text);
  uint64_t seed = 1;
  for (const ValueId v : std::vector<ValueId>(original.graph.inputs)) {
    const Value& value = original.graph.value(v);
    if (value.name != "x") original.graph.initializers[v].data = normal(*value.shape, seed++);
  }
  const Model prepared = prepare(original);
  for (const Node& node : prepared.graph.nodes) EXPECT_FALSE(is(node, "Add"));
  expect_equal(original, prepared, {1, 4, 6, 5});
}

TEST(FoldOffsets, LeaveTheFactorOfAPaddedInputNextToItsReader) {
  const Model model = with_weights(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1, 4, 6, 5] x, float k, float b, float[4, 1, 3, 3] w) => (float y)
{ h = HardSwish(x)  m = Mul(k, h)  a = Add(m, b)  y = Conv <group = 4, pads = [1, 0, 2, 1]> (a, w) })");
  EXPECT_EQ(names(model), std::vector<std::string>{"m"});
  expect_equal(model, edit_channels(model, {scale("m", 4)}), {1, 4, 6, 5});

  // Another reader of the product would see the padding.
  const Model read = with_weights(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1, 4, 6, 5] x, float k, float b, float[4, 1, 3, 3] w) => (float y, float[1, 4, 6, 5] m)
{ h = HardSwish(x)  m = Mul(k, h)  a = Add(m, b)  y = Conv <group = 4, pads = [1, 0, 2, 1]> (a, w) })");
  EXPECT_TRUE(names(read).empty());
}

}  // namespace
}  // namespace qtool
