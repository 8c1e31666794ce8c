#include <gtest/gtest.h>

#include "qtool/calibrate.hpp"
#include "qtool/onnx.hpp"

namespace qtool {
namespace {

// x times a factor a channel into a dense layer of unlike rows.
Model dense(float outlier) {
  Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 4, 16] x, float[16] s, float[16, 8] w) => (float y) { v = Mul(x, s)  y = MatMul(v, w) })");
  Graph& g = model.graph;
  Rng rng(3);
  std::vector<float> factors(16, 1.f);
  factors[5] = outlier;
  Tensor weight(DType::kFloat, {16, 8});
  for (float& w : weight.mutable_data<float>()) w = static_cast<float>(rng.normal());
  g.initializers[g.find("s")].data = Tensor::of<float>({16}, factors);
  g.initializers[g.find("w")].data = weight;
  return prepare(model);
}

std::vector<Equalized> found(const Model& model, int threads) {
  const auto source = random_data(16, 1, {{"x", DType::kFloat, {-1, 4, 16}}}, 1);
  return migrate_outliers(model, dense_inputs(model), *source, threads);
}

TEST(MigrateOutliers, GivesTheWeightsAPartOfThem) {
  const std::vector<Equalized> chosen = found(dense(100), 1);
  ASSERT_EQ(chosen.size(), 1u);
  EXPECT_EQ(chosen[0].value, "v");
  EXPECT_GT(chosen[0].gain_db, 3);
  for (size_t c = 0; c < 16; ++c) {
    if (c != 5) {
      EXPECT_LT(chosen[0].factors[5], 0.5f * chosen[0].factors[c]);
    }
  }
  EXPECT_EQ(found(dense(100), 2)[0].factors, chosen[0].factors);
}

// By chance some channels reach further than others: there is little to gain.
TEST(MigrateOutliers, GainsLittleWhereThereAreNone) {
  for (const Equalized& e : found(dense(1), 1)) EXPECT_LT(e.gain_db, 2);
}

}  // namespace
}  // namespace qtool
