#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "report/text.hpp"

namespace qtool {
namespace {

Frontier three_points() {
  Frontier f{.cost = Limit::kSize, .points = {}};
  for (int i = 0; i < 3; ++i) {
    Frontier::Point point;
    point.cost.mean_weight_bits = 2 + i;
    point.cost.size_bytes = 1234567 * (i + 1);
    point.loss = std::pow(10.0, -i);
    f.points.push_back(point);
  }
  return f;
}

TEST(FrontierReport, CsvHasALineAPointAndEveryDigit) {
  const std::string csv = frontier_csv(three_points(), true);
  EXPECT_EQ(csv,
            "mean_weight_bits,mean_activation_bits,bpw,size_bytes,bops,latency_ms,loss,sqnr_db\n"
            "2,0,0,1234567,0,,1,0\n3,0,0,2469134,0,,0.1,10\n4,0,0,3703701,0,,0.01,20\n");
}

TEST(FrontierReport, PlotsHaveAMarkAPoint) {
  const std::string text = report::frontier_text(three_points(), true);
  EXPECT_EQ(std::ranges::count(text, '*'), 3);
  EXPECT_NE(text.find("bytes of weights"), std::string::npos);
  EXPECT_NE(text.find("SQNR"), std::string::npos);
  EXPECT_EQ(report::frontier_text({}, true), "");
  const std::string svg = frontier_svg(three_points(), false);
  EXPECT_NE(svg.find("points=\"70.0,380.0 370.0,200.0 670.0,20.0\""), std::string::npos) << svg;
  EXPECT_EQ(svg.find("SQNR"), std::string::npos);
}

TEST(FrontierReport, OnePointHasAPlaceToo) {
  Frontier one = three_points();
  one.points.resize(1);
  EXPECT_EQ(std::ranges::count(report::frontier_text(one, true), '*'), 1);
  EXPECT_EQ(frontier_svg(one, true).find("nan"), std::string::npos);
}

}  // namespace
}  // namespace qtool
