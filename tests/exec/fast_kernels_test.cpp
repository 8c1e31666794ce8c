// Fast kernels against the operators' reference.
#include <gtest/gtest.h>

#include <cmath>

#include "qtool/exec.hpp"
#include "qtool/onnx.hpp"
#include "support/random.hpp"

namespace qtool {
namespace {

struct Case {
  const char* name;
  int opset;
  const char* graph;   // "(inputs) => (outputs) { nodes }"
  const char* kernel;  // what the first node's kernel name starts with
};

// NOLINTBEGIN: one case a line
const Case kCases[] = {
    {"transposed convolution", 17,
     "(float[2, 6, 5, 7] x, float[6, 4, 3, 3] w, float[4] b) => (float[n, c, h, v] y) { y = "
     "ConvTranspose <strides = [2, 2], pads = [1, 1, 1, 1], output_padding = [1, 1]> (x, w, b) }",
     "onednn:"},
    {"up a step", 17,
     "(float[2, 6, 5, 7] x, float[6, 4, 2, 3] w, float[4] b) => (float[n, c, h, v] y) { y = "
     "ConvTranspose <strides = [2, 3]> (x, w, b) }",
     "onednn:"},
    {"up to one channel", 17,
     "(float[2, 6, 5, 7] x, float[6, 1, 2, 2] w) => (float[n, c, h, v] y) { y = ConvTranspose "
     "<strides = [2, 2]> (x, w) }",
     "onednn:"},
    {"up along a line", 17,
     "(float[2, 6, 5] x, float[6, 3, 4] w, float[3] b) => (float[n, c, h] y) { y = ConvTranspose "
     "<strides = [4]> (x, w, b) }",
     "onednn:"},
    {"in groups", 17,
     "(float[1, 6, 9] x, float[6, 2, 4] w) => (float[n, c, h] y) { y = ConvTranspose <group = 3, "
     "strides = [3], dilations = [2]> (x, w) }",
     "onednn:"},
    {"in three dimensions", 17,
     "(float[1, 2, 3, 3, 3] x, float[2, 3, 2, 2, 2] w) => (float[n, c, d, h, v] y) { y = "
     "ConvTranspose <auto_pad = \"SAME_LOWER\", strides = [2, 2, 2]> (x, w) }",
     "onednn:"},
    {"of a wanted size", 17,
     "(float[1, 3, 4, 4] x, float[3, 3, 3, 3] w) => (float[n, c, h, v] y) { y = ConvTranspose "
     "<strides = [2, 2], output_shape = [8, 9]> (x, w) }",
     "onednn:"},
    {"pool of planes", 17,
     "(float[2, 16, 13, 12] x) => (float[n, c, h, v] y) { y = MaxPool <kernel_shape = [3, 3], "
     "strides = [2, 2], pads = [1, 1, 1, 1]> (x) }",
     "onednn:jit"},
    {"average pool of planes", 17,
     "(float[2, 16, 13, 12] x) => (float[n, c, h, v] y) { y = AveragePool <kernel_shape = [2, 3]> "
     "(x) }",
     "onednn:jit"},
    {"softmax of channels", 17,
     "(float[2, 9, 4, 5] x) => (float[2, 9, 4, 5] y) { y = Softmax <axis = 1> (x) }", "onednn:jit"},
    {"logarithm of softmax", 17,
     "(float[3, 7] x) => (float[3, 7] y) { y = LogSoftmax <axis = -1> (x) }", "onednn:jit"},
    {"logarithm", 17, "(float[3, 37] x) => (float[3, 37] y) { a = Abs(x) y = Log(a) }", "onednn:"},
    {"sine", 17, "(float[3, 37] x) => (float[3, 37] y) { y = Sin(x) }", "float:sin"},
    {"cosine", 17, "(float[3, 37] x) => (float[3, 37] y) { y = Cos(x) }", "float:cos"},
    {"floor", 17, "(float[3, 37] x) => (float[3, 37] y) { y = Floor(x) }", "float:round"},
    {"ceil", 17, "(float[3, 37] x) => (float[3, 37] y) { y = Ceil(x) }", "float:round"},
    {"round", 17, "(float[3, 37] x) => (float[3, 37] y) { y = Round(x) }", "float:round"},
    {"selu", 17, "(float[3, 37] x) => (float[3, 37] y) { y = Selu <alpha = 1.5> (x) }",
     "float:selu"},
    {"square", 17, "(float[3, 37] x) => (float[3, 37] y) <float e = {2}> { y = Pow(x, e) }",
     "float:square"},
    {"cube", 17, "(float[3, 37] x) => (float[3, 37] y) <int64[1] e = {3}> { y = Pow(x, e) }",
     "float:cube"},
    {"softplus", 17, "(float[3, 37] x) => (float[3, 37] y) { y = Softplus(x) }", "float:softplus"},
    {"mish", 18, "(float[3, 37] x) => (float[3, 37] y) { y = Mish(x) }", "float:mish"},
    {"tanh", 17, "(float[3, 37] x) => (float[3, 37] y) { y = Tanh(x) }", "float:tanh"},
    {"instances", 17,
     "(float[2, 5, 3, 7] x, float[5] s, float[5] b) => (float[2, 5, 3, 7] y) { y = "
     "InstanceNormalization(x, s, b) }",
     "float:"},
    {"groups", 21,
     "(float[2, 6, 11] x, float[6] s, float[6] b) => (float[2, 6, 11] y) { y = GroupNormalization "
     "<num_groups = 2> (x, s, b) }",
     "float:"},
    {"LSTM", 17,
     "(float[5, 3, 7] x, float[2, 36, 7] w, float[2, 36, 9] r, float[2, 72] b, float[2, 3, 9] h, "
     "float[2, 3, 9] c) => (float[5, 2, 3, 9] y, float[2, 3, 9] yh, float[2, 3, 9] yc) { y, yh, yc "
     "= LSTM <hidden_size = 9, direction = \"bidirectional\"> (x, w, r, b, , h, c) }",
     "float:recurrent"},
    {"GRU", 17,
     "(float[5, 3, 7] x, float[1, 27, 7] w, float[1, 27, 9] r, float[1, 54] b) => (float[5, 1, 3, "
     "9] y, float[1, 3, 9] yh) { y, yh = GRU <hidden_size = 9, direction = \"reverse\"> (x, w, r, "
     "b) }",
     "float:recurrent"},
    {"GRU that resets late", 17,
     "(float[5, 3, 7] x, float[1, 27, 7] w, float[1, 27, 9] r, float[1, 54] b) => (float[5, 1, 3, "
     "9] y) { y = GRU <hidden_size = 9, linear_before_reset = 1> (x, w, r, b) }",
     "float:recurrent"},
    {"RNN", 17,
     "(float[4, 2, 40] x, float[1, 33, 40] w, float[1, 33, 33] r) => (float[4, 1, 2, 33] y) { y = "
     "RNN <hidden_size = 33, activations = [\"Tanh\"]> (x, w, r) }",
     "float:recurrent"},
};
// NOLINTEND

Feed feed_of(const Model& model) {
  Feed feed;
  for (const ValueId input : model.graph.inputs) {
    const Value& value = model.graph.value(input);
    feed[value.name] = test::normal(*value.shape, 3 + feed.size());
  }
  return feed;
}

TEST(FastKernels, AgreeWithTheReference) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    std::string text = cat("<ir_version: 10, opset_import: [\"\": ", c.opset, "]> g ", c.graph);
    const Model model = model_from_text(text);
    const Feed feed = feed_of(model);
    const Executor fast(model);
    const auto have = fast.run(feed),
               want = Executor(model, {.backend = Backend::kReference, .observe = {}}).run(feed);
    EXPECT_EQ(fast.steps()[0].kernel.rfind(c.kernel, 0), 0u) << fast.steps()[0].kernel;
    for (size_t o = 0; o < want.size(); ++o) {
      ASSERT_EQ(have[o].shape(), want[o].shape());
      for (int64_t i = 0; i < want[o].size(); ++i)
        ASSERT_NEAR(have[o].number(i), want[o].number(i), 2e-6 * (10 + std::abs(want[o].number(i))))
            << "output " << o << ", element " << i;
    }
  }
}

