#include "score/row_noise.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "qtool/exec.hpp"
#include "qtool/onnx.hpp"
#include "support/random.hpp"

namespace qtool {
namespace {

using fisher::RowNoise;
using fisher::RowSums;
using test::normal;

// What a layer makes with the change of its weight for the weight, times a gradient.
void expect_products_of_outputs(const std::string& text, const Shape& x_shape, const Shape& w_shape,
                                int64_t channel_axis_of_output, size_t rows) {
  Model model = model_from_text("<ir_version: 8, opset_import: [\"\": 17]>\n" + text);
  Graph& g = model.graph;
  const Tensor x = normal(x_shape, 1, 1), change = normal(w_shape, 2, 0.1);
  g.initializers[g.find("w")].data = change;
  std::erase(g.inputs, g.find("w"));
  const Tensor y = Executor(model).run({{"x", x}})[0];
  const Sites sites = find_sites(model, find_target("ort-cpu"));
  const LayerSite& site = sites.layers.at(0);
  const std::vector<Tensor> gradients = {normal(y.shape(), 3, 1), Tensor(),
                                         normal(y.shape(), 4, 1)};
  const RowNoise noise(model, site);
  const fisher::LayerChanges layer{&site, {fisher::WeightChange(change), {}}};
  const int64_t samples = x.dim(0), channels = y.dim(channel_axis_of_output);
  const RowSums sums = noise.sums(layer, x, gradients, samples);

  int64_t inner = 1;
  for (int64_t d = channel_axis_of_output + 1; d < y.rank(); ++d) inner *= y.dim(d);
  std::vector<double> aa(static_cast<size_t>(channels)), ab = aa, bb = aa, shift = aa;
  for (size_t direction : {0u, 2u}) {
    std::vector<double> a(static_cast<size_t>(samples * channels)), b = a;
    for (int64_t i = 0; i < y.size(); ++i) {
      const int64_t channel = i / inner % channels, sample = i / (y.size() / samples);
      const auto at = static_cast<size_t>(sample * channels + channel);
      a[at] += y.number(i) * gradients[direction].number(i);
      b[at] += gradients[direction].number(i);
      if (direction == 0) shift[static_cast<size_t>(channel)] += y.number(i);
    }
    for (size_t i = 0; i < a.size(); ++i) {
      const size_t c = i % static_cast<size_t>(channels);
      aa[c] += a[i] * a[i];
      ab[c] += a[i] * b[i];
      bb[c] += b[i] * b[i];
    }
  }
  std::vector<double> want(rows);
  for (size_t c = 0; c < aa.size(); ++c) {
    EXPECT_NEAR(sums.aa[0][c], aa[c], 1e-4 * aa[c]) << text << " " << c;
    EXPECT_NEAR(sums.ab[0][c], ab[c], 1e-4 * std::sqrt(aa[c] * bb[c])) << text << " " << c;
    EXPECT_EQ(sums.aa[1][c], 0);
    const double mean =
        site.takes_bias ? shift[c] * static_cast<double>(channels) / static_cast<double>(y.size())
                        : 0;
    want[c % rows] += aa[c] - 2 * mean * ab[c] + mean * mean * bb[c];
  }
  const auto by_row = noise.by_row(layer, sums, 1);
  ASSERT_EQ(by_row.size(), rows);
  for (size_t r = 0; r < rows; ++r) {
    EXPECT_NEAR(by_row[r][0], want[r], 1e-3 * want[r]) << text << " " << r;
    EXPECT_EQ(by_row[r][1], 0);
  }
}

TEST(RowNoise, IsThatOfTheOutputsOfALayer) {
  expect_products_of_outputs(
      "g (float[3, 4, 6, 5] x, float[6, 4, 3, 3] w) => (float[3, 6, 6, 5] y)\n"
      "{ y = Conv<pads = [1, 1, 1, 1]>(x, w) }",
      {3, 4, 6, 5}, {6, 4, 3, 3}, 1, 6);
  expect_products_of_outputs(
      "g (float[3, 4, 6, 5] x, float[6, 4, 1, 1] w) => (float[3, 6, 6, 5] y)\n"
      "{ y = Conv(x, w) }",
      {3, 4, 6, 5}, {6, 4, 1, 1}, 1, 6);
  expect_products_of_outputs(
      "g (float[3, 8, 5] x, float[6, 4, 3] w) => (float[3, 6, 3] y)\n"
      "{ y = Conv<group = 2>(x, w) }",
      {3, 8, 5}, {6, 4, 3}, 1, 6);
  expect_products_of_outputs(
      "g (float[3, 8, 5, 5] x, float[16, 1, 3, 3] w) => (float[3, 16, 2, 2] y)\n"
      "{ y = Conv<group = 8, strides = [2, 2]>(x, w) }",
      {3, 8, 5, 5}, {16, 1, 3, 3}, 1, 16);
}

TEST(RowNoise, OfATransposedConvolutionHasEveryRowOnceAGroup) {
  expect_products_of_outputs(
      "g (float[2, 4, 3, 3] x, float[4, 3, 2, 2] w) => (float[2, 6, 6, 6] y)\n"
      "{ y = ConvTranspose<group = 2, strides = [2, 2]>(x, w) }",
      {2, 4, 3, 3}, {4, 3, 2, 2}, 1, 3);
}

TEST(RowNoise, OfDenseLayersGoesByTheirRows) {
  expect_products_of_outputs(
      "g (float[3, 70] x, float[20, 70] w) => (float[3, 20] y)\n"
      "{ y = Gemm<transB = 1, alpha = 0.5>(x, w) }",
      {3, 70}, {20, 70}, 1, 20);
  expect_products_of_outputs(
      "g (float[3, 70] x, float[70, 20] w) => (float[3, 20] y)\n"
      "{ y = Gemm(x, w) }",
      {3, 70}, {70, 20}, 1, 20);
  expect_products_of_outputs(
      "g (float[3, 5, 70] x, float[70, 20] w) => (float[3, 5, 20] y)\n"
      "{ y = MatMul(x, w) }",
      {3, 5, 70}, {70, 20}, 2, 20);
  expect_products_of_outputs(
      "g (float[3, 2, 5, 7] x, float[2, 7, 4] w) => (float[3, 2, 5, 4] y)\n"
      "{ y = MatMul(x, w) }",
      {3, 2, 5, 7}, {2, 7, 4}, 3, 4);
}

}  // namespace
}  // namespace qtool
