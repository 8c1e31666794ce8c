#include "qtool/memory.hpp"

#include <gtest/gtest.h>

#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "support/weights.hpp"

namespace qtool {
namespace {

// A residual block: the input waits for the sum.
TEST(Memory, TheInputOfABlockWaitsForItsSum) {
  Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 4, 8, 8] x, float[4, 4, 3, 3] w1, float[4, 4, 3, 3] w2) => (float[n, 4, 8, 8] y)
{ a = Conv<pads = [1, 1, 1, 1]>(x, w1)  b = Relu(a)  c = Conv<pads = [1, 1, 1, 1]>(b, w2)  y = Add(c, x) })");
  test::make_zero_weights(model);
  model = prepare(model);
  const Sites sites = find_sites(model, find_target("ort-cpu"));
  const std::vector<LiveSet> sets = live_sets(model, sites);
  ASSERT_FALSE(sets.empty());
  QuantPlan plan = uniform_plan(sites, {8, 8});
  // x, b and c together: 256 bytes each, but that the sum itself stays float.
  const int64_t all = peak_activation_bytes(sets, plan);
  EXPECT_GE(all, 3 * 256);
  for (auto& [name, bits] : plan.activation_bits) bits = 4;
  EXPECT_LT(peak_activation_bytes(sets, plan), all);
}

}  // namespace
}  // namespace qtool
