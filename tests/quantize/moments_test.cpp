#include "quantize/fit/moments.hpp"

#include <gtest/gtest.h>

#include "qtool/exec.hpp"
#include "qtool/onnx.hpp"
#include "quantize/fit/linear_algebra.hpp"
#include "quantize/internal.hpp"
#include "support/random.hpp"

namespace qtool::qdq {
namespace {

using test::normal;

// Σ_j w_j E[(x − x̂)_j x̂ᵀ] by columns is E[(y − w x̂) x̂ᵀ] by outputs.
TEST(Moments, OfOutputsSayWhatThoseOfColumnsDo) {
  const Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 4, 8, 8] x, float[6, 2, 3, 3] w, float[6] b) => (float[n, 6, 8, 8] y)
{ [conv] y = Conv <group = 2, pads = [1, 1, 1, 1]> (x, w, b) })");
  const Tensor weight = normal({6, 2, 3, 3}, 1, 0.3), bias = normal({6}, 2, 1);
  const Tensor x = normal({16, 4, 8, 8}, 3, 1), off = normal({16, 4, 8, 8}, 4, 0.2);
  Tensor quantized = x;
  auto q = quantized.mutable_data<float>();
  for (size_t i = 0; i < q.size(); ++i) q[i] += off.data<float>()[i];
  const Tensor y = Executor(model).run({{"x", x}, {"w", weight}, {"b", bias}})[0];
  LayerSite site;
  site.channels = 6;
  const ColumnReader reader(model.graph.nodes[0], site, weight);
  const auto read = [&](LayerValue what, int64_t) {
    return row_major(what == LayerValue::kQuantizedInput ? quantized
                     : what == LayerValue::kInput        ? x
                     : what == LayerValue::kOutput       ? y
                                                         : Tensor());
  };
  const std::vector<float> rows = rows_of(weight, 0);
  const InputMoments columns = input_moments(reader, 1, read, {}),
                     outputs = input_moments(reader, 1, read, {.rows = rows});
  for (size_t g = 0; g < 2; ++g) {
    const GroupMoments &a = columns.groups[g], &b = outputs.groups[g];
    ASSERT_FALSE(a.shift.empty());
    ASSERT_TRUE(b.shift.empty());
    EXPECT_EQ(a.h, b.h);
    const std::vector<float> want =
        multiply_rows(std::span(rows).subspan(g * 3 * 18, 3 * 18), a.shift, 18);
    ASSERT_EQ(b.residual.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(b.residual[i], want[i], 1e-5);
  }
}

// Means are far larger than what varies: H must still be a matrix of squares.
TEST(Moments, OfAnInputThatHardlyMovesAreExact) {
  const Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3] x, float[2, 3] w) => (float y) { y = Gemm <transB = 1> (x, w) })");
  const Tensor weight = Tensor::of<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  LayerSite site;
  site.dense = true;
  site.channels = 2;
  const ColumnReader reader(model.graph.nodes[0], site, weight);
  Tensor x(DType::kFloat, {512, 3});
  auto data = x.mutable_data<float>();
  Rng rng(3);
  for (size_t i = 0; i < data.size(); ++i)
    data[i] = 100.f + static_cast<float>(i % 3) + 0.01f * static_cast<float>(rng.normal());
  const auto read = [&](LayerValue what, int64_t) {
    return row_major(what == LayerValue::kQuantizedInput ? x : Tensor());
  };
  const InputMoments m = input_moments(reader, 1, read, {});
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(m.groups[0].h[4 * i], 1e-4, 2e-5);
  EXPECT_NEAR(m.groups[0].h[1], 0, 2e-5);
  for (size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(m.groups[0].mean[i], 100 + static_cast<float>(i), 1e-2);
}

}  // namespace
}  // namespace qtool::qdq
