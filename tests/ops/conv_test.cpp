#include "ops/support.hpp"

namespace qtool {
namespace {

Tensor counting(Shape shape) {
  std::vector<float> v(static_cast<size_t>(element_count(shape)));
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(i);
  return floats(std::move(shape), v);
}
Tensor ones(Shape shape) {
  const auto n = static_cast<size_t>(element_count(shape));
  return floats(std::move(shape), std::vector<float>(n, 1));
}
Attribute list(std::string name, std::vector<int64_t> v) {
  return attribute(std::move(name), std::move(v));
}

}  // namespace

TEST(Conv, PadsAndAddsItsBias) {
  const OpRun r{"Conv",
                {counting({1, 1, 3, 3}), ones({1, 1, 3, 3}), floats({1}, {0.5})},
                {list("pads", {1, 1, 1, 1})}};
  expect_tensor(run(r)[0],
                floats({1, 1, 3, 3}, {8.5, 15.5, 12.5, 21.5, 36.5, 27.5, 20.5, 33.5, 24.5}));
}

TEST(Conv, StridesDilationsAndGroups) {
  const OpRun strided{"Conv",
                      {counting({1, 1, 5}), ones({1, 1, 2})},
                      {list("strides", {2}), list("dilations", {2})}};
  expect_tensor(run(strided)[0], floats({1, 1, 2}, {2, 6}));
  const OpRun grouped{
      "Conv", {counting({1, 2, 2}), floats({2, 1, 1}, {1, 10})}, {attribute("group", int64_t{2})}};
  expect_tensor(run(grouped)[0], floats({1, 2, 2}, {0, 1, 20, 30}));
}

TEST(Conv, ThreeDimensionsAndEmptyBatches) {
  expect_tensor(run({"Conv", {counting({1, 1, 2, 2, 2}), ones({1, 1, 2, 2, 2})}})[0],
                floats({1, 1, 1, 1, 1}, {28}));
  EXPECT_EQ(run({"Conv", {Tensor(DType::kFloat, {0, 1, 4}), ones({1, 1, 2})}})[0].shape(),
            (Shape{0, 1, 3}));
}

TEST(Conv, ShapesThatDoNotFitAreRefused) {
  const Tensor x = counting({1, 2, 4});
  EXPECT_EQ(error_code({"Conv", {x, ones({1, 1, 2})}}), "QT-E331");
  EXPECT_EQ(error_code({"Conv", {x, ones({1, 2, 2, 2})}}), "QT-E331");
  EXPECT_EQ(error_code({"Conv", {x, ones({2, 2, 2}), ones({3})}}), "QT-E331");
  EXPECT_EQ(error_code({"Conv", {x, ones({1, 2, 2})}, {attribute("group", int64_t{0})}}),
            "QT-E331");
  EXPECT_EQ(error_code({"Conv", {x, ones({1, 2, 5})}}), "QT-E332");
  EXPECT_EQ(error_code({"Conv", {counting({1, 1, 1, 1, 1, 1}), ones({1, 1, 1, 1, 1, 1})}}),
            kUnsupportedCode);
}

TEST(Conv, MacsCountProducts) {
  const OpDef* conv = find_op("Conv", "", 22);
  const std::vector<Shape> in = {{1, 4, 8, 8}, {6, 2, 3, 3}}, out = {{1, 6, 6, 6}};
  EXPECT_EQ(conv->macs(Node{}, in, out), 6 * 6 * 6 * 2 * 9);
}

TEST(ConvTranspose, SpreadsItsInput) {
  expect_tensor(run({"ConvTranspose",
                     {floats({1, 1, 2}, {1, 2}), floats({1, 1, 3}, {1, 1, 1})},
                     {list("strides", {2})}})[0],
                floats({1, 1, 5}, {1, 1, 3, 2, 2}));
  const OpRun shaped{"ConvTranspose",
                     {floats({1, 1, 2}, {1, 2}), ones({1, 1, 3})},
                     {list("strides", {2}), list("output_shape", {4})}};
  expect_tensor(run(shaped)[0], floats({1, 1, 4}, {1, 3, 2, 2}));
  const OpRun grouped{"ConvTranspose",
                      {floats({1, 2, 1}, {1, 2}), floats({2, 1, 2}, {1, 10, 1, 10})},
                      {attribute("group", int64_t{2})}};
  expect_tensor(run(grouped)[0], floats({1, 2, 2}, {1, 10, 2, 20}));
}

TEST(Pool, AverageCountsPaddingOnlyWhenAsked) {
  const auto kernel = list("kernel_shape", {2}), pads = list("pads", {1, 0});
  const Tensor x = floats({1, 1, 2}, {2, 4});
  expect_tensor(run({"AveragePool", {x}, {kernel, pads}})[0], floats({1, 1, 2}, {2, 3}));
  expect_tensor(
      run({"AveragePool", {x}, {kernel, pads, attribute("count_include_pad", int64_t{1})}})[0],
      floats({1, 1, 2}, {1, 3}));
}

TEST(Pool, MaxGivesIndicesInEitherOrder) {
  const auto kernel = list("kernel_shape", {2, 2});
  const Tensor x = counting({1, 1, 2, 3});
  const auto rows = run({"MaxPool", {x}, {kernel}, 22, 2});
  expect_tensor(rows[0], floats({1, 1, 1, 2}, {4, 5}));
  expect_tensor(rows[1], int64s({1, 1, 1, 2}, {4, 5}));
  const auto columns =
      run({"MaxPool", {x}, {kernel, attribute("storage_order", int64_t{1})}, 22, 2});
  expect_tensor(columns[1], int64s({1, 1, 1, 2}, {3, 5}));
  expect_tensor(
      run({"MaxPool", {Tensor::of<int8_t>({1, 1, 2}, {-5, -3})}, {list("kernel_shape", {2})}})[0],
      Tensor::of<int8_t>({1, 1, 1}, {-3}));
}

TEST(Pool, GlobalPoolsKeepTheRank) {
  const Tensor x = floats({1, 2, 2, 1}, {1, 3, -3, 4});
  expect_tensor(run({"GlobalAveragePool", {x}})[0], floats({1, 2, 1, 1}, {2, 0.5}));
  expect_tensor(run({"GlobalMaxPool", {x}})[0], floats({1, 2, 1, 1}, {3, 4}));
  expect_tensor(run({"GlobalLpPool", {x}})[0], floats({1, 2, 1, 1}, {3.1622777f, 5}));
  expect_tensor(run({"LpPool", {x}, {list("kernel_shape", {2, 1}), attribute("p", int64_t{1})}})[0],
                floats({1, 2, 1, 1}, {4, 7}));
}

}  // namespace qtool
