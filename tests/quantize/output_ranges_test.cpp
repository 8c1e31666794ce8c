#include "quantize/fit/output_ranges.hpp"

#include <gtest/gtest.h>

#include "support/calibrated_net.hpp"

namespace qtool::qdq {
namespace {

// One convolution that reads three channels of noise; `deaf` makes it read no more than the first.
struct Fixture : test::CalibratedNet {
  explicit Fixture(bool deaf)
      : CalibratedNet(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3, 6, 6] x, float[1, 3, 1, 1] f, float[8, 3, 3, 3] w, float[8] b) => (float[n, 8, 6, 6] y)
{ [loud] m = Mul(x, f)  [conv] y = Conv <pads = [1, 1, 1, 1]> (m, w, b) })") {
    Tensor& factors = model.graph.initializers.at(model.graph.find("f")).data;
    factors = Tensor::of<float>({1, 3, 1, 1}, {1, 1, deaf ? 8.f : 1.f});
    Tensor& weight = model.graph.initializers.at(model.graph.find("w")).data;
    if (deaf)
      for (int64_t i = 0; i < weight.size(); ++i)
        if (i / 9 % 3 == 2) weight.mutable_data<float>()[static_cast<size_t>(i)] = 0;
    table = calibrate(model, {"x", "m", "y"}, *source, {});
    activations = activation_params(sites, uniform_plan(sites, {8, 4}), table);
  }
  float chosen(const std::string& name) const {
    ActivationParams params = activations;
    choose_ranges_by_output(model, sites, *source, source->chunk_count(), 1, params);
    return params.at(name).scale[0] / activations.at(name).scale[0];
  }

  ActivationParams activations;
};

TEST(OutputRanges, AreNarrowWhereNobodyReadsWhatIsLoud) {
  EXPECT_LT(Fixture(true).chosen("m"), 0.75f);
}

TEST(OutputRanges, StayAboutWhereErrorsOfValuesAreLeast) {
  const float ratio = Fixture(false).chosen("m");
  EXPECT_GT(ratio, 0.75f);
  EXPECT_LT(ratio, 1.25f);
}

TEST(OutputRanges, OfValuesThatNoLayerReadsStay) { EXPECT_EQ(Fixture(true).chosen("y"), 1.f); }

TEST(OutputRanges, AreTheSameOnAnyThreads) {
  const Fixture f(true);
  ActivationParams one = f.activations, two = one;
  choose_ranges_by_output(f.model, f.sites, *f.source, 2, 1, one);
  choose_ranges_by_output(f.model, f.sites, *f.source, 2, 2, two);
  for (const auto& [name, p] : one) EXPECT_EQ(p.scale, two.at(name).scale);
}

}  // namespace
}  // namespace qtool::qdq
