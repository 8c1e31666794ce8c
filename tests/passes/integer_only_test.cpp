#include "qtool/integer_only.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "qtool/exec.hpp"
#include "qtool/onnx.hpp"

namespace qtool {
namespace {

// Inputs x and their codes: scale 0.02, zero point 120 (uint8) or −8 (int8).
Model model_of(const std::string& shape, const std::string& constants, const std::string& body,
               const std::string& type = "uint8") {
  const std::string zero = type == "uint8" ? "120" : "-8";
  return model_from_text(
      "<ir_version: 8, opset_import: [\"\": 17]>\ng (float[" + shape +
      "] x) => (float y)\n<float xs = {0.02}, " + type + " xz = {" + zero +
      "}, float ys = {0.015}, " + type + " yz = {" + (type == "uint8" ? "7" : "-3") + "}" +
      constants + ">\n{ xq = QuantizeLinear(x, xs, xz)  xd = DequantizeLinear(xq, xs, xz) " + body +
      "\n yq = QuantizeLinear(c, ys, yz)  y = DequantizeLinear(yq, ys, yz) }");
}

constexpr const char* kConvConstants =
    R"(, int8[2, 2, 1, 1] w = {100, 3, -50, 120}, float[2] ws = {0.01, 0.02}, int8[2] wz = {0, 0},
 int32[2] b = {300, -200}, float[2] bs = {0.0002, 0.0004}, int32[2] bz = {0, 0})";
constexpr const char* kConv =
    R"( wd = DequantizeLinear <axis = 0> (w, ws, wz)  bd = DequantizeLinear <axis = 0> (b, bs, bz)
 s = Conv(xd, wd, bd) )";

// Reals with these codes.
Tensor input(const Shape& shape, const std::vector<int>& codes, int zero = 120) {
  Tensor x(DType::kFloat, shape);
  for (int64_t i = 0; i < x.size(); ++i)
    x.set_number(i, 0.02 * (codes[static_cast<size_t>(i) % codes.size()] - zero));
  return x;
}

// Codes of y, with zero point `zero` taken off.
std::vector<int64_t> codes_of(const Model& model, const Tensor& x) {
  const Tensor y =
      Executor(model, {.backend = Backend::kReference, .observe = {}}).run({{"x", x}})[0];
  std::vector<int64_t> codes;
  for (int64_t i = 0; i < y.size(); ++i) codes.push_back(std::llround(y.number(i) / 0.015));
  return codes;
}

// Integers and the codes of inputs and outputs are all that flows.
void expect_integers(const Model& model) {
  for (const Node& n : model.graph.nodes) {
    if (n.type == "QuantizeLinear" || n.type == "DequantizeLinear") continue;
    for (ValueId v : n.outputs)
      EXPECT_NE(model.graph.value(v).dtype, DType::kFloat) << node_text(n);
  }
}

void expect_codes_of_float_scales(const Model& model, const Tensor& x, int64_t most = 0) {
  const IntegerOnly integers = integer_only(model);
  expect_integers(integers.model);
  const auto have = codes_of(integers.model, x), want = codes_of(lower_qdq(model).model, x);
  ASSERT_EQ(have.size(), want.size());
  for (size_t i = 0; i < have.size(); ++i) EXPECT_LE(std::abs(have[i] - want[i]), most) << i;
}

TEST(IntegerOnly, ConvolutionsAreWhatOneComputesByHand) {
  const Model model = model_of("1, 2, 1, 2", kConvConstants, std::string(kConv) + "c = Relu(s)");
  const IntegerOnly integers = integer_only(model);
  expect_integers(integers.model);
  const Tensor x = input({1, 2, 1, 2}, {130, 90, 180, 250});
  // 100·10 + 3·60 + 300 = 1480, 19.73; 100·(−30) + 3·130 + 300 < 0;
  // −50·10 + 120·60 − 200 = 6500, ·0.02·0.02/0.015 = 173.33; 1500 + 15600 − 200 = 16900, 450.7.
  EXPECT_EQ(codes_of(integers.model, x), (std::vector<int64_t>{20, 0, 173, 248}));
  ASSERT_EQ(integers.accumulators.size(), 1u);
  const Accumulator& sums = integers.accumulators[0];
  EXPECT_EQ(sums.highest, std::max(103 * 135 + 300, 50 * 120 + 120 * 135));
  EXPECT_EQ(sums.lowest, -(50 * 135 + 120 * 120 + 200));
  EXPECT_EQ(integers.requantized, std::vector<std::string>{"yq"});
  EXPECT_LT(integers.multiplier_error, 1e-9);
  EXPECT_TRUE(integers.float_nodes.empty());
}

TEST(IntegerOnly, HalvesAreRoundedUp) {
  const Model model =
      model_of("1, 1, 1, 4", ", int8[1, 1, 1, 1] w = {1}, float ws = {0.375}, int8 wz = {0}",
               "wd = DequantizeLinear(w, ws, wz)  c = Conv(xd, wd)");  // 0.02 · 0.375 / 0.015 = ½
  EXPECT_EQ(codes_of(integer_only(model).model, input({1, 1, 1, 4}, {121, 123, 119, 117})),
            (std::vector<int64_t>{1, 2, 0, -1}));  // of ½, 3/2, −½, −3/2
}

