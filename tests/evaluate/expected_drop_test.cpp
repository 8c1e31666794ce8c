#include "evaluate/expected_drop.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "qtool/onnx.hpp"

namespace qtool {
namespace {

using metrics::DropEstimate;
using Row = std::vector<double>;

// By two answers with the logits a and b where the second takes over.
double lost(double a, double b) { return (1 - std::exp(b - a)) / (1 + std::exp(b - a)); }

TEST(DropEstimate, NoNoiseLosesNothing) {
  DropEstimate d;
  d.add_scores(Row{3, 1, 2}, 0);
  d.add_scores(Row{0, 5, 5}, 1);
  d.add_noise(Row{3, 1, 2}, Row{3, 1, 2});
  EXPECT_EQ(d.result().drop, 0);
  EXPECT_EQ(d.result().error, 0);
}

TEST(DropEstimate, LaysEveryNoiseOnEveryScoreByRank) {
  DropEstimate d;
  d.add_noise(Row{4, 1}, Row{2.5, 1});  // −1.5 on the highest, 0 on the second
  d.add_noise(Row{1, 2}, Row{1, 2});    // none
  d.add_scores(Row{4, 1}, 0);
  d.add_scores(Row{1, 2}, 1);
  // Of four pairs only the second sample's scores under the first one's noise change their answer.
  EXPECT_NEAR(d.result().drop, lost(2, 1) / 4, 1e-12);
  EXPECT_GT(d.result().error, 0);
}

TEST(DropEstimate, ProbabilitiesAreTakenAsSuch) {
  DropEstimate d;
  d.add_noise(Row{0.7, 0.3}, Row{0.4, 0.6});  // log-odds from 0.85 to −0.41
  d.add_scores(Row{0.75, 0.25}, 0);           // log-odds 1.10: changes
  d.add_scores(Row{0.8, 0.2}, 1);             // 1.39: stays
  EXPECT_NEAR(d.result().drop, lost(std::log(0.75), std::log(0.25)) / 2, 1e-12);
}

TEST(DropEstimate, BrokenOutputsLoseEverything) {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  DropEstimate d;
  d.add_scores(Row{4, 1}, 0);
  d.add_noise(Row{4, 1}, Row{nan, nan});
  EXPECT_EQ(d.result().drop, 1);
  DropEstimate masked;
  masked.add_scores(Row{4, -inf, 1}, 0);
  masked.add_noise(Row{4, -inf, 1}, Row{4, -inf, 1});
  EXPECT_EQ(masked.result().drop, 0);
}

TEST(DropEstimate, NothingIsNoDrop) { EXPECT_EQ(DropEstimate().result().drop, 0); }

// With noise that does not depend on the sample, a few samples tell the drop of many.
TEST(DropEstimate, FewSamplesTellTheDropOfMany) {
  Rng rng(1);
  constexpr int kClasses = 10, kMany = 20000;
  const auto best = [](const Row& row) {
    return std::max_element(row.begin(), row.end()) - row.begin();
  };
  const auto sample = [&](Row& want, Row& have) {
    for (double& x : want) x = 6 * rng.normal();
    for (size_t c = 0; c < want.size(); ++c) have[c] = want[c] + 0.8 * rng.normal();
  };
  Row want(kClasses), have(kClasses);
  double counted = 0;
  for (int i = 0; i < kMany; ++i) {
    sample(want, have);
    double sum = 0;
    const double top = want[static_cast<size_t>(best(want))];
    for (double x : want) sum += std::exp(x - top);
    counted += (1 - std::exp(want[static_cast<size_t>(best(have))] - top)) / sum;
  }
  counted /= kMany;
  int within = 0;
  for (int trial = 0; trial < 40; ++trial) {
    DropEstimate d;
    for (int i = 0; i < 64; ++i) {
      sample(want, have);
      d.add_scores(want, i);
      d.add_noise(want, have);
    }
    within += std::fabs(d.result().drop - counted) < 2 * d.result().error;
  }
  EXPECT_GE(within, 34);
}

// Samples in chunks of one.
class Three : public SampleSource {
 public:
  explicit Three(DType type) : type_(type) {}
  int64_t samples() const override { return 3; }
  int64_t chunk_count() const override { return 3; }
  Batch chunk(int64_t index) const override {
    const std::vector<std::vector<float>> rows = {{1, 0.9f}, {0, 8}, {9, 0}};
    Batch batch;
    batch.feed["x"] = cast(Tensor::of<float>({1, 2}, rows[static_cast<size_t>(index)]), type_);
    batch.samples = 1;
    batch.first_sample = index;
    return batch;
  }
  bool has_labels() const override { return false; }
  std::string describe() const override { return "three"; }

 private:
  DType type_;
};

TEST(Vicinity, MixesSamples) {
  const Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 2] x) => (float[n, 2] y) { y = Identity(x) })");
  DropEstimate d = metrics::vicinity(model, Three(DType::kFloat), 2);
  d.add_noise(Row{2, 0}, Row{-20, 0});  // the highest never wins
  // Of eight mixtures five are with the next sample, three with the one after.
  const auto pair = [](double a0, double a1, double b0, double b1) {
    const double x = 0.85 * a0 + 0.15 * b0, y = 0.85 * a1 + 0.15 * b1;
    return lost(std::max(x, y), std::min(x, y));
  };
  const double first = 5 * pair(1, 0.9, 0, 8) + 3 * pair(1, 0.9, 9, 0),
               second = 5 * pair(0, 8, 9, 0) + 3 * pair(0, 8, 1, 0.9),
               third = 5 * pair(9, 0, 1, 0.9) + 3 * pair(9, 0, 0, 8);
  EXPECT_NEAR(d.result().drop, (first + second + third) / 24, 1e-6);
}

TEST(Vicinity, OtherInputsStayWhatTheyAre) {
  const Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (double[n, 2] x) => (float[n, 2] y) { y = Cast<to = 1>(x) })");
  DropEstimate d = metrics::vicinity(model, Three(DType::kDouble), 1);
  d.add_noise(Row{2, 0}, Row{1.95, 0});
  EXPECT_EQ(d.result().drop, 0);
  d.add_noise(Row{2, 0}, Row{1.85, 0});
  EXPECT_NEAR(d.result().drop, lost(1, 0.9) / 6, 1e-6);
}

}  // namespace
}  // namespace qtool
