// Operators that few models hold.
#include "support.hpp"

namespace qtool {
namespace {

Tensor counting(Shape shape) {
  std::vector<float> v(static_cast<size_t>(element_count(shape)));
  for (size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(i);
  return floats(std::move(shape), v);
}
Attribute list(std::string name, std::vector<int64_t> v) {
  return attribute(std::move(name), std::move(v));
}

TEST(Ops, MaxUnpoolPutsValuesBack) {
  const Tensor x = floats({1, 1, 2, 2}, {1, 2, 3, 4}), at = int64s({1, 1, 2, 2}, {5, 7, 13, 15});
  const std::vector<Attribute> a{list("kernel_shape", {2, 2}), list("strides", {2, 2})};
  expect_tensor(run({"MaxUnpool", {x, at}, a})[0],
                floats({1, 1, 4, 4}, {0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 3, 0, 4}));
  const Tensor larger =
      run({"MaxUnpool", {x, at, int64s({4}, {1, 1, 5, 5})}, a})[0];  // positions are of 4×4
  EXPECT_EQ(larger.shape(), (Shape{1, 1, 5, 5}));
  EXPECT_FLOAT_EQ(larger.data<float>()[6], 1);
  EXPECT_FLOAT_EQ(larger.data<float>()[18], 4);
  EXPECT_EQ(error_code({"MaxUnpool", {x, int64s({1, 1, 2, 2}, {5, 7, 13, 16})}, a}), "QT-E331");
  EXPECT_EQ(error_code({"MaxUnpool", {x, at, int64s({4}, {1, 1, 3, 5})}, a}), "QT-E331");
}

// Values of onnxruntime.
TEST(Ops, MaxRoiPoolTakesTheLargestOfEachBin) {
  const Tensor rois = floats({2, 5}, {0, 0, 0, 3, 3, 0, 2, 1, 7, 5});
  expect_tensor(
      run({"MaxRoiPool",
           {counting({1, 2, 4, 4}), rois},
           {list("pooled_shape", {2, 2}), attribute("spatial_scale", 0.5f)}})[0],
      floats({2, 2, 2, 2}, {5, 6, 9, 10, 21, 22, 25, 26, 10, 11, 14, 15, 26, 27, 30, 31}));
}

// The example of the operator's specification.
TEST(Ops, DeformConvReadsBetweenPixels) {
  std::vector<float> offset(32, 0);
  offset[0] = 0.5f;    // of the first kernel element, in y, at the first output
  offset[21] = -0.1f;  // of the third one, in x, at the second output
  const OpRun plain{
      "DeformConv",
      {counting({1, 1, 3, 3}), floats({1, 1, 2, 2}, {1, 1, 1, 1}), floats({1, 8, 2, 2}, offset)},
      {list("kernel_shape", {2, 2})}};
  expect_tensor(run(plain)[0], floats({1, 1, 2, 2}, {9.5f, 11.9f, 20, 24}), 1e-5);
  OpRun masked = plain;
  masked.inputs.push_back(floats({1}, {1}));
  masked.inputs.push_back(floats({1, 4, 2, 2}, {0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}));
  expect_tensor(run(masked)[0], floats({1, 1, 2, 2}, {9, 12.9f, 21, 25}), 1e-5);
  EXPECT_EQ(error_code({"DeformConv",
                        {counting({1, 1, 3}), floats({1, 1, 2}, {1, 1}),
                         floats({1, 4, 2}, std::vector<float>(8))}}),
            "QT-E320");
}

TEST(Ops, OfPipelines) {
  expect_tensor(run({"ArrayFeatureExtractor",
                     {floats({2, 3}, {1, 2, 3, 4, 5, 6}), int64s({1, 2}, {2, 0})},
                     {},
                     1,
                     1,
                     "ai.onnx.ml"})[0],
                floats({2, 2}, {3, 1, 6, 4}));
  expect_tensor(run({"Binarizer",
                     {floats({3}, {0, 1, 2})},
                     {attribute("threshold", 1.f)},
                     1,
                     1,
                     "ai.onnx.ml"})[0],
                floats({3}, {0, 0, 1}));
}

TEST(Ops, ImageDecoderGivesPixelsInTheOrderAskedFor) {
  const std::string file = "P6\n2 1\n255\n\x01\x02\x03\x0a\x14\x1e";
  const Tensor stream = Tensor::of<uint8_t>({static_cast<int64_t>(file.size())},
                                            std::vector<uint8_t>(file.begin(), file.end()));
  const auto decoded = [&](const char* format) {
    return run({"ImageDecoder", {stream}, {attribute("pixel_format", std::string(format))}, 20})[0];
  };
  expect_tensor(decoded("RGB"), Tensor::of<uint8_t>({1, 2, 3}, {1, 2, 3, 10, 20, 30}));
  expect_tensor(decoded("BGR"), Tensor::of<uint8_t>({1, 2, 3}, {3, 2, 1, 30, 20, 10}));
  expect_tensor(decoded("Grayscale"), Tensor::of<uint8_t>({1, 2, 1}, {2, 18}));
  EXPECT_EQ(error_code({"ImageDecoder", {stream}, {attribute("pixel_format", std::string("HSV"))}}),
            "QT-E331");
  const Tensor noise = Tensor::of<uint8_t>({3}, {1, 2, 3});
  EXPECT_EQ(error_code({"ImageDecoder", {noise}, {}, 20}), "QT-E410");
}

}  // namespace
}  // namespace qtool
