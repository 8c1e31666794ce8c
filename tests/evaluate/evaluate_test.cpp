#include "qtool/evaluate.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "qtool/onnx.hpp"

namespace qtool {
namespace {

namespace fs = std::filesystem;

// 20 seeded samples of [N, 4]; the label of a sample is its largest element.
class Samples : public SampleSource {
 public:
  explicit Samples(bool labelled, int64_t chunk = 6) : labelled_(labelled), chunk_(chunk) {}
  int64_t samples() const override { return 20; }
  int64_t chunk_count() const override { return (20 + chunk_ - 1) / chunk_; }
  bool has_labels() const override { return labelled_; }
  std::string describe() const override { return "samples"; }
  Batch chunk(int64_t index) const override {
    Batch b;
    b.first_sample = index * chunk_;
    b.samples = std::min<int64_t>(chunk_, 20 - b.first_sample);
    Tensor x(DType::kFloat, {b.samples, 4});
    auto data = x.mutable_data<float>();
    for (int64_t s = 0; s < b.samples; ++s) {
      Rng rng(static_cast<uint64_t>(b.first_sample + s + 1));
      float* row = data.data() + s * 4;
      for (int64_t i = 0; i < 4; ++i) row[i] = static_cast<float>(rng.uniform());
      if (labelled_)
        b.labels.push_back(bad_label >= 0 ? bad_label : std::max_element(row, row + 4) - row);
    }
    b.feed["x"] = std::move(x);
    return b;
  }
  int64_t bad_label = -1;

 private:
  bool labelled_;
  int64_t chunk_;
};

Model text_model(const std::string& body, const std::string& output = "float[n, 4] y") {
  return model_from_text("<ir_version: 8, opset_import: [\"\": 17]> g (float[n, 4] x) => (" +
                         output + ") {" + body + "}");
}

Model same() { return text_model("y = Identity(x)"); }
Model negated() { return text_model("y = Neg(x)"); }

TEST(Evaluate, AModelEqualsItself) {
  const Model m = same();
  const Evaluation e = evaluate(m, &m, Samples(true), {});
  EXPECT_EQ(e.samples, 20);
  EXPECT_TRUE(e.classifier);
  EXPECT_TRUE(e.labelled);
  EXPECT_EQ(e.top1, 1);
  EXPECT_EQ(e.top5, 1);
  EXPECT_EQ(e.reference_top1, 1);
  EXPECT_EQ(e.agreement, 1);
  EXPECT_EQ(e.agreement_ci, wilson(20, 20));
  EXPECT_EQ(e.sqnr_db, std::numeric_limits<double>::infinity());
  ASSERT_EQ(e.outputs.size(), 1u);
  EXPECT_EQ(e.outputs[0].name, "y");
  EXPECT_NEAR(e.outputs[0].cosine, 1, 1e-12);
  EXPECT_GT(e.samples_per_second, 0);
}

TEST(Evaluate, AnotherModelDiffers) {
  const Model reference = same();
  const Evaluation e =
      evaluate(negated(), &reference, Samples(true), {.kernels = Kernels::kSimulated});
  EXPECT_EQ(e.top1, 0);
  EXPECT_EQ(e.reference_top1, 1);
  EXPECT_EQ(e.agreement, 0);
  EXPECT_NEAR(e.sqnr_db, -20 * std::log10(2.0), 1e-9);
  EXPECT_NEAR(e.outputs[0].cosine, -1, 1e-12);
  ASSERT_EQ(e.noise_by_sample.size(), 20u);
  const Tensor first = Samples(true).chunk(0).feed.at("x");
  const auto x = first.data<float>();
  double squares = 0;
  for (size_t i = 0; i < 4; ++i) squares += double{x[i]} * x[i];
  EXPECT_NEAR(e.noise_by_sample[0], 4 * squares, 1e-9);
}

TEST(Evaluate, DoesNotDependOnThreads) {
  const Model reference = same(), m = text_model("y = Sigmoid(x)");
  const Evaluation one =
      evaluate(m, &reference, Samples(true), {.kernels = Kernels::kFloat, .threads = 1});
  const Evaluation many =
      evaluate(m, &reference, Samples(true), {.kernels = Kernels::kFloat, .threads = 4});
  EXPECT_EQ(one.sqnr_db, many.sqnr_db);
  EXPECT_EQ(one.outputs[0].cosine, many.outputs[0].cosine);
  EXPECT_EQ(one.top1, many.top1);
  EXPECT_EQ(one.agreement, many.agreement);
}

TEST(Evaluate, NeedsNeitherLabelsNorReference) {
  const Evaluation e = evaluate(same(), nullptr, Samples(false), {});
  EXPECT_FALSE(e.labelled);
  EXPECT_FALSE(e.has_reference);
  EXPECT_TRUE(e.classifier);
  EXPECT_TRUE(e.outputs.empty());
  EXPECT_EQ(e.samples, 20);
}

TEST(Evaluate, KnowsWhatIsNoClassifier) {
  Model sum = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 4] x) => (float[n, 1] y) <int64[1] axes = {1}> { y = ReduceSum(x, axes) })");
  const Evaluation e = evaluate(sum, &sum, Samples(true), {});
  EXPECT_FALSE(e.classifier);
  EXPECT_FALSE(e.labelled);
  EXPECT_EQ(e.sqnr_db, std::numeric_limits<double>::infinity());
}

