#include <gtest/gtest.h>

#include "quantize/internal.hpp"

namespace qtool {
namespace {

TEST(Optimizers, OfLargeLayersAreStoodInForByCheaperOnes) {
  const OptimizerDef &cd = find_optimizer("cd"), &rtn = find_optimizer("rtn");
  EXPECT_EQ(qdq::affordable(cd, 768, 3072).name, "cd");
  EXPECT_EQ(qdq::affordable(cd, 2048, 2048).name, "cd");
  EXPECT_EQ(qdq::affordable(cd, 8192, 8192).name, "gptq");
  EXPECT_EQ(qdq::affordable(cd, 50000, 50000).name, "rtn");
  EXPECT_EQ(qdq::affordable(find_optimizer("gptq"), 8192, 8192).name, "gptq");
  EXPECT_EQ(qdq::affordable(rtn, 8192, 8192).name, "rtn");
}

}  // namespace
}  // namespace qtool
