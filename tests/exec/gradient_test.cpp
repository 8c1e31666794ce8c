// Every vjp against central differences of the operator's own evaluation.
#include "qtool/gradient.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "exec/gradient/vjp.hpp"
#include "qtool/onnx.hpp"

namespace qtool {
namespace {

// One operator on random inputs.
struct Case {
  std::string type;
  std::vector<Shape> shapes;  // of the inputs that get gradients, which come first
  std::vector<Tensor> fixed = {};
  std::vector<Attribute> attributes = {};
  int64_t opset = 17;
  size_t outputs = 1;
  double lowest = -2, highest = 2;  // of the inputs
  std::string domain = "";
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.type; }

Attribute with(std::string name, AttributeValue value) {
  return {std::move(name), std::move(value), ""};
}
using Ints = std::vector<int64_t>;
Tensor ints(Ints values) { return Tensor::of({static_cast<int64_t>(values.size())}, values); }
Tensor random_tensor(const Shape& shape, uint64_t seed, double low = -1, double high = 1) {
  Rng rng(seed);
  Tensor t(DType::kFloat, shape);
  for (float& v : t.mutable_data<float>())
    v = static_cast<float>(low + (high - low) * rng.uniform());
  return t;
}

struct Built {
  Model model;
  std::vector<Tensor> inputs;
  std::vector<std::string> names;  // of the inputs that get gradients
  std::map<std::string, Tensor> feed;
};

Built build(const Case& c) {
  Built b;
  Graph& g = b.model.graph;
  b.model.opsets[""] = c.opset;
  b.model.opsets[c.domain] = c.opset;
  Node node;
  node.name = "n";
  node.type = c.type;
  node.domain = c.domain;
  node.attributes = c.attributes;
  for (size_t i = 0; i < c.shapes.size(); ++i) {
    b.inputs.push_back(random_tensor(c.shapes[i], 7 + i, c.lowest, c.highest));
    b.names.push_back(cat("x", i));
    b.feed[b.names.back()] = b.inputs.back();
    node.inputs.push_back(add_value(g, b.names.back(), DType::kFloat, c.shapes[i]));
    g.inputs.push_back(node.inputs.back());
  }
  for (const Tensor& t : c.fixed) {
    b.inputs.push_back(t);
    node.inputs.push_back(t.defined() ? add_initializer(g, cat("c", node.inputs.size()), t)
                                      : ValueId::kNone);
  }
  for (size_t i = 0; i < c.outputs; ++i) {
    node.outputs.push_back(add_value(g, cat("y", i), DType::kFloat));
    g.outputs.push_back(node.outputs.back());
  }
  g.nodes.push_back(node);
  return b;
}

class Vjp : public testing::TestWithParam<Case> {};

TEST_P(Vjp, AgreesWithFiniteDifferences) {
  Built b = build(GetParam());
  const Node& node = b.model.graph.nodes[0];
  const Gradient gradient(b.model, b.names);
  const Gradient::Tape tape = gradient.forward(b.feed);
  std::vector<Tensor> seeds;
  for (const Tensor& y : tape.outputs) seeds.push_back(random_tensor(y.shape(), 99 + seeds.size()));
  const auto found = gradient.backward(tape, seeds);
  const auto loss = [&] {
    double sum = 0;
    const auto outputs = eval_node(node, GetParam().opset, b.inputs);
    for (size_t o = 0; o < seeds.size(); ++o)
      for (int64_t i = 0; i < seeds[o].size(); ++i)
        sum += seeds[o].number(i) * outputs[o].number(i);
    return sum;
  };
  for (size_t i = 0; i < b.names.size(); ++i) {
    const Tensor& d = found.at(b.names[i]);
    ASSERT_EQ(d.shape(), GetParam().shapes[i]);
    for (int64_t k = 0; k < d.size(); ++k) {
      const double x = b.inputs[i].number(k), step = 1.0 / 512;
      b.inputs[i].set_number(k, x + step);
      const double above = loss();
      b.inputs[i].set_number(k, x - step);
      const double below = loss();
      b.inputs[i].set_number(k, x);
      const double want = (above - below) / (2 * step);
      EXPECT_NEAR(d.number(k), want, 4e-3 * (1 + std::abs(want)))
          << GetParam().type << " input " << i << " element " << k;
    }
  }
}

const Tensor kPositive = random_tensor({3}, 5, 0.5, 2);
const std::vector<Case> kCases = {
    {"Relu", {{2, 3}}},
    {"Clip", {{2, 5}}, {Tensor::scalar(-0.5f), Tensor::scalar(1.f)}},
    {"Clip", {{2, 5}}, {}, {with("min", -0.5f), with("max", 1.f)}, 6},
    {"LeakyRelu", {{2, 3}}, {}, {with("alpha", 0.3f)}},
    {"Elu", {{2, 3}}},
    {"Selu", {{2, 3}}},
    {"Celu", {{2, 3}}, {}, {with("alpha", 2.f)}},
    {"ThresholdedRelu", {{2, 3}}, {}, {with("alpha", 0.25f)}},
    {"PRelu", {{2, 3, 2}, {3, 1}}},
    {"Sigmoid", {{2, 3}}},
    {"HardSigmoid", {{2, 3}}},
    {"HardSwish", {{4, 5}}, {}, {}, 17, 1, -4, 4},
    {"Swish", {{2, 3}}, {}, {}, 24},
    {"Mish", {{2, 3}}, {}, {}, 18},
    {"Softplus", {{2, 3}}},
    {"Softsign", {{2, 3}}},
    {"Gelu", {{2, 3}}, {}, {}, 20},
    {"Gelu", {{2, 3}}, {}, {with("approximate", std::string("tanh"))}, 20},
    {"Tanh", {{2, 3}}},
    {"Erf", {{2, 3}}},
    {"Exp", {{2, 3}}},
    {"Log", {{2, 3}}, {}, {}, 17, 1, 0.5, 2},
    {"Sqrt", {{2, 3}}, {}, {}, 17, 1, 0.5, 2},
    {"Reciprocal", {{2, 3}}, {}, {}, 17, 1, 0.5, 2},
    {"Abs", {{2, 3}}},
    {"Neg", {{2, 3}}},
    {"Sin", {{2, 3}}},
    {"Cos", {{2, 3}}},
    {"Add", {{2, 3, 4}, {3, 1}}},
    {"Add", {{2, 3}}, {kPositive}},
    {"Sum", {{2, 3}, {2, 3}, {3}}},
    {"Mean", {{2, 3}, {3}}},
    {"Sub", {{2, 1}, {2, 3}}},
    {"Mul", {{2, 3, 1, 1}, {2, 3, 2, 2}}},
    {"Mul", {{2, 3}}, {kPositive}},
    {"Div", {{2, 3}, {3}}, {}, {}, 17, 1, 0.5, 2},
    {"Pow", {{2, 3}}, {Tensor::scalar(2.f)}},
    {"Pow", {{2, 3}, {1}}, {}, {}, 17, 1, 0.5, 2},
    {"Max", {{2, 3}, {3}}},
    {"Min", {{2, 3}, {2, 3}}},
    {"Conv", {{2, 3, 5, 4}}, {random_tensor({4, 3, 3, 3}, 3)}, {with("pads", Ints{1, 1, 1, 1})}},
    {"Conv",
     {{1, 4, 6, 5}},
     {random_tensor({6, 2, 3, 2}, 3), random_tensor({6}, 4)},
     {with("group", int64_t{2}), with("strides", Ints{2, 1}), with("pads", Ints{1, 0, 2, 1})}},
    {"Conv",
     {{2, 8, 5, 5}},
     {random_tensor({8, 1, 3, 3}, 3)},
     {with("group", int64_t{8}), with("dilations", Ints{2, 1})}},
    {"Conv", {{2, 3, 7}}, {random_tensor({2, 3, 3}, 3)}, {with("strides", Ints{2})}},
    {"Conv", {{2, 3, 5, 4}, {4, 3, 3, 3}, {4}}, {}, {with("pads", Ints{1, 1, 1, 1})}},
    {"Conv",
     {{1, 4, 6, 5}, {6, 2, 3, 2}, {6}},
     {},
     {with("group", int64_t{2}), with("strides", Ints{2, 1}), with("pads", Ints{1, 0, 2, 1})}},
    {"Conv",
     {{2, 8, 5, 5}, {8, 1, 3, 3}},
     {},
     {with("group", int64_t{8}), with("dilations", Ints{2, 1})}},
    {"Conv",
     {{2, 3, 9, 12}, {6, 1, 5, 4}},
     {},
     {with("group", int64_t{3}), with("strides", Ints{2, 3}), with("pads", Ints{2, 1, 1, 2})}},
    {"Conv",
     {{2, 3, 11}, {3, 1, 2}},
     {},
     {with("group", int64_t{3}), with("strides", Ints{4}), with("pads", Ints{0, 3})}},
    {"Conv", {{2, 3, 7}, {2, 3, 3}}, {}, {with("strides", Ints{2})}},
    {"ConvTranspose",
     {{2, 4, 3, 2}},
     {random_tensor({4, 3, 3, 3}, 3)},
     {with("strides", Ints{2, 2}), with("pads", Ints{1, 0, 0, 1}),
      with("output_padding", Ints{1, 0})}},
    {"ConvTranspose",
     {{1, 4, 4, 4}},
     {random_tensor({4, 1, 2, 2}, 3)},
     {with("group", int64_t{2}), with("auto_pad", std::string("SAME_UPPER"))}},
    {"ConvTranspose",
     {{2, 4, 3, 3}, {4, 3, 2, 3}},
     {},
     {with("group", int64_t{2}), with("strides", Ints{2, 1})}},
    {"Gemm", {{2, 3}, {3, 4}, {4}}, {}, {with("alpha", 0.5f), with("beta", 2.f)}},
    {"Gemm", {{3, 2}, {4, 3}}, {}, {with("transA", int64_t{1}), with("transB", int64_t{1})}},
    {"Gemm", {{2, 3}, {4, 3}}, {}, {with("transB", int64_t{1})}},
    {"Gemm", {{3, 2}, {3, 4}}, {}, {with("transA", int64_t{1})}},
    {"MatMul", {{2, 3, 4}}, {random_tensor({4, 5}, 3)}},
    {"MatMul", {{2, 1, 3, 4}, {3, 4, 2}}},
    {"MatMul", {{4}, {2, 4, 3}}},
    {"MatMul", {{2, 3, 4}, {4}}},
    {"GlobalAveragePool", {{2, 3, 2, 3}}},
    {"GlobalMaxPool", {{2, 3, 2, 3}}},
    {"AveragePool",
     {{1, 2, 5, 4}},
     {},
     {with("kernel_shape", Ints{3, 2}), with("strides", Ints{2, 1}),
      with("pads", Ints{1, 0, 1, 1})}},
    {"AveragePool",
     {{1, 2, 5, 5}},
     {},
     {with("kernel_shape", Ints{3, 3}), with("strides", Ints{2, 2}), with("ceil_mode", int64_t{1}),
      with("pads", Ints{1, 1, 0, 0}), with("count_include_pad", int64_t{1})}},
    {"MaxPool",
     {{2, 2, 5, 4}},
     {},
     {with("kernel_shape", Ints{3, 2}), with("strides", Ints{2, 1}),
      with("pads", Ints{1, 0, 1, 1})}},
    {"ReduceMean", {{2, 3, 4}}, {}, {with("axes", Ints{1, -1}), with("keepdims", int64_t{0})}},
    {"ReduceMean", {{2, 3, 4}}, {ints({2})}, {}, 18},
    {"ReduceSum", {{2, 3}}},
    {"Identity", {{2, 3}}},
    {"Reshape", {{2, 3}}, {ints({3, -1})}},
    {"Flatten", {{2, 3, 2}}},
    {"Squeeze", {{2, 1, 3}}, {ints({1})}},
    {"Unsqueeze", {{2, 3}}, {ints({0, 2})}},
    {"Transpose", {{2, 3, 4}}, {}, {with("perm", Ints{2, 0, 1})}},
    {"Concat", {{2, 3}, {2, 1}}, {}, {with("axis", int64_t{1})}},
    {"Concat", {{2, 3}}, {random_tensor({2, 2}, 3)}, {with("axis", int64_t{-1})}},
    {"Split", {{2, 5}}, {ints({2, 3})}, {with("axis", int64_t{1})}, 17, 2},
    {"Slice", {{4, 5}}, {ints({0, 4}), ints({3, 0}), ints({0, 1}), ints({2, -2})}},
    {"Pad", {{2, 3}}, {ints({1, 0, 0, 2}), Tensor::scalar(0.5f)}},
    {"Pad", {{2, 3}}, {ints({0, 2, 0, 1})}, {with("mode", std::string("reflect"))}},
    {"Pad", {{2, 3}}, {}, {with("pads", Ints{0, 1, 1, 0}), with("value", 3.f)}, 2},
    {"Expand", {{3, 1}}, {ints({2, 3, 4})}},
    {"Tile", {{2, 3}}, {ints({2, 2})}},
    {"Gather", {{4, 3}}, {ints({2, 0, 2, -1})}},
    {"GatherElements", {{3, 2}}, {Tensor::of<int64_t>({2, 2}, {0, 1, 2, 0})}},
    {"GatherND", {{3, 2}}, {Tensor::of<int64_t>({2, 2}, {0, 1, 2, 0})}},
    {"DepthToSpace", {{1, 8, 2, 2}}, {}, {with("blocksize", int64_t{2})}},
    {"SpaceToDepth", {{1, 2, 4, 2}}, {}, {with("blocksize", int64_t{2})}},
    {"Resize",
     {{2, 3, 3, 4}},
     {Tensor(), Tensor::of<float>({4}, {1, 1, 2, 1.5f})},
     {with("mode", std::string("nearest"))}},
    {"Resize",
     {{2, 3, 3, 4}},
     {Tensor(), Tensor(), ints({2, 3, 5, 2})},
     {with("mode", std::string("linear"))}},
    {"Resize",
     {{2, 2, 4, 4}},
     {Tensor(), Tensor::of<float>({4}, {1, 1, 2, 2})},
     {with("mode", std::string("cubic")),
      with("coordinate_transformation_mode", std::string("align_corners"))}},
    {"Upsample", {{1, 2, 2, 3}}, {Tensor::of<float>({4}, {1, 1, 2, 2})}, {}, 9},
    {"BatchNormalization", {{2, 3, 2}}, {kPositive, kPositive, kPositive, kPositive}},
    {"LayerNormalization", {{2, 2, 3}}, {kPositive, kPositive}},
    {"LayerNormalization", {{2, 2, 3}}, {kPositive}, {with("axis", int64_t{1})}},
    {.type = "ChannelAffine", .shapes = {{2, 3, 4}, {3}, {3}}, .domain = "qtool"},
    {.type = "ChannelAffine",
     .shapes = {{2, 9}, {9}},
     .fixed = {Tensor()},
     .attributes = {with("axis", int64_t{-1})},
     .domain = "qtool"},
    {"LpNormalization", {{2, 3}}},
    {"LpNormalization", {{2, 3, 2}}, {}, {with("axis", int64_t{1}), with("p", int64_t{1})}},
    {"Softmax", {{2, 3, 2}}, {}, {with("axis", int64_t{1})}},
    {"Softmax", {{2, 3, 2}}, {}, {}, 11},
    {"LogSoftmax", {{2, 3}}},
};

INSTANTIATE_TEST_SUITE_P(Operators, Vjp, testing::ValuesIn(kCases),
                         [](const auto& i) { return cat(i.param.type, "_", i.index); });

TEST(Gradient, EveryVjpHasACase) {
  for (const gradient::VjpDef& def : gradient::vjps()) {
    if (!def.vjp || def.type == "Dropout" || def.type == "FakeQuantize" || def.type == "Cast" ||
        def.type == "Where")
      continue;
    EXPECT_TRUE(std::ranges::any_of(kCases, [&](const Case& c) { return c.type == def.type; }))
        << def.type;
  }
}

// y = relu(x · a) + (x · a), z = argmax; the Where takes one branch or the other.
Model branches() {
  return model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 2] x) => (float[n, 2] y, int64[n, 1] z)
<float[2] a = {2.0, -1.0}, float zero = {0.0}, float[2] b = {10.0, 20.0}>
{ s = Mul(x, a)  p = Greater(s, zero)  r = Where(p, s, b)  t = Identity(s)  y = Add(r, t)
  z = ArgMax<axis = 1>(y) })");
}

