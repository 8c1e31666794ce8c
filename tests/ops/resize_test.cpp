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
