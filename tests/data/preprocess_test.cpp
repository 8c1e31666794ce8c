#include "support.hpp"

namespace qtool {
namespace {

TEST(Data, NormalisesInFloat32StepByStep) {
  Preprocess p;
  p.scale = 0.00392156862745098;
  p.mean = {0.485, 0.456, 0.406};
  p.std = {0.229, 0.224, 0.225};
  Tensor t = preprocess_image({1, 2, 3, {0, 128, 255, 1, 2, 3}}, p);
  EXPECT_EQ(t.shape(), (Shape{1, 3, 1, 2}));
  float x = 128.0f * static_cast<float>(p.scale);
  x = x - 0.456f;
  EXPECT_EQ(t.data<float>()[2], x / 0.224f);
  EXPECT_EQ(t.data<float>()[0], (0.0f - 0.485f) / 0.229f);
}

TEST(Data, OrdersChannelsAndAxes) {
  Preprocess p;
  Image image{1, 2, 3, {1, 2, 3, 4, 5, 6}};
  EXPECT_EQ(values<float>(preprocess_image(image, p)), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  p.channel_order = "BGR";
  EXPECT_EQ(values<float>(preprocess_image(image, p)), (std::vector<float>{3, 6, 2, 5, 1, 4}));
  p.layout = "NHWC";
  Tensor t = preprocess_image(image, p);
  EXPECT_EQ(t.shape(), (Shape{1, 1, 2, 3}));
  EXPECT_EQ(values<float>(t), (std::vector<float>{3, 2, 1, 6, 5, 4}));
}

TEST(Data, ConvertsBetweenGreyAndColour) {
  Preprocess p;
  EXPECT_EQ(values<float>(preprocess_image({1, 1, 1, {7}}, p)), (std::vector<float>{7, 7, 7}));
  p.grayscale = true;
  EXPECT_EQ(values<float>(preprocess_image({1, 2, 3, {255, 0, 0, 10, 200, 30}}, p)),
            (std::vector<float>{76, 124}));
  EXPECT_EQ(values<float>(preprocess_image({1, 1, 1, {7}}, p)), (std::vector<float>{7}));
}

TEST(Data, ShortSideIsRoundedAsPythonDoes) {
  Preprocess p;
  p.resize_short_side = 5;
  // 7 * 5 / 10 = 3.5 would be below the short side; 25 * 5 / 10 = 12.5 rounds to 12.
  EXPECT_EQ(preprocess_image(pattern(10, 25, 3), p).shape(), (Shape{1, 3, 5, 12}));
  EXPECT_EQ(preprocess_image(pattern(27, 10, 3), p).shape(), (Shape{1, 3, 14, 5}));
  EXPECT_EQ(preprocess_image(pattern(5, 9, 3), p).shape(), (Shape{1, 3, 5, 9}));
}

TEST(Data, CropsTheCentre) {
  Preprocess p;
  p.center_crop = 2;
  Image image{3, 5, 1, {}};
  for (int i = 0; i < 15; ++i) image.pixels.push_back(static_cast<uint8_t>(i));
  p.grayscale = true;
  EXPECT_EQ(values<float>(preprocess_image(image, p)), (std::vector<float>{1, 2, 6, 7}));
  // Python: (1 - 2) // 2 = -1, so the frame is above and to the left.
  EXPECT_EQ(values<float>(preprocess_image({1, 1, 1, {9}}, p)), (std::vector<float>{0, 0, 0, 9}));
}

TEST(Data, KeepsTheAspectRatioAndPadsWithZeros) {
  Preprocess p;
  p.resize_height = 4;
  p.pad_width_to = 8;
  p.mean = {1.0};
  Tensor t = preprocess_image({2, 3, 1, std::vector<uint8_t>(6, 11)}, p);
  ASSERT_EQ(t.shape(), (Shape{1, 3, 4, 8}));
  EXPECT_EQ(t.data<float>()[5], 10.0f);
  EXPECT_EQ(t.data<float>()[6], 0.0f);
  EXPECT_EQ(t.data<float>()[8], 10.0f);
  EXPECT_EQ(preprocess_image(pattern(2, 9, 3), p).dim(3), 18);
  EXPECT_EQ(preprocess_image(pattern(50, 1, 3), p).dim(3), 8);
}

TEST(Data, RefusesToBlowUpAPicture) {
  Preprocess p;
  p.center_crop = 1 << 16;
  EXPECT_EQ(error_code(ErrorKind::kData, [&] { preprocess_image(pattern(4, 4, 3), p); }),
            "QT-E411");
  p.center_crop.reset();
  p.resize_height = 1 << 16;
  EXPECT_EQ(error_code(ErrorKind::kData, [&] { preprocess_image(pattern(1, 4, 3), p); }),
            "QT-E411");
}

TEST(Data, RefusesImpossiblePreprocessing) {
  auto code = [](auto change) {
    Preprocess p;
    change(p);
    return error_code(ErrorKind::kUsage, [&] { preprocess_image(pattern(4, 4, 3), p); });
  };
  EXPECT_EQ(code([](Preprocess& p) { p.layout = "NWHC"; }), "QT-E152");
  EXPECT_EQ(code([](Preprocess& p) { p.channel_order = "rgb"; }), "QT-E152");
  EXPECT_EQ(code([](Preprocess& p) { p.std = {0.0}; }), "QT-E150");
  EXPECT_EQ(code([](Preprocess& p) { p.mean = {1.0, 2.0}; }), "QT-E151");
  EXPECT_EQ(code([](Preprocess& p) { p.center_crop = 1 << 30; }), "QT-E150");
  EXPECT_EQ(code([](Preprocess& p) { p.resize_short_side = 8, p.resize_height = 8; }), "QT-E150");
  EXPECT_EQ(code([](Preprocess& p) { p.resize_width = 8; }), "QT-E150");
}

}  // namespace
}  // namespace qtool