TEST(Gradient, SumsOverTheBranchesOfAValue) {
  const Gradient gradient(branches(), {"s", "x"});
  const auto tape = gradient.forward({{"x", Tensor::of<float>({1, 2}, {1.f, 1.f})}});
  const auto d = gradient.backward(tape, {Tensor::of<float>({1, 2}, {1.f, 10.f}), Tensor()});
  EXPECT_EQ(d.at("s").number(0), 2);
  EXPECT_EQ(d.at("s").number(1), 10);
  EXPECT_EQ(d.at("x").number(0), 4);
  EXPECT_EQ(d.at("x").number(1), -10);
}

TEST(Gradient, ShowsEverySeedsGradientsWhenTheyAreComplete) {
  const Gradient gradient(branches(), {"s", "x"}, {"s"});
  auto tape = gradient.forward({{"x", Tensor::of<float>({1, 2}, {1.f, 1.f})}});
  std::map<std::string, std::vector<Tensor>> found;
  gradient.backward(tape,
                    {{Tensor::of<float>({1, 2}, {1.f, 10.f}), Tensor()}, {Tensor(), Tensor()}},
                    [&](const std::string& name, const std::vector<Tensor>& gradients) {
                      EXPECT_TRUE(found.emplace(name, gradients).second) << name;
                      if (name == "s") {
                        EXPECT_EQ(gradient.value(tape, "s").size(), 2);
                      }
                    });
  EXPECT_THROW((void)gradient.value(tape, "s"), Error);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found.at("s")[0].number(1), 10);
  EXPECT_EQ(found.at("x")[0].number(0), 4);
  EXPECT_FALSE(found.at("x")[1].defined());
}

