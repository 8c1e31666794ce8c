#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "qtool/exec.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"

namespace qtool {
namespace {

std::string network(const std::string& constants, const std::string& nodes) {
  return R"(<ir_version: 9, opset_import: ["": 21]> g (float[n] x) => (float[n] y) <)" + constants +
         "> { " + nodes + " }";
}

// How many steps run the network, and that their results are those of single operators, bit by bit but for the sign
// of zero.
size_t steps_of(const std::string& text) {
  Model model = model_from_text(text);
  infer_shapes(model);
  const float inf = std::numeric_limits<float>::infinity();
  std::vector<float> values = {-inf, -1e30f, 1e30f, inf};  // NaN has no code
  for (int i = -600; i <= 600; ++i) values.push_back(static_cast<float>(i) * 0.0625f);
  const Tensor x = Tensor::of<float>({static_cast<int64_t>(values.size())}, values);
  const Executor executor(model);
  const Tensor have = executor.run({{"x", x}})[0],
               want = Executor(model, {.backend = Backend::kReference, .observe = {}})
                          .run({{"x", x}})[0];
  for (int64_t i = 0; i < want.size(); ++i)
    EXPECT_EQ(have.number(i), want.number(i)) << values[static_cast<size_t>(i)];
  return executor.steps().size();
}

TEST(FuseQuantizers, PairsThatStayInFloatAreOneStep) {
  for (const std::string type : {"uint8", "int8", "uint16", "int16", "uint4", "int4"})
    EXPECT_EQ(steps_of(network("float s = {0.125}, " + type + " z = {3}",
                               "q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z)")),
              1u)
        << type;
  EXPECT_EQ(
      steps_of(network("float s = {0.3}", "q = QuantizeLinear(x, s) y = DequantizeLinear(q, s)")),
      1u);
}

TEST(FuseQuantizers, TakeClampsInFrontWithThem) {
  EXPECT_EQ(steps_of(network("float s = {0.3}, int8 z = {-5}, float low = {-2.9}, float high = {6}",
                             "r = Clip(x, low, high) k = Relu(r) q = QuantizeLinear(k, s, z) "
                             "y = DequantizeLinear(q, s, z)")),
            1u);
  EXPECT_EQ(steps_of(network("float s = {0.3}, int8 z = {-5}, float high = {6}",
                             "r = Clip(x, , high) q = QuantizeLinear(r, s, z) "
                             "y = DequantizeLinear(q, s, z)")),
            1u);
}

TEST(FuseQuantizers, LeaveWhatIsMoreThanRounding) {
  // Another scale, other readers of codes, a value between that is an output.
  EXPECT_EQ(steps_of(network("float s = {0.125}, float t = {0.25}, int8 z = {0}",
                             "q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, t, z)")),
            2u);
  EXPECT_EQ(steps_of(network("float s = {0.125}, int8 z = {0}, int8 low = {-7}, int8 high = {7}",
                             "q = QuantizeLinear(x, s, z) c = Clip(q, low, high) "
                             "y = DequantizeLinear(c, s, z)")),
            3u);
  EXPECT_EQ(steps_of(network("float s = {0.125}, int8 z = {0}",
                             "q = QuantizeLinear(x, s, z) d = DequantizeLinear(q, s, z) "
                             "e = DequantizeLinear(q, s, z) y = Mul(d, e)")),
            4u);
  const Model model = model_from_text(
      network("float s = {0.125}, int8 z = {0}",
              "r = Relu(x) q = QuantizeLinear(r, s, z) y = DequantizeLinear(q, s, z)"));
  const auto types = [&](const std::set<std::string>& observe) {
    Model typed = model;
    infer_shapes(typed);
    std::string all;
    for (const Node& node :
         prepare_for_execution(typed, {.observe = observe, .fuse = true}).graph.nodes)
      all += node.type + " ";
    return all;
  };
  EXPECT_EQ(types({}), "FakeQuantize ");
  EXPECT_EQ(types({"r"}), "Relu FakeQuantize ");
  EXPECT_EQ(types({"q"}), "Relu QuantizeLinear DequantizeLinear ");
}

}  // namespace
}  // namespace qtool