TEST(Evaluate, SaysWhatIntegersAloneTake) {
  const Model m = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 4] x) => (float[n, 4] y)
<float xs = {0.00390625}, uint8 xz = {0}, float ys = {0.0078125}, uint8 yz = {0}, float[4] ws = {1, 1, 1, 0.3},
 int8[4, 4] w = {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 3}, int8[4] wz = {0, 0, 0, 0}>
{ xq = QuantizeLinear(x, xs, xz)  xd = DequantizeLinear(xq, xs, xz)  wd = DequantizeLinear <axis = 1> (w, ws, wz)
  [dense] c = Gemm(xd, wd)  yq = QuantizeLinear(c, ys, yz)  y = DequantizeLinear(yq, ys, yz) })");
  const Model reference = same();
  const Evaluation e =
      evaluate(m, &reference, Samples(true), {.kernels = Kernels::kIntegerOnly, .threads = 2});
  ASSERT_TRUE(e.integer_only.has_value());
  const IntegerArithmetic& a = *e.integer_only;
  EXPECT_EQ(e.integer_layers, 1);
  ASSERT_NE(a.widest(), nullptr);
  EXPECT_EQ(a.widest()->name, "dense");
  EXPECT_EQ(a.widest()->bound_bits, 11);  // 3 · 255
  EXPECT_EQ(a.widest()->bits, 11);
  EXPECT_EQ(a.codes, 20 * 4);
  // Half of an odd code is a tie, which floats round to the even code and integers up.
  EXPECT_GT(a.different, 0);
  EXPECT_EQ(a.largest_difference, 1);
  EXPECT_LT(a.multiplier_error, 1e-9);
  EXPECT_TRUE(a.float_nodes.empty());
  EXPECT_FALSE(evaluate(m, nullptr, Samples(false), {}).integer_only.has_value());
}

TEST(Evaluate, RefusesLabelsThatAreNoClasses) {
  Samples samples(true);
  samples.bad_label = 4;
  try {
    evaluate(same(), nullptr, samples, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "QT-E442");
    EXPECT_EQ(error.kind(), ErrorKind::kData);
  }
}

TEST(Evaluate, RefusesAReferenceOfOtherShape) {
  const Model reference = text_model("y = Concat<axis = 1>(x, x)", "float[n, 8] y");
  EXPECT_THROW(evaluate(same(), &reference, Samples(false), {}), Error);
  const Model two = text_model("y = Neg(x) z = Abs(x)", "float[n, 4] y, float[n, 4] z");
  EXPECT_THROW(evaluate(two, &reference, Samples(false), {}), Error);
}

