#include "qtool/budget.hpp"

#include <gtest/gtest.h>

namespace qtool {
namespace {

std::string code_of(std::string_view budget) {
  try {
    parse_budget(budget);
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kUsage);
    EXPECT_FALSE(e.hint_text().empty());
    return e.code();
  }
  return "";
}

std::string hint_of(std::string_view budget) {
  try {
    parse_budget(budget);
  } catch (const Error& e) {
    return e.hint_text();
  }
  return "no error";
}

Limit one(std::string_view budget) {
  const std::vector<Limit> limits = parse_budget(budget);
  EXPECT_EQ(limits.size(), 1u);
  return limits.at(0);
}

TEST(Budget, ReadsEveryRowOfTheTable) {
  EXPECT_EQ(one("4.5bits"), (Limit{Limit::kBits, 4.5, ""}));
  EXPECT_EQ(one("4.5bpw"), (Limit{Limit::kBpw, 4.5, ""}));
  EXPECT_EQ(one("1.2MB"), (Limit{Limit::kSize, 1.2e6, ""}));
  EXPECT_EQ(one("25%size"), (Limit{Limit::kSizeFraction, 0.25, ""}));
  EXPECT_EQ(one("3Gbops"), (Limit{Limit::kBops, 3e9, ""}));
  EXPECT_EQ(one("20%bops"), (Limit{Limit::kBopsFraction, 0.2, ""}));
  EXPECT_EQ(one("5ms@profile.json"), (Limit{Limit::kLatency, 5, "profile.json"}));
  EXPECT_EQ(one("60%latency@profile.json"), (Limit{Limit::kLatencyFraction, 0.6, "profile.json"}));
  EXPECT_EQ(one("act=6bits"), (Limit{Limit::kActivationBits, 6, ""}));
  EXPECT_EQ(one("drop=0.5%"), (Limit{Limit::kDrop, 0.005, ""}));
  EXPECT_EQ(one("agreement=99%"), (Limit{Limit::kAgreement, 0.99, ""}));
  EXPECT_EQ(one("sqnr=20dB"), (Limit{Limit::kSqnr, 20, ""}));
}

TEST(Budget, ReadsEveryExampleOfItsOwnTableAndWritesItBack) {
  for (const LimitForm& form : limit_forms()) {
    EXPECT_FALSE(form.meaning.empty());
    if (form.example.empty()) continue;
    const Limit limit = one(form.example);
    EXPECT_EQ(limit.kind, form.kind) << form.example;
    EXPECT_EQ(limit_text(limit), form.example);
  }
}

TEST(Budget, WritesWhatItReadsBack) {
  for (const char* text :
       {"0.1%size", "33.3%bops", "99.95%latency@a", "drop=0.3%", "agreement=99.7%", "0.7MB",
        "1.1Gbops", "17us@x", "12345678B", "2.7bits", "sqnr=-3.1dB"}) {
    const Limit limit = one(text);
    EXPECT_EQ(one(limit_text(limit)), limit) << text << " became " << limit_text(limit);
  }
}

TEST(Budget, JoinsLimitsInTheirOrder) {
  const std::vector<Limit> limits = parse_budget("3.5bits, act=6bits,13%size");
  ASSERT_EQ(limits.size(), 3u);
  EXPECT_EQ(limits[0], (Limit{Limit::kBits, 3.5, ""}));
  EXPECT_EQ(limits[1], (Limit{Limit::kActivationBits, 6, ""}));
  EXPECT_EQ(limits[2], (Limit{Limit::kSizeFraction, 0.13, ""}));
}

TEST(Budget, TakesUnitsInEitherCaseAndSpaces) {
  EXPECT_EQ(one("1.5 mb"), (Limit{Limit::kSize, 1.5e6, ""}));
  EXPECT_EQ(one("2MiB").value, 2097152);
  EXPECT_EQ(one("500kB").value, 5e5);
  EXPECT_EQ(one(" SQNR = 20 DB ").kind, Limit::kSqnr);
  EXPECT_EQ(one("250us@npu").value, 0.25);
  EXPECT_EQ(one("1s@npu"), (Limit{Limit::kLatency, 1000, "npu"}));
  EXPECT_EQ(one("1e3kB").value, 1e6);
  EXPECT_EQ(one("5ms@dir/a=b@c.json").profile, "dir/a=b@c.json");
}

TEST(Budget, RefusesWhatIsNoNumberWithAUnit) {
  for (const char* text : {"", ",", "4bits,", "bits", "four bits", "=5bits", "nanbits", "infbits",
                           "-infbits", "+4bits", "0x4bits", "1e999bits", "act=", "@p"}) {
    EXPECT_NE(code_of(text), "") << text;
  }
  EXPECT_EQ(code_of(""), "QT-E110");
  EXPECT_EQ(code_of("bits"), "QT-E110");
  EXPECT_EQ(code_of("infbits"), "QT-E110");
  std::string many = "4bits";
  for (int i = 0; i < 1000; ++i) many += ",4bits";
  EXPECT_EQ(code_of(many), "QT-E110");
  EXPECT_EQ(code_of(std::string(1 << 20, '9')), "QT-E110");
  EXPECT_EQ(code_of(std::string("4\0bits", 6)), "QT-E111");
}

TEST(Budget, SuggestsTheNearestUnitOrKey) {
  EXPECT_EQ(code_of("4.5"), "QT-E111");
  EXPECT_EQ(code_of("4,5bits"), "QT-E111");
  EXPECT_EQ(hint_of("4.5bit"), "did you mean 'bits'?");
  EXPECT_EQ(hint_of("25%sise"), "did you mean '%size'?");
  EXPECT_EQ(hint_of("3gbop"), "did you mean 'Gbops'?");
  EXPECT_EQ(hint_of("agrement=99%"), "did you mean 'agreement='?");
  EXPECT_EQ(hint_of("act=6"), "units here: bits");
  EXPECT_NE(hint_of("speed=6"), "");
  EXPECT_EQ(code_of("25%"), "QT-E111");
  EXPECT_EQ(code_of("drop=5dB"), "QT-E111");
}

TEST(Budget, RefusesValuesOutOfRange) {
  for (const char* text :
       {"0bits", "-1bits", "33bits", "0%size", "101%size", "0B", "0.5B", "drop=-1%", "drop=101%",
        "agreement=0%", "sqnr=1000dB", "0ms@p", "1e300GB", "1e300Gbops"}) {
    EXPECT_EQ(code_of(text), "QT-E112") << text;
  }
  EXPECT_EQ(one("drop=0%").value, 0);
  EXPECT_EQ(one("100%size").value, 1);
}

TEST(Budget, WantsAProfileForLatencyOnly) {
  EXPECT_EQ(code_of("5ms"), "QT-E113");
  EXPECT_EQ(code_of("5ms@"), "QT-E113");
  EXPECT_EQ(code_of("60%latency"), "QT-E113");
  EXPECT_EQ(code_of("4bits@p"), "QT-E113");
  EXPECT_EQ(code_of("4bits@"), "QT-E113");
}

TEST(Budget, TellsQualityFloorsFromCosts) {
  EXPECT_TRUE(is_quality_floor(one("drop=1%")));
  EXPECT_TRUE(is_quality_floor(one("agreement=99%")));
  EXPECT_TRUE(is_quality_floor(one("sqnr=20dB")));
  EXPECT_FALSE(is_quality_floor(one("4bits")));
  EXPECT_FALSE(is_quality_floor(one("5ms@p")));
}

}  // namespace
}  // namespace qtool
