// oneDNN's kernels and fusions beside the reference.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "qtool/exec.hpp"
#include "qtool/onnx.hpp"

namespace qtool {
namespace {

struct Case {
  const char* name;
  const char* text;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class OneDnnMatchesReference : public testing::TestWithParam<Case> {};

Tensor random_tensor(DType type, Shape shape, uint64_t seed) {
  Rng rng(seed);
  Tensor t(type, std::move(shape));
  for (int64_t i = 0; i < t.size(); ++i) {
    t.set_number(i, type == DType::kFloat
                        ? rng.normal()
                        : static_cast<double>(rng.below(256)) - (type == DType::kInt8 ? 128 : 0));
  }
  return t;
}

TEST_P(OneDnnMatchesReference, OnRandomInput) {
  Model model = model_from_text(GetParam().text);
  uint64_t seed = 1;
  // Weights declared as inputs become constants, so that kernels may pack them.
  Feed feed;
  for (ValueId v : std::vector<ValueId>(model.graph.inputs)) {
    const Value& value = model.graph.value(v);
    Tensor t = random_tensor(value.dtype, *value.shape, seed++);
    if (value.name[0] == 'x')
      feed[value.name] = t;
    else
      model.graph.initializers[v].data = t;
  }
  const auto want = Executor(model, {.backend = Backend::kReference, .observe = {}}).run(feed);
  const auto have = Executor(model).run(feed);
  ASSERT_EQ(have[0].shape(), want[0].shape());
  ASSERT_EQ(have[0].dtype(), want[0].dtype());
  const bool codes = want[0].dtype() != DType::kFloat;
  for (int64_t i = 0; i < want[0].size(); ++i) {
    ASSERT_NEAR(have[0].number(i), want[0].number(i),
                codes ? 1 : 1e-4 * (1 + std::abs(want[0].number(i))))
        << i;
  }
}

constexpr Case kCases[] = {
    {"Conv",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[2,3,9,8] x, float[4,3,3,3] w, float[4] b) => (float y) {
       y = Conv<pads=[1,1,0,2], strides=[2,1]>(x, w, b) })"},
    {"Depthwise",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[1,6,7,7] x, float[6,1,3,3] w) => (float y) {
       y = Conv<group=6, auto_pad="SAME_UPPER", strides=[2,2]>(x, w) })"},
    {"Conv1d",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[2,4,11] x, float[6,2,3] w) => (float y) {
       y = Conv<group=2, dilations=[2]>(x, w) })"},
    {"Gemm",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[3,5] x, float[4,5] w, float[4] b) => (float y) { y = Gemm<transB=1>(x, w, b) })"},
    {"MatMul",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[2,3,5] x, float[5,4] w) => (float y) { y = MatMul(x, w) })"},
    {"MatMulBatch",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[2,3,5] x, float[2,5,4] x2) => (float y) { y = MatMul(x, x2) })"},
    {"MatMulBiasGelu",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[2,3,16] x, float[16,24] w, float[24] b) => (float[2,3,24] y)
     <float r = {1.41421354}, float one = {1.0}, float half = {0.5}> {
       m = MatMul(x, w)  s = Add(b, m)  d = Div(s, r)  e = Erf(d)  a = Add(e, one)  p = Mul(s, a)  y = Mul(p, half) })"},
    {"GemmLeakyRelu",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[3,5] x, float[4,5] w, float[4] b) => (float[3,4] y) {
       g = Gemm<transB=1>(x, w, b)  y = LeakyRelu<alpha=0.25>(g) })"},
    {"ConvNormHardSwish",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[2,3,6,6] x, float[8,3,3,3] w, float[8] s, float[8] b, float[8] m) => (float[2,8,4,4] y)
     <float[8] v = {1.0,2.0,0.5,1.0,1.0,3.0,1.0,1.0}> {
       c = Conv(x, w)  n = BatchNormalization(c, s, b, m, v)  y = HardSwish(n) })"},
    {"ConvSigmoid",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[1,8,5,5] x, float[8,1,3,3] w) => (float[1,8,3,3] y) {
       c = Conv<group=8>(x, w)  y = Sigmoid(c) })"},
    {"ConvSwish",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[1,8,5,5] x, float[8,8,3,3] w) => (float[1,8,3,3] y) {
       c = Conv(x, w)  s = Sigmoid(c)  y = Mul(s, c) })"},
    {"Swish",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[3,7] x) => (float[3,7] y) {
       s = Sigmoid(x)  y = Mul(x, s) })"},
    {"ConvOfOneColumnWithResidual",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[2,16,20,1] x, float[16,16,5,1] w, float[16] b, float[16,8,3,1] w2) => (float[2,16,20,1] y) {
       c = Conv<pads=[2,0,2,0]>(x, w, b)  r = Relu(c)  d = Conv<pads=[1,0,1,0], group=2>(r, w2)  y = Add(d, r) })"},
    {"StridedConvOfOneColumn",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[1,3,21,1] x, float[5,3,4,1] w) => (float y) {
       y = Conv<pads=[1,0,2,0], strides=[3,1], dilations=[2,1]>(x, w) })"},
    {"ConvPRelu",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[2,3,6,6] x, float[12,3,3,3] w, float[12,1,1] s) => (float[2,12,4,4] y) {
       c = Conv(x, w)  y = PRelu(c, s) })"},
    {"PReluOfRows",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[4,10] x, float[10] s) => (float y) { y = PRelu(x, s) })"},
    {"PReluOfOneSlope",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[2,3,5] x, float[1] s) => (float y) { y = PRelu(x, s) })"},
    {"ConvOfPaddedPicture",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[1,3,5,6] x, float[4,3,3,3] w) => (float y)
     <int64[8] p = {0,0,1,2,0,0,0,3}> {
       q = Pad(x, p)  y = Conv<pads=[1,0,0,0], strides=[2,1]>(q, w) })"},
    {"ConvOfCodesPaddedWithTheirZero",
     R"(<ir_version: 8, opset_import: ["": 17]> g (uint8[1,1,5,6] x, int8[4,1,1,1] w) => (uint8 y)
     <int64[8] p = {0,0,1,2,0,0,0,3}, uint8 z = {7}, float s = {0.01}, int8 wz = {0}> {
       q = Pad(x, p, z)  y = QLinearConv(q, s, z, w, s, wz, s, z) })"},
    {"ConvOfPaddedChannels",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[1,2,5,6] x, float[4,3,3,3] w) => (float y)
     <int64[8] p = {0,1,1,1,0,0,1,1}> { q = Pad(x, p)  y = Conv(q, w) })"},
    {"ConvTanh",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[1,8,5,5] x, float[8,8,1,1] w) => (float[1,8,5,5] y) {
       c = Conv(x, w)  y = Tanh(c) })"},
    {"Gelu",
     R"(<ir_version: 9, opset_import: ["": 20]> g (float[2,3,5] x) => (float[2,3,5] y) { y = Gelu(x) })"},
    {"Erf",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[2,3,50] x) => (float y) { y = Erf(x) })"},
    {"LayerNormalization",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[2,3,21] x, float[21] w, float[21] b) => (float y) {
       y = LayerNormalization(x, w, b) })"},
    {"RMSNormalization",
     R"(<ir_version: 10, opset_import: ["": 23]> g (float[2,4,9] x, float[4,9] w) => (float y) {
       y = RMSNormalization<axis=1, epsilon=0.001>(x, w) })"},
    {"MaxPool",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[1,3,8,8] x) => (float y) { y = MaxPool<kernel_shape=[3,3], strides=[2,2], ceil_mode=1>(x) })"},
    {"AveragePool",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[1,3,8,8] x) => (float y) { y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(x) })"},
    {"GlobalAveragePool",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[2,5,3,3] x) => (float y) { y = GlobalAveragePool(x) })"},
    {"Softmax",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[3,7] x) => (float y) { y = Softmax(x) })"},
    {"AddBroadcast",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[2,3,4,4] x, float[3,1,1] w) => (float y) { y = Add(x, w) })"},
    {"ConvOfFewChannelsThenAdd",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[1,4,5,5] x, float[4,4,3,3] w) => (float y, float c) {
       c = Conv<pads=[1,1,1,1]>(x, w)  s = Add(c, x)  y = Relu(s) })"},
    {"SubSameShape",
     R"(<ir_version: 8, opset_import: ["": 17]> g (float[2,3] x, float[2,3] x2) => (float y) { y = Sub(x, x2) })"},
};
// A product of codes with a function of theirs, looked up once more, for every code there is.
TEST(Executor, LooksFunctionsOfOneValueUpOnce) {
  for (const DType type : {DType::kUint8, DType::kInt8}) {
    const std::string name = type == DType::kUint8 ? "uint8" : "int8";
    Model model =
        model_from_text(R"(<ir_version: 8, opset_import: ["": 17, "com.microsoft": 1, "qtool": 1]>
g ()" + name + "[256] x, " +
                        name + "[256] t, " + name + "[256] u) => (" + name + R"([256] y)
<float xs = {0.05}, )" + name +
                        " xz = {100}, float ts = {0.004}, " + name +
                        R"( tz = {0}, float ys = {0.03}, )" + name + R"( yz = {5}>
{ s = qtool.Lookup(x, t)  m = com.microsoft.QLinearMul(s, ts, tz, x, xs, xz, ys, yz)  y = qtool.Lookup(m, u) })");
    Tensor every(DType::kUint8, {256});
    for (int64_t i = 0; i < 256; ++i) every.set_number(i, static_cast<double>(i));
    for (const char* table : {"t", "u"})
      model.graph.initializers[model.graph.find(table)].data = random_tensor(type, {256}, 5);
    const Feed feed{{"x", every.reinterpreted(type)}};
    const Executor fused(model);
    EXPECT_EQ(fused.step_count(), 1);
    const Tensor have = fused.run(feed)[0],
                 want =
                     Executor(model, {.backend = Backend::kReference, .fuse = false, .observe = {}})
                         .run(feed)[0];
    for (int64_t i = 0; i < 256; ++i) EXPECT_EQ(have.number(i), want.number(i)) << i;
  }
}