// As many numbers as are above a threshold, which differ between a model and its quantized form.
TEST(Evaluate, CountsOutputsWhoseSizeDependsOnTheData) {
  const auto above = [](const std::string& threshold) {
    return model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 4] x) => (float[m] y, float[n, 4] z) <int64[1] flat = {-1}, float t = {)" +
                           threshold + R"(}>
{ c = Greater(x, t)  f = Reshape(c, flat)  y = Compress(x, f)  z = Neg(x) })");
  };
  const Model reference = above("0.5");
  const Evaluation e = evaluate(above("0.6"), &reference, Samples(false), {});
  EXPECT_GT(e.outputs[0].resized, 0);
  EXPECT_LT(e.sqnr_db, 10);
  EXPECT_EQ(e.outputs[1].resized, 0);
  EXPECT_EQ(e.outputs[1].max_abs_error, 0);
  EXPECT_EQ(evaluate(reference, &reference, Samples(false), {}).outputs[0].resized, 0);
}

TEST(Evaluate, SavesEveryOutputOfEverySample) {
  const fs::path path =
      fs::temp_directory_path() /
      cat("qtool_outputs_", ::testing::UnitTest::GetInstance()->random_seed(), ".npz");
  const Model two = text_model("y = Neg(x) z = Greater(x, y)", "float[n, 4] y, bool[n, 4] z");
  evaluate(two, nullptr, Samples(false), {.threads = 3, .save_outputs = path});
  const auto arrays = read_npz(path);
  fs::remove(path);
  ASSERT_EQ(arrays.size(), 2u);
  EXPECT_EQ(arrays.at("z").dtype(), DType::kBool);
  const Tensor& y = arrays.at("y");
  EXPECT_EQ(y.shape(), (Shape{20, 4}));
  const Tensor last = Samples(false).chunk(3).feed.at("x");
  EXPECT_EQ(y.number(79), -last.number(7));
}

// A dense layer in Q/DQ form; weight rows with neighbours that overflow 16 bits.
Model quantized_dense() {
  return model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 4] x) => (float[n, 2] y)
<float s = {0.01}, uint8 z = {0}, float ws = {0.02}, int8 wz = {0}, int8[4, 2] w = {100, 1, 100, -1, 1, 64, 1, 64},
 float bs = {0.0002}, int32 bz = {0}, int32[2] b = {5, -5}, float ys = {0.05}, uint8 yz = {3}>
{
  xq = QuantizeLinear(x, s, z)
  xd = DequantizeLinear(xq, s, z)
  wd = DequantizeLinear(w, ws, wz)
  bd = DequantizeLinear(b, bs, bz)
  d = Gemm(xd, wd, bd)
  yq = QuantizeLinear(d, ys, yz)
  y = DequantizeLinear(yq, ys, yz)
})");
}

TEST(Evaluate, RunsIntegerKernelsAndSaysWhichLayers) {
  const Model m = quantized_dense();
  const Evaluation e = evaluate(m, &m, Samples(false), {});
  EXPECT_EQ(e.integer_layers, 1);
  EXPECT_TRUE(e.float_layers.empty());
  EXPECT_LE(e.outputs[0].max_abs_error, 0.0501);  // one code
  EXPECT_EQ(e.saturating_layers.size(), saturates_u8s8() ? 1u : 0u);
  for (const std::string& layer : e.saturating_layers)
    EXPECT_NE(layer.find("(1 of 2 rows)"), std::string::npos) << layer;
  const Evaluation simulated = evaluate(m, &m, Samples(false), {.kernels = Kernels::kSimulated});
  EXPECT_EQ(simulated.integer_layers, 0);
  EXPECT_TRUE(simulated.layers.empty());
  EXPECT_EQ(simulated.sqnr_db, std::numeric_limits<double>::infinity());
}

TEST(Evaluate, SaysWhyALayerStaysInFloat) {
  const Evaluation e = evaluate(text_model("y = Relu(x)"), nullptr, Samples(false), {});
  ASSERT_EQ(e.float_layers.size(), 1u);
  EXPECT_FALSE(e.float_layers[0].second.empty());
}

}  // namespace
}  // namespace qtool
