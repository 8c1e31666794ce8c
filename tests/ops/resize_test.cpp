#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/support.hpp"

namespace qtool {
namespace {
Attribute text(std::string name, std::string value) {
  return attribute(std::move(name), std::move(value));
}
OpRun to_size(Tensor x, std::vector<int64_t> sizes, std::vector<Attribute> attributes,
              Tensor roi = {}) {
  const auto n = static_cast<int64_t>(sizes.size());
  return {"Resize",
          {std::move(x), std::move(roi), Tensor(), int64s({n}, std::move(sizes))},
          std::move(attributes),
          19};
}
}  // namespace

TEST(Resize, NearestMovesAnyType) {
  expect_tensor(
      run({"Upsample", {floats({1, 1, 1, 2}, {1, 2}), floats({4}, {1, 1, 2, 2})}, {}, 9})[0],
      floats({1, 1, 2, 4}, {1, 1, 2, 2, 1, 1, 2, 2}));
  const Tensor words = run(to_size(Tensor::strings({2}, {"a", "b"}), {4}, {}))[0];
  EXPECT_EQ(words.string_data(), (std::vector<std::string>{"a", "a", "b", "b"}));
}

TEST(Resize, NearestFitsAnySize) {
  for (const int64_t inner : {1, 2, 5}) {
    for (const int64_t length : {3, 8, 11, 40}) {
      for (const int64_t size : {1, 7, 8, 9, 22, 120}) {
        Tensor x(DType::kFloat, {3, length, inner});
        for (int64_t i = 0; i < x.size(); ++i) x.set_number(i, static_cast<double>(i));
        for (const DType type : {DType::kFloat, DType::kDouble, DType::kInt16}) {
          const Tensor y = run(to_size(cast(x, type), {3, size, inner},
                                       {text("coordinate_transformation_mode", "asymmetric"),
                                        text("nearest_mode", "floor")}))[0];
          for (int64_t i = 0; i < y.size(); ++i) {
            const int64_t row = i / inner % size * length / size, o = i / (size * inner);
            EXPECT_EQ(y.number(i), static_cast<double>((o * length + row) * inner + i % inner));
          }
        }
      }
    }
  }
}

TEST(Resize, LinearFollowsItsCoordinates) {
  const Tensor x = floats({2}, {1, 3});
  expect_tensor(run(to_size(x, {4}, {text("mode", "linear")}))[0], floats({4}, {1, 1.5, 2.5, 3}));
  expect_tensor(run(to_size(x, {3},
                            {text("mode", "linear"),
                             text("coordinate_transformation_mode", "align_corners")}))[0],
                floats({3}, {1, 2, 3}));
  expect_tensor(run(to_size(x, {4},
                            {text("mode", "linear"),
                             text("coordinate_transformation_mode", "asymmetric")}))[0],
                floats({4}, {1, 2, 3, 3}));
}

// Rows of every length around those of vectors, along the last axis and another, against the formula.
TEST(Resize, LinearFitsAnySize) {
  for (const int64_t inner : {1, 2, 3, 7, 15, 16, 17, 31, 33, 40}) {
    for (const int64_t size : {1, 5, 11, 37}) {
      const int64_t length = 11;
      Tensor x(DType::kFloat, {2, length, inner});
      for (int64_t i = 0; i < x.size(); ++i)
        x.set_number(i, std::sin(static_cast<double>(i * i % 1013)));
      Tensor want(DType::kDouble, {2, size, inner});
      for (int64_t i = 0; i < want.size(); ++i) {
        const int64_t o = i / (size * inner), p = i / inner % size, k = i % inner;
        const double at = (static_cast<double>(p) + 0.5) * static_cast<double>(length) /
                              static_cast<double>(size) -
                          0.5;
        const auto low = static_cast<int64_t>(std::floor(at));
        const double part = at - static_cast<double>(low);
        const auto value = [&](int64_t row) {
          return x.number((o * length + std::clamp<int64_t>(row, 0, length - 1)) * inner + k);
        };
        want.set_number(i, (1 - part) * value(low) + part * value(low + 1));
      }
      for (const DType type : {DType::kFloat, DType::kDouble, DType::kFloat16}) {
        const Tensor got =
            run(to_size(cast(x, type), {2, size, inner}, {text("mode", "linear")}))[0];
        EXPECT_EQ(got.dtype(), type);
        expect_tensor(cast(got, DType::kDouble), want, type == DType::kFloat16 ? 1e-3 : 2e-6);
      }
    }
  }
}

// Where an element is taken with the weight 1, its neighbours do not matter.
TEST(Resize, InfinityStaysWhereItIs) {
  const float inf = std::numeric_limits<float>::infinity();
  for (const char* mode : {"linear", "cubic"}) {
    for (const int64_t inner : {1, 20}) {
      Tensor x(DType::kFloat, {5, inner});
      for (int64_t i = 0; i < inner; ++i) x.set_number(2 * inner + i, inf);
      const Tensor y = run(to_size(
          x, {9, inner},
          {text("mode", mode), text("coordinate_transformation_mode", "align_corners")}))[0];
      for (int64_t i = 0; i < inner; ++i) {
        EXPECT_EQ(y.number(2 * inner + i), 0);
        EXPECT_EQ(y.number(4 * inner + i), inf);
        EXPECT_EQ(y.number(6 * inner + i), 0);
      }
    }
  }
}

TEST(Resize, WholeNumbersAreRounded) {
  const Tensor x = Tensor::of<int32_t>({2}, {0, 1 << 30});
  expect_tensor(run(to_size(x, {4}, {text("mode", "linear")}))[0],
                Tensor::of<int32_t>({4}, {0, 1 << 28, (1 << 30) - (1 << 28), 1 << 30}), 0);
}

TEST(Resize, CropsOutsideWithTheGivenValue) {
  const OpRun r =
      to_size(floats({3}, {1, 2, 3}), {3},
              {text("mode", "linear"), text("coordinate_transformation_mode", "tf_crop_and_resize"),
               attribute("extrapolation_value", 9.f)},
              floats({2}, {0.5, 1.5}));
  expect_tensor(run(r)[0], floats({3}, {2, 3, 9}));
}

TEST(Resize, KeepsTheAspectRatioWhenAsked) {
  const OpRun r = to_size(floats({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}), {6, 8},
                          {text("keep_aspect_ratio_policy", "not_larger")});
  EXPECT_EQ(run(r)[0].shape(), (Shape{4, 8}));
}

TEST(Resize, BadRequestsAreRefused) {
  const Tensor x = floats({2}, {1, 2});
  EXPECT_EQ(error_code(to_size(x, {2, 2}, {})), "QT-E331");
  EXPECT_EQ(error_code(to_size(x, {-1}, {})), "QT-E331");
  EXPECT_EQ(error_code(to_size(x, {4}, {text("mode", "odd")})), "QT-E331");
  EXPECT_EQ(error_code({"Resize", {x, Tensor(), floats({1}, {0})}, {}, 19}), "QT-E331");
  EXPECT_EQ(error_code({"Resize", {x, Tensor(), floats({1}, {1e30f})}, {}, 19}), "QT-E331");
}

TEST(GridSample, ReadsBetweenPixels) {
  const Tensor x = floats({1, 1, 1, 2}, {1, 3});
  const Tensor grid = floats({1, 1, 3, 2}, {0, 0, -0.5, 0, 5, 0});
  expect_tensor(run({"GridSample", {x, grid}})[0], floats({1, 1, 1, 3}, {2, 1, 0}));
  expect_tensor(run({"GridSample", {x, grid}, {text("padding_mode", "border")}})[0],
                floats({1, 1, 1, 3}, {2, 1, 3}));
  EXPECT_EQ(error_code({"GridSample", {x, floats({1, 1, 1, 3}, {0, 0, 0})}}), "QT-E331");
}

// More points than are worked out at once, some outside, in planes of every channel.
TEST(GridSample, LinearIsAWeightedSumOfFourPixels) {
  constexpr int64_t kHeight = 7, kWidth = 9, kRows = 17, kColumns = 19;
  Tensor x(DType::kDouble, {2, 3, kHeight, kWidth}), grid(DType::kFloat, {2, kRows, kColumns, 2});
  for (int64_t i = 0; i < x.size(); ++i) x.set_number(i, std::sin(static_cast<double>(i)));
  for (int64_t i = 0; i < grid.size(); ++i)
    grid.set_number(i, 1.3 * std::sin(static_cast<double>(i * i)));
  Tensor want(DType::kDouble, {2, 3, kRows, kColumns});
  for (int64_t i = 0; i < want.size(); ++i) {
    const int64_t plane = i / (kRows * kColumns),
                  point = plane / 3 * kRows * kColumns + i % (kRows * kColumns);
    const double at_x = ((grid.number(2 * point) + 1) * kWidth - 1) / 2,
                 at_y = ((grid.number(2 * point + 1) + 1) * kHeight - 1) / 2;
    double sum = 0;
    for (int64_t r = 0; r < kHeight; ++r)
      for (int64_t c = 0; c < kWidth; ++c)
        sum += std::max(0., 1 - std::abs(at_y - double(r))) *
               std::max(0., 1 - std::abs(at_x - double(c))) *
               x.number((plane * kHeight + r) * kWidth + c);
    want.set_number(i, sum);
  }
  for (const DType type : {DType::kFloat, DType::kDouble})
    expect_tensor(cast(run({"GridSample", {cast(x, type), grid}})[0], DType::kDouble), want, 2e-6);
}

TEST(GridSample, PixelsWithoutWeightDoNotMatter) {
  const float inf = std::numeric_limits<float>::infinity();
  const Tensor x = floats({1, 1, 1, 3}, {1, inf, 2}),
               grid = floats({1, 1, 3, 2}, {-1, 0, 0, 0, 1, 0});
  for (const char* mode : {"linear", "cubic"})
    expect_tensor(run({"GridSample",
                       {x, grid},
                       {text("mode", mode), attribute("align_corners", int64_t{1})}})[0],
                  floats({1, 1, 1, 3}, {1, inf, 2}));
}

// Values of onnxruntime; (2 + 0.5) / 0.7 - 0.5 lies between two pixels in float only.
TEST(Resize, CoordinatesAreComputedInFloat) {
  const Tensor x = floats({1, 1, 7}, {0, 1, 2, 3, 4, 5, 6}), scales = floats({3}, {1, 1, 0.7f});
  expect_tensor(run({"Resize", {x, Tensor(), scales}, {}, 13})[0], floats({1, 1, 4}, {0, 2, 3, 4}));
  expect_tensor(run({"Resize", {x, scales}, {}, 10})[0], floats({1, 1, 4}, {0, 2, 3, 5}));
}

TEST(AffineGrid, IdentityGivesPixelCentres) {
  const Tensor theta = floats({1, 2, 3}, {1, 0, 0, 0, 1, 0});
  expect_tensor(run({"AffineGrid", {theta, int64s({4}, {1, 1, 1, 2})}})[0],
                floats({1, 1, 2, 2}, {-0.5, 0, 0.5, 0}));
}

TEST(RoiAlign, AveragesItsSamples) {
  const Tensor x = floats({1, 1, 2, 2}, {1, 2, 3, 4});
  const OpRun r{"RoiAlign",
                {x, floats({1, 4}, {0, 0, 2, 2}), int64s({1}, {0})},
                {attribute("sampling_ratio", int64_t{2})}};
  expect_tensor(run(r)[0], floats({1, 1, 1, 1}, {2.5}));
  EXPECT_EQ(error_code({"RoiAlign", {x, floats({1, 4}, {0, 0, 2, 2}), int64s({1}, {3})}}),
            "QT-E331");
}

}  // namespace qtool
