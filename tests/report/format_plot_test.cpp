#include <gtest/gtest.h>

#include "qtool/number_format.hpp"
#include "qtool/onnx.hpp"
#include "qtool/report.hpp"

namespace qtool {
namespace {

TEST(FormatPlot, ShowsEveryFormat) {
  const std::string svg = format_plot();
  EXPECT_EQ(svg.rfind("<svg ", 0), 0u);
  for (const FormatDef* format : formats())
    EXPECT_NE(svg.find(cat(">", format->name, "</tspan>, ")), std::string::npos) << format->name;
  EXPECT_NE(svg.find(">kmeans</tspan>, 3 bits, 8 numbers in a channel<"), std::string::npos);
  EXPECT_NE(svg.find(">binary</tspan>, 1 bit, 2 numbers in a channel<"), std::string::npos);
  EXPECT_EQ(svg, format_plot());
}

TEST(FormatPlot, DrawsTheLargestLayerOfAModel) {
  const Model model = load_model(QTOOL_SOURCE_DIR "/models/digits.onnx");
  const std::string svg = format_plot(&model);
  EXPECT_NE(svg.find(">kmeans</tspan>, 3 bits, 8 numbers in a channel<"), std::string::npos);
  EXPECT_NE(svg, format_plot());
  const Model none = model_from_text(
      R"(<ir_version: 8, opset_import: ["": 17]> g (float[n] x) => (float[n] y) { y = Relu(x) })");
  EXPECT_THROW((void)format_plot(&none), Error);
}

}  // namespace
}  // namespace qtool
