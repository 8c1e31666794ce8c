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
    EXPECT_GT(p.layer_ms(site, 8, 8), 0) << name;
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
  EXPECT_NE(code(R"({"equal_around": ["Conv"]})").find("'Conv'"), std::string::npos);
  EXPECT_THROW(load_profile("tensorr"), Error);
  EXPECT_THROW(load_profile("none.json"), Error);
}

}  // namespace
}  // namespace qtool