// Between the transposes that make channels the last axis in memory and back nothing is reordered.
TEST(FastKernels, MoveChannelsLastValuesWhereTheyLie) {
  // NOLINTBEGIN: one case a line
  const char* const kMoves[] = {
      "s = Constant <value_ints = [1, -1]> () e = Constant <value_ints = [9, 0]> () a = Constant "
      "<value_ints = [1, -1]> () t = Constant <value_ints = [2, -2]> () y = Slice(c, s, e, a, t)",
      "s = Constant <value_ints = [0, 2]> () e = Constant <value_ints = [2, 5]> () y = Slice(c, s, "
      "e)",
      "p = Constant <value_ints = [0, 1, 0, 2, 0, 3, 1, 0]> () y = Pad(c, p)",
      "p = Constant <value_ints = [1, 2]> () v = Constant <value_float = 0.5> () a = Constant "
      "<value_ints = [-3]> () y = Pad(c, p, v, a)",
      "p = Constant <value_ints = [0, 1, 1, 0, 0, 1, 1, 0]> () y = Pad <mode = \"reflect\"> (c, p)",
      "l = Constant <value_ints = [2, 4]> () u, v = Split <axis = 1> (c, l) y = Concat <axis = -3> "
      "(v, u)",
      "u, v, w = Split <axis = -1, num_outputs = 3> (c) y = Concat <axis = 3> (w, v, u)",
      "r = Constant <value_floats = [1.0, 1.0, 2.0, 1.5]> () y = Resize <mode = \"linear\"> (c, , "
      "r)",
      "r = Constant <value_ints = [2, 6, 5, 8]> () y = Resize (c, , , r)"};
  // NOLINTEND
  for (const char* const moves : kMoves) {
    SCOPED_TRACE(moves);
    const Model model = model_from_text(
        cat("<ir_version: 10, opset_import: [\"\": 18]> g (float[2, 7, 9, 6] x) => (float[n, h, w, "
            "d] z) { c = Transpose <perm = [0, 3, 1, 2]> (x) ",
            moves, " z = Transpose <perm = [0, 2, 3, 1]> (y) }"));
    const Feed feed = feed_of(model);
    const Executor fast(model);
    const auto have = fast.run(feed),
               want = Executor(model, {.backend = Backend::kReference, .observe = {}}).run(feed);
    for (const StepInfo& step : fast.steps()) EXPECT_EQ(step.kernel, "channels last") << step.type;
    ASSERT_EQ(have[0].shape(), want[0].shape());
    for (int64_t i = 0; i < want[0].size(); ++i)
      ASSERT_EQ(have[0].number(i), want[0].number(i)) << i;
  }
}

