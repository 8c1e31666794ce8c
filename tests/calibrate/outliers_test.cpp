#include <gtest/gtest.h>

#include "qtool/calibrate.hpp"
#include "qtool/onnx.hpp"

namespace qtool {
namespace {

// x times a factor a channel, plus an offset, into a dense layer of unlike rows.
Model dense(float outlier, float offset = 0) {
  Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 4, 16] x, float[16] s, float[16] o, float[16, 8] w) => (float y)
{ m = Mul(x, s)  v = Add(m, o)  y = MatMul(v, w) })");
  Graph& g = model.graph;
  Rng rng(3);
  std::vector<float> factors(16, 1.f), offsets(16, 0.f);
  factors[5] = outlier;
  offsets[9] = offset;
  Tensor weight(DType::kFloat, {16, 8});
  for (float& w : weight.mutable_data<float>()) w = static_cast<float>(rng.normal());
  g.initializers[g.find("s")].data = Tensor::of<float>({16}, factors);
  g.initializers[g.find("o")].data = Tensor::of<float>({16}, offsets);
  g.initializers[g.find("w")].data = weight;
  return prepare(model);
}

std::vector<EditedValue> found(const Model& model, const std::string& method, int threads = 1) {
  const auto source = random_data(16, 1, {{"x", DType::kFloat, {-1, 4, 16}}}, 1);
  return ease_outliers(model, dense_inputs(model), *source, find_outlier_methods({method}),
                       threads);
}

TEST(Outliers, MigrateGivesTheWeightsAPartOfThem) {
  const std::vector<EditedValue> chosen = found(dense(100), "migrate");
  ASSERT_EQ(chosen.size(), 1u);
  EXPECT_EQ(chosen[0].edit.value, "v");
  EXPECT_GT(chosen[0].gain_db, 3);
  const std::vector<float>& factors = chosen[0].edit.factors;
  for (size_t c = 0; c < 16; ++c) {
    if (c != 5) {
      EXPECT_LT(factors[5], 0.5f * factors[c]);
    }
  }
  EXPECT_EQ(found(dense(100), "migrate", 2)[0].edit.factors, factors);
}

TEST(Outliers, SplitGivesTheChannelCopies) {
  const std::vector<EditedValue> chosen = found(dense(6), "split");
  ASSERT_EQ(chosen.size(), 1u);
  EXPECT_EQ(chosen[0].edit.copies, std::vector<int64_t>{5});
  EXPECT_EQ(chosen[0].edit.factors[5], 0.5f);
  EXPECT_EQ(chosen[0].edit.factors[4], 1.f);
  EXPECT_GT(chosen[0].gain_db, 2);
}

TEST(Outliers, ShiftMovesMiddlesToZero) {
  const std::vector<EditedValue> chosen = found(dense(1, 50), "shift");
  ASSERT_EQ(chosen.size(), 1u);
  EXPECT_NEAR(chosen[0].edit.shifts[9], 50, 1);
  EXPECT_NEAR(chosen[0].edit.shifts[4], 0, 1);
  EXPECT_GT(chosen[0].gain_db, 10);
}

TEST(Outliers, MethodsWorkTogether) {
  const Model model = dense(6, 50);
  const auto source = random_data(16, 1, {{"x", DType::kFloat, {-1, 4, 16}}}, 1);
  // Whatever their order is when asked for.
  const auto methods = find_outlier_methods({"migrate", "split", "shift"});
  const std::vector<EditedValue> chosen =
      ease_outliers(model, dense_inputs(model), *source, methods, 1);
  ASSERT_EQ(chosen.size(), 1u);
  ASSERT_GE(chosen[0].methods.size(), 2u);
  EXPECT_EQ(chosen[0].methods[0], "shift");
  EXPECT_EQ(chosen[0].methods[1], "split");
  EXPECT_GT(chosen[0].gain_db, found(model, "shift")[0].gain_db + 2);
}

// By chance some channels reach further than others: there is little to gain.
TEST(Outliers, AreLeftWhereThereAreNone) {
  for (const char* method : {"shift", "split"}) EXPECT_TRUE(found(dense(1), method).empty());
  for (const EditedValue& e : found(dense(1), "migrate")) EXPECT_LT(e.gain_db, 2);
}

TEST(Outliers, UnknownMethodsAreNamed) {
  try {
    (void)find_outlier_methods({"spilt"});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), "QT-E142");
    EXPECT_NE(std::string(e.what()).find("spilt"), std::string::npos);
  }
}

}  // namespace
}  // namespace qtool
