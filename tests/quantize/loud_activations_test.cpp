#include <gtest/gtest.h>

#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "qtool/quantize.hpp"
#include "support/residual_net.hpp"

namespace qtool {
namespace {

// A signal of which one channel is loud: its quantizer leaves nothing of the other.
TEST(LoudActivations, AreThoseThatMakeMostOfTheNoise) {
  Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 2, 4, 4] x, float[1, 2, 1, 1] k, float[2, 1, 1, 1] w1, float[2, 2, 1, 1] w2) => (float y)
{ a = Mul(x, k)  s = Sin(a)  l = Mul(s, k)  d = Conv <group = 2> (l, w1)  r = Relu(d)  y = Conv(r, w2) })");
  Graph& g = model.graph;
  g.initializers[g.find("k")].data = Tensor::of<float>({1, 2, 1, 1}, {1, 2000});
  g.initializers[g.find("w1")].data = Tensor::of<float>({2, 1, 1, 1}, {1, 0.0005f});
  g.initializers[g.find("w2")].data = Tensor::of<float>({2, 2, 1, 1}, {1, 0.5f, -0.5f, 1});
  model = prepare(model);
  const Sites sites = find_sites(model, find_target("ort-cpu"));
  const auto source = random_data(16, 1, {{"x", DType::kFloat, {-1, 2, 4, 4}}}, 1);
  const CalibrationTable table = calibrate(model, sites.activation_names(), *source, {});
  const auto loud =
      loud_activations(model, sites, uniform_plan(sites, {8, 8}), table, *source, 2, 0.5);
  ASSERT_EQ(loud.size(), 1u);
  EXPECT_EQ(loud[0].name, "l");
  EXPECT_GT(loud[0].noise, 10 * loud[0].rest);

  // A spectrum in decibels: even the only quantizer may leave nothing of its quiet half.
  const test::CalibratedNet decibels(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3, 6, 6] x, float[3, 3, 1, 1] w) => (float y)
<float eight = {8.0}, float small = {0.00000001}>
{ [wide] e = Mul(x, eight)  [exp] s = Exp(e)  [conv] c = Conv(s, w)  [size] a = Abs(c)
  [above] b = Add(a, small)  [log] y = Log(b) })");
  const auto only =
      loud_activations(decibels.model, decibels.sites, uniform_plan(decibels.sites, {8, 8}),
                       decibels.table, *decibels.source, 2, 0.5);
  ASSERT_FALSE(only.empty());
  EXPECT_EQ(only.back().rest, 0);  // nothing is left

  const test::ResidualNet even;
  EXPECT_TRUE(loud_activations(even.model, even.sites, uniform_plan(even.sites, {8, 8}), even.table,
                               *even.source, 2, 0.5)
                  .empty());
}

}  // namespace
}  // namespace qtool