TEST(IntegerOnly, EveryOperatorOnCodesHasAForm) {
  const std::string k = ", float ks = {0.03}, uint8 kz = {100}";
  const std::string kq = "kq = QuantizeLinear(xd, ks, kz)  kd = DequantizeLinear(kq, ks, kz) ";
  const std::vector<int> codes = {130, 90, 60, 250, 0, 255, 121, 119, 200, 37, 5, 99};
  const Tensor x = input({1, 3, 2, 2}, codes);
  for (const std::string body :
       {"c = Add(xd, kd)", "c = Mul(xd, kd)", "c = Concat <axis = 1> (xd, kd)",
        "c = GlobalAveragePool(xd)", "c = AveragePool <kernel_shape = [2, 2]> (xd)",
        "c = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1], count_include_pad = 1> (xd)",
        "c = MatMul(xd, kd)", "c = Tanh(xd)", "s = Add(xd, kd)  c = Relu(s)"}) {
    SCOPED_TRACE(body);
    expect_codes_of_float_scales(model_of("1, 3, 2, 2", k, kq + body), x, 1);
  }
}

TEST(IntegerOnly, SignedActivationsWork) {
  const Model model =
      model_of("1, 2, 1, 2", kConvConstants, std::string(kConv) + "c = Relu(s)", "int8");
  expect_codes_of_float_scales(model, input({1, 2, 1, 2}, {10, -38, 52, 100}, -8));
}

TEST(IntegerOnly, SumsWithoutAQuantizerAreMadeRealAtTheEnd) {
  const Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[2, 3] x) => (float[2, 2] y)
<float xs = {0.02}, uint8 xz = {120}, int8[2, 3] w = {100, 3, -50, 120, 1, 2}, float[2] ws = {0.01, 0.02},
 int8[2] wz = {0, 0}, int32[2] b = {300, -200}, float[2] bs = {0.0002, 0.0004}, int32[2] bz = {0, 0}>
{ xq = QuantizeLinear(x, xs, xz)  xd = DequantizeLinear(xq, xs, xz)
  wd = DequantizeLinear <axis = 0> (w, ws, wz)  bd = DequantizeLinear <axis = 0> (b, bs, bz)
  g = Gemm <transB = 1> (xd, wd, bd)  y = Softmax(g) })");
  const IntegerOnly integers = integer_only(model);
  ASSERT_EQ(integers.float_nodes.size(), 1u);  // Softmax, behind the last codes
  const Tensor x = input({2, 3}, {130, 90, 60, 250, 0, 255});
  const Tensor have = Executor(integers.model).run({{"x", x}})[0],
               want = Executor(model, {.backend = Backend::kReference, .observe = {}})
                          .run({{"x", x}})[0];
  for (int64_t i = 0; i < want.size(); ++i) EXPECT_NEAR(have.number(i), want.number(i), 1e-6);
}

std::string refusal(const Model& model) {
  try {
    integer_only(model);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "QT-E355");
    return error.message();
  }
  return "";
}

TEST(IntegerOnly, NamesWhatComputesInFloatBetweenCodes) {
  const Model island = model_of("1, 3, 2, 2", "", "[soft] s = Softmax(xd)  [norm] c = ReduceL2(s)");
  EXPECT_NE(refusal(island).find("'soft'"), std::string::npos) << refusal(island);
  EXPECT_NE(refusal(island).find("'norm'"), std::string::npos);
  const Model layer = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1, 1, 2, 2] x) => (float[1, 1, 2, 2] y) <float[1, 1, 1, 1] w = {2}> { [conv] y = Conv(x, w) })");
  EXPECT_NE(refusal(layer).find("'conv'"), std::string::npos) << refusal(layer);
  const Model border = model_of(
      "1, 3, 2, 2", "", "[pool] c = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (xd)");
  EXPECT_NE(refusal(border).find("fewer positions at the border"), std::string::npos);
}

TEST(IntegerOnly, RefusesSumsBeyondInt32) {
  const Model wide = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1, 70000] x, float[70000, 1] k) => (float[1, 1] y)
<float xs = {0.02}, uint8 xz = {0}, float ys = {0.015}, uint8 yz = {7}>
{ xq = QuantizeLinear(x, xs, xz)  xd = DequantizeLinear(xq, xs, xz)
  kq = QuantizeLinear(k, xs, xz)  kd = DequantizeLinear(kq, xs, xz)
  [dot] c = MatMul(xd, kd)  yq = QuantizeLinear(c, ys, yz)  y = DequantizeLinear(yq, ys, yz) })");
  EXPECT_NE(refusal(wide).find("'dot': its sums may leave int32"), std::string::npos)
      << refusal(wide);
}

}  // namespace
}  // namespace qtool