// Codes times a constant matrix, a row and Gelu behind it, as one kernel.
TEST(Executor, FusesWhatFollowsAProductOfCodes) {
  Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17, "qtool": 1]>
g (uint8[4, 32] x, int8[32, 16] w, float[16] ws, float[16] b) => (float[4, 16] y)
<float xs = {0.02}, uint8 xz = {120}, int8 wz = {0},
 float r = {0.70710678}, float one = {1.0}, float half = {0.5}>
{ m = qtool.QMatMul(x, xs, xz, w, ws, wz, "")  s = Add(m, b)  d = Mul(s, r)  e = Erf(d)
  a = Add(one, e)  h = Mul(s, half)  y = Mul(h, a) })");
  for (const auto& [name, type] :
       {std::pair{"w", DType::kInt8}, {"ws", DType::kFloat}, {"b", DType::kFloat}}) {
    const ValueId id = model.graph.find(name);
    Tensor t = random_tensor(type, *model.graph.value(id).shape, 7);
    for (int64_t i = 0; i < t.size(); ++i)
      t.set_number(i, type == DType::kInt8 ? t.number(i) / 2 : 0.02 * t.number(i));
    model.graph.initializers[id].data = t;
  }
  const Feed feed{{"x", random_tensor(DType::kUint8, {4, 32}, 3)}};
  const Executor fused(model);
  EXPECT_EQ(fused.step_count(), 1);
  const Tensor have = fused.run(feed)[0],
               want = Executor(model, {.backend = Backend::kReference, .observe = {}}).run(feed)[0];
  for (int64_t i = 0; i < want.size(); ++i)
    EXPECT_NEAR(have.number(i), want.number(i), 1e-5 * (1 + std::abs(want.number(i)))) << i;
}

TEST(Executor, ObservedValuesAreNotFusedAway) {
  Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[2, 8] x, float[8, 8] w) => (float[2, 8] y)
<float r = {1.41421354}, float one = {1.0}, float half = {0.5}>
{ s = MatMul(x, w)  d = Div(s, r)  e = Erf(d)  a = Add(e, one)  p = Mul(s, a)  y = Mul(p, half) })");
  model.graph.initializers[model.graph.find("w")].data = random_tensor(DType::kFloat, {8, 8}, 5);
  struct Seen : Tap {
    std::vector<std::string> names;
    void on_value(const std::string& name, Tensor&) override { names.push_back(name); }
    bool replaces() const override { return false; }
  };
  const Feed feed{{"x", random_tensor(DType::kFloat, {2, 8}, 6)}};
  EXPECT_EQ(Executor(model).step_count(), 1);
  for (const std::string name : {"s", "e", "p"}) {
    Seen seen;
    (void)Executor(model, {.observe = {name}}).run(feed, &seen);
    EXPECT_EQ(seen.names, std::vector{name});
  }
}

INSTANTIATE_TEST_SUITE_P(Executor, OneDnnMatchesReference, testing::ValuesIn(kCases),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace qtool
