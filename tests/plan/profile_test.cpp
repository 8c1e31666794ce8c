#include "qtool/profile.hpp"

#include <gtest/gtest.h>

namespace qtool {
namespace {

TEST(Profile, EveryBuiltInOneReadsBack) {
  ASSERT_GE(built_in_profiles().size(), 7u);
  for (const auto& [name, summary] : built_in_profiles()) {
    const DeviceProfile p = load_profile(name);
    EXPECT_EQ(p.name, name);
    EXPECT_FALSE(summary.empty());
    (void)find_target(p.target);
    EXPECT_EQ(profile_json(parse_profile(profile_json(p), name)), profile_json(p));
    LayerSite site;
    site.type = "Conv";
    site.macs = 1'000'000;
    const Width weights = p.multiplies() ? Width(8) : Width(4, p.formats().at(0));
    EXPECT_TRUE(p.allows_weights(weights)) << name;
    EXPECT_GT(p.layer_ms(site, weights, 8), 0) << name;
  }
}

TEST(Profile, AllowsAndPricesByTheLeastContainer) {
  const DeviceProfile p = parse_profile(R"({"name": "toy",
    "allowed": [{"ops": ["Conv"], "weights": [4, 8], "activations": [8]},
                {"ops": ["*"], "weights": ["float"], "activations": ["float"]}],
    "costs": [{"op": "*", "weights": 8, "activations": 8, "gmacs_per_second": 1, "overhead_us": 500},
              {"op": "*", "weights": 4, "activations": 8, "gmacs_per_second": 2}]})",
                                        "toy");
  EXPECT_TRUE(p.allows("Conv", 4, 8));
  EXPECT_FALSE(p.allows("Conv", 3, 8));
  EXPECT_FALSE(p.allows("Gemm", 8, 8));
  EXPECT_TRUE(p.allows("Gemm", kFloatBits, kFloatBits));
  LayerSite site;
  site.name = "c", site.type = "Conv", site.macs = 1'000'000;
  EXPECT_DOUBLE_EQ(p.layer_ms(site, 8, 8), 1.5);
  EXPECT_DOUBLE_EQ(p.layer_ms(site, 3, 8), 0.5);
  EXPECT_THROW(p.layer_ms(site, kFloatBits, 8), Error);
}

TEST(Profile, WithoutMultipliersTakesFormatsThatNeedNone) {
  const DeviceProfile p = load_profile("shift-add");
  EXPECT_FALSE(p.multiplies());
  EXPECT_TRUE(p.power_of_two_scales);
  for (const std::string& name : p.formats()) {
    const MacKind mac = parse_format(name).def->mac;
    EXPECT_TRUE(mac == MacKind::kShift || mac == MacKind::kAdd) << name;
  }
  EXPECT_TRUE(p.allows("Conv", {4, "power-of-two"}, 8));
  EXPECT_FALSE(p.allows("Conv", {4, "uniform"}, 8));
  EXPECT_FALSE(p.allows("Conv", {4, "kmeans"}, 8));
  EXPECT_FALSE(p.allows("Conv", kFloatBits, kFloatBits));
  LayerSite site;
  site.type = "Conv";
  site.macs = 1'000'000;
  // Two shifts a weight take twice as long as one, an addition half as long; costs are of one and begin at 10 us.
  const double one = p.layer_ms(site, {4, "power-of-two"}, 8) - 0.01;
  EXPECT_NEAR(p.layer_ms(site, {4, "apot"}, 8) - 0.01, 2 * one, 1e-9);
  EXPECT_NEAR(p.layer_ms(site, {2, "ternary"}, 8) - 0.01, one / 2, 1e-9);
  EXPECT_NEAR(p.layer_ms(site, {3, "residual-binary"}, 8) - 0.01, 1.5 * one, 1e-9);
  EXPECT_THROW(p.layer_ms(site, {4, "uniform"}, 8), Error);
}

TEST(Profile, SaysWhatIsWrong) {
  const auto code = [](const std::string& json) {
    try {
      parse_profile(json, "x.json");
    } catch (const Error& e) {
      return e.code() + " " + e.message();
    }
    return std::string();
  };
  EXPECT_NE(code(R"({"alowed": []})").find("did you mean 'allowed'"), std::string::npos);
  EXPECT_NE(
      code(R"({"costs": [{"op": "*", "weights": 99, "activations": 8, "gmacs_per_second": 1}]})")
          .find("QT-E119"),
      std::string::npos);
  EXPECT_NE(code("[").find("QT-E119"), std::string::npos);
  EXPECT_NE(
      code(
          R"({"allowed": [{"ops": ["*"], "weights": [4], "activations": [8], "macs": ["divide"]}]})")
          .find("'divide' is neither multiply, shift, add nor lookup"),
      std::string::npos);
  EXPECT_NE(code(R"({"equal_around": ["Conv"]})").find("'Conv'"), std::string::npos);
  EXPECT_THROW(load_profile("tensorr"), Error);
  EXPECT_THROW(load_profile("none.json"), Error);
}

}  // namespace
}  // namespace qtool
