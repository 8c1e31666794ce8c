#include <gtest/gtest.h>

#include <algorithm>

#include "qtool/onnx.hpp"
#include "qtool/quantize.hpp"
#include "support/residual_net.hpp"

namespace qtool {
namespace {

struct Fixture : test::ResidualNet {
  Fixture()
      : ResidualNet(),
        plan(uniform_plan(sites, {2, 6})),
        file(std::filesystem::path(testing::TempDir()) /
             cat("steps_", testing::UnitTest::GetInstance()->current_test_info()->name(), ".npz")) {
    std::filesystem::remove(file);
    for (LayerChoice& layer : plan.layers) layer.method = "cd";
  }
  ~Fixture() { std::filesystem::remove(file); }

  QuantizeOptions steps(int64_t count, const std::string& key = "key") const {
    QuantizeOptions options;
    options.most_steps = count;
    options.steps_file = file;
    options.steps_key = key;
    return options;
  }
  Quantized run(const QuantizeOptions& options) const {
    return quantize_model(model, sites, plan, table, source.get(), options);
  }

  QuantPlan plan;
  std::filesystem::path file;
};

int64_t kept_steps(const Quantized& q) {
  return std::count_if(q.steps.begin(), q.steps.end(),
                       [](const FitStep& step) { return step.seconds == 0; });
}

TEST(FitSteps, NeverAddNoise) {
  const Fixture f;
  const Quantized q = f.run(f.steps(5));
  ASSERT_EQ(q.steps.size(), 5u);
  EXPECT_EQ(q.steps[0].name, "cd");
  EXPECT_EQ(q.steps[1].name, "cyclic");
  for (size_t i = 0; i < q.steps.size(); ++i) {
    const FitStep& step = q.steps[i];
    EXPECT_LE(step.after, step.before);
    EXPECT_EQ(step.after<step.before, step.taken> 0);
    if (i > 0) {
      EXPECT_EQ(step.before, q.steps[i - 1].after);
    }
  }
}

TEST(FitSteps, EndWhereNoneGains) {
  const Fixture f;
  const Quantized q = f.run(f.steps(1000));
  EXPECT_LT(q.steps.size(), 200u);
}

TEST(FitSteps, GoOnWhereAnEarlierRunStopped) {
  for (const auto& [format, first] : {std::pair{"uniform", 1}, {"uniform", 3}, {"kmeans", 3}}) {
    Fixture f;
    for (LayerChoice& layer : f.plan.layers) layer.format = format;
    QuantizeOptions whole = f.steps(4);
    whole.steps_file.clear();
    const Quantized want = f.run(whole);
    f.run(f.steps(first));
    const Quantized have = f.run(f.steps(4));
    EXPECT_EQ(kept_steps(have), first) << format;
    EXPECT_EQ(serialize_model(have.model), serialize_model(want.model)) << format;
  }
}

TEST(FitSteps, OfMoreThanIsAskedForAreTakenAgain) {
  const Fixture f;
  const Quantized two = f.run(f.steps(2));
  f.run(f.steps(3));
  const Quantized again = f.run(f.steps(2));
  EXPECT_EQ(kept_steps(again), 0);
  EXPECT_EQ(serialize_model(again.model), serialize_model(two.model));
}

TEST(FitSteps, OfAnotherKeyOrFromADamagedFileAreTakenAgain) {
  const Fixture f;
  f.run(f.steps(2));
  EXPECT_EQ(kept_steps(f.run(f.steps(3, "other"))), 0);
  std::filesystem::resize_file(f.file, std::filesystem::file_size(f.file) / 2);
  EXPECT_EQ(kept_steps(f.run(f.steps(3, "other"))), 0);
}

TEST(FitSteps, TimeDecidesTheirNumberAlone) {
  const Fixture f;
  QuantizeOptions late;
  late.until = now_seconds();  // over before anything begins: the first step is taken all the same
  const Quantized q = f.run(late);
  EXPECT_EQ(q.steps.size(), 1u);
  EXPECT_EQ(serialize_model(q.model), serialize_model(f.run({}).model));
}

TEST(FitSteps, AreThoseOfThePlanWhereNothingElseIsAskedFor) {
  Fixture f;
  EXPECT_EQ(f.run({}).steps.size(), 1u);
  for (LayerChoice& layer : f.plan.layers) layer.method = "brecq";
  const Quantized q = f.run({});
  ASSERT_EQ(q.steps.size(), 4u);  // and three blocks
  EXPECT_EQ(q.steps[1].name, "brecq");
  EXPECT_EQ(q.steps[1].block, "conv1");
}

}  // namespace
}  // namespace qtool