// Codes and weights of all values, among them those whose pairs of products leave int16.
TEST(FastKernels, SumsOfCodesAreExact) {
  struct Sums {
    const char* type;
    Shape x, w;
    const char* node;
    const char* kernel;
  };
  const Sums cases[] = {
      {"uint8",
       {2, 8, 7, 6},
       {5, 8, 3, 3},
       "ConvInteger <pads = [1, 1, 1, 1]> (x, w, z)",
       "integer:"},
      {"int8",
       {1, 8, 9, 5},
       {6, 4, 3, 2},
       "ConvInteger <group = 2, strides = [2, 1], dilations = [1, 2]> (x, w, z)",
       "integer:"},
      {"uint8", {1, 4, 5, 5}, {4, 1, 3, 3}, "ConvInteger <group = 4> (x, w, z)", "reference"},
      {"uint8", {3, 37}, {37, 9}, "MatMulInteger(x, w, z)", "integer:"},
      {"int8", {2, 3, 40}, {40, 11}, "MatMulInteger(x, w)", "integer:"},
  };
  for (const Sums& c : cases) {
    SCOPED_TRACE(c.node);
    const bool u8 = c.type == std::string("uint8");
    Model model =
        model_from_text(cat("<ir_version: 8, opset_import: [\"\": 17]> g (", c.type,
                            shape_text(c.x), " x, int8", shape_text(c.w), " w) => (int32 y) <",
                            c.type, " z = {", u8 ? "131" : "-5", "}> { y = ", c.node, " }"));
    Rng rng(11);
    const auto fill = [&](Tensor& t, int64_t low) {
      for (int64_t i = 0; i < t.size(); ++i)
        t.set_number(i, static_cast<double>(low + static_cast<int64_t>(rng.uniform() * 256)));
    };
    Tensor x(u8 ? DType::kUint8 : DType::kInt8, c.x), w(DType::kInt8, c.w);
    fill(x, u8 ? 0 : -128);
    fill(w, -128);
    model.graph.initializers[model.graph.find("w")].data = w;
    std::erase(model.graph.inputs, model.graph.find("w"));
    const Executor fast(model);
    const Tensor have = fast.run({{"x", x}})[0],
                 want = Executor(model, {.backend = Backend::kReference, .observe = {}})
                            .run({{"x", x}})[0];
    EXPECT_EQ(fast.steps()[0].kernel.rfind(c.kernel, 0), 0u) << fast.steps()[0].kernel;
    ASSERT_EQ(have.shape(), want.shape());
    for (int64_t i = 0; i < want.size(); ++i) ASSERT_EQ(have.integer(i), want.integer(i)) << i;
  }
}

}  // namespace
}  // namespace qtool
