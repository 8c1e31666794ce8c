#include <gtest/gtest.h>

#include "qtool/exec.hpp"

namespace qtool {
namespace {

TEST(Machine, KnowsItsInstructionSet) {
  EXPECT_FALSE(cpu_isa().empty());
  const bool dot_products = cpu_isa().find("VNNI") != std::string::npos;
  EXPECT_FALSE(dot_products && saturates_u8s8());
  EXPECT_FALSE(cpu_isa() == "AVX2" && !saturates_u8s8());
}

TEST(Machine, HasAPeak) {
  const MachinePeak peak = measure_peak(1);
  EXPECT_GT(peak.float_gflops, 0);
  EXPECT_GT(peak.int8_gops, 0);
}

}  // namespace
}  // namespace qtool