TEST(Gradient, LeavesOutWhatNoSeedReaches) {
  const Gradient gradient(branches(), {"s"});
  const auto tape = gradient.forward({{"x", Tensor::of<float>({1, 2}, {1.f, 1.f})}});
  EXPECT_TRUE(gradient.backward(tape, {Tensor(), Tensor()}).empty());
}

TEST(Gradient, SeesRoundingAsTheIdentityAndClippingAsAConstant) {
  Model model;
  Graph& g = model.graph;
  model.opsets = {{"", 17}, {"qtool", 1}};
  const ValueId x = add_value(g, "x", DType::kFloat, Shape{4}),
                s = add_value(g, "s", DType::kFloat, Shape{}),
                y = add_value(g, "y", DType::kFloat, Shape{4});
  g.inputs = {x, s};
  g.outputs = {y};
  g.nodes.push_back(make_node(g, "n", "FakeQuantize", {x, s}, {y},
                              {{"low", int64_t{-2}, ""}, {"high", int64_t{3}, ""}}));
  g.nodes[0].domain = "qtool";
  const Gradient gradient(model, {"x", "s"});
  const auto tape = gradient.forward(
      {{"x", Tensor::of<float>({4}, {-2.f, 0.6f, 1.f, 9.f})}, {"s", Tensor::scalar<float>(0.5f)}});
  const std::vector<double> rounded = {-1, 0.5, 1, 1.5};
  for (int64_t i = 0; i < 4; ++i)
    EXPECT_EQ(tape.outputs[0].number(i), rounded[static_cast<size_t>(i)]);
  const auto d = gradient.backward(tape, {Tensor::of<float>({4}, {1.f, 10.f, 100.f, 1000.f})});
  const std::vector<double> passed = {0, 10, 100, 0};
  for (int64_t i = 0; i < 4; ++i) EXPECT_EQ(d.at("x").number(i), passed[static_cast<size_t>(i)]);
  // Clipped values go with the end of the range, others with what rounding added.
  EXPECT_NEAR(d.at("s").number(0), 1 * -2 + 10 * (1 - 1.2) + 100 * 0 + 1000 * 3, 1e-3);
}

TEST(WeightGradient, NeedsNoRunOfTheModel) {
  const Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[2, 3] x) => (float[2, 2] y) <float[2, 3] w = {1, 2, 3, 4, 5, 6}>
{ y = Gemm<transB = 1, alpha = 0.5>(x, w) })");
  const WeightGradient gradient(model, model.graph.nodes[0], {2, 3});
  const Tensor x = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6}),
               dw = gradient.of(x, Tensor::of<float>({2, 2}, {1, 10, 100, 1000}));
  ASSERT_EQ(dw.shape(), (Shape{2, 3}));
  EXPECT_EQ(dw.number(0), 0.5 * (1 * 1 + 100 * 4));
  EXPECT_EQ(dw.number(5), 0.5 * (10 * 3 + 1000 * 6));
}

TEST(Gradient, NamesTheOperatorWithoutOne) {
  const Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[2, 2] x) => (float[] y) { s = Relu(x)  y = Det(s) })");
  try {
    const Gradient gradient(model, {"s"});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), kUnsupportedCode);
    EXPECT_NE(e.message().find("Det"), std::string::npos);
  }
}

}  // namespace
}  // namespace qtool
