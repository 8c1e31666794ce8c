#include <cmath>

#include "support.hpp"

namespace qtool {
namespace {

Tensor constant(std::string name, AttributeValue value) {
  return run({"Constant", {}, {attribute(std::move(name), std::move(value))}})[0];
}

TEST(Ops, ConstantHasSevenForms) {
  expect_tensor(constant("value", floats({2}, {1, 2})), floats({2}, {1, 2}));
  expect_tensor(constant("value_float", 1.5f), floats({}, {1.5f}));
  expect_tensor(constant("value_int", int64_t{3}), int64s({}, {3}));
  expect_tensor(constant("value_floats", std::vector<float>{1, 2}), floats({2}, {1, 2}));
  expect_tensor(constant("value_ints", std::vector<int64_t>{4}), int64s({1}, {4}));
  EXPECT_EQ(constant("value_string", std::string("a")).string_data(),
            std::vector<std::string>{"a"});
  EXPECT_EQ(constant("value_strings", std::vector<std::string>{"a", "b"}).shape(), Shape{2});
  EXPECT_EQ(error_code({"Constant", {}}), "QT-E331");
  EXPECT_EQ(
      error_code(
          {"Constant", {}, {attribute("value_int", int64_t{1}), attribute("value_float", 1.f)}}),
      "QT-E331");
  EXPECT_EQ(error_code({"Constant", {}, {attribute("sparse_value", std::monostate{})}}), "QT-E320");
}

TEST(Ops, ConstantOfShapeFills) {
  expect_tensor(run({"ConstantOfShape", {int64s({2}, {1, 2})}})[0], floats({1, 2}, {0, 0}));
  expect_tensor(
      run({"ConstantOfShape", {int64s({1}, {2})}, {attribute("value", int64s({1}, {7}))}})[0],
      int64s({2}, {7, 7}));
  EXPECT_EQ(run({"ConstantOfShape", {int64s({0}, {})}})[0].shape(), Shape{});
  EXPECT_EQ(run({"ConstantOfShape", {int64s({2}, {0, 3})}})[0].shape(), (Shape{0, 3}));
  EXPECT_EQ(error_code(
                {"ConstantOfShape", {int64s({1}, {2})}, {attribute("value", int64s({2}, {7, 7}))}}),
            "QT-E331");
}

TEST(Ops, ShapeAndSizeGiveDimensions) {
  const Tensor x(DType::kFloat, {2, 3, 4});
  expect_tensor(run({"Shape", {x}})[0], int64s({3}, {2, 3, 4}));
  expect_tensor(
      run({"Shape", {x}, {attribute("start", int64_t{-2}), attribute("end", int64_t{9})}})[0],
      int64s({2}, {3, 4}));
  EXPECT_EQ(run({"Shape", {x}, {attribute("start", int64_t{2}), attribute("end", int64_t{1})}})[0]
                .shape(),
            Shape{0});
  EXPECT_EQ(run({"Shape", {floats({}, {1})}})[0].shape(), Shape{0});
  expect_tensor(run({"Size", {x}})[0], int64s({}, {24}));
}

TEST(Ops, CastChangesTheType) {
  const auto to = [](DType type) { return attribute("to", static_cast<int64_t>(type)); };
  const Tensor x = floats({3}, {-1.7f, 0, 2.5f});
  expect_tensor(run({"Cast", {x}, {to(DType::kInt32)}})[0], Tensor::of<int32_t>({3}, {-1, 0, 2}));
  expect_tensor(run({"Cast", {x}, {attribute("to", std::string("INT64"))}, 1})[0],
                int64s({3}, {-1, 0, 2}));
  expect_tensor(run({"Cast", {x}, {attribute("to", std::string("FLOAT"))}, 1})[0], x);
  EXPECT_EQ(run({"CastLike", {x, Tensor(DType::kBool, {0})}})[0].dtype(), DType::kBool);
  EXPECT_EQ(error_code({"Cast", {floats({1}, {NAN})}, {to(DType::kFloat4E2M1)}}), "QT-E320");
  EXPECT_EQ(error_code({"Cast", {x}}), "QT-E331");
  EXPECT_EQ(error_code({"Cast", {x}, {attribute("to", int64_t{99})}}), "QT-E331");
  EXPECT_EQ(error_code({"Cast", {x}, {attribute("to", std::string("FLOATY"))}, 1}), "QT-E331");
}

TEST(Ops, BitCastKeepsTheBits) {
  const Attribute to = attribute("to", static_cast<int64_t>(DType::kInt32));
  expect_tensor(run({"BitCast", {floats({1}, {1})}, {to}, 26})[0],
                Tensor::of<int32_t>({1}, {0x3f800000}));
  EXPECT_EQ(error_code({"BitCast", {Tensor(DType::kInt8, {4})}, {to}, 26}), "QT-E331");
}

TEST(Ops, RangeStopsBeforeItsLimit) {
  const auto numbers = [](int64_t a, int64_t b, int64_t c) {
    return run({"Range", {Tensor::scalar(a), Tensor::scalar(b), Tensor::scalar(c)}})[0];
  };
  expect_tensor(numbers(3, 9, 3), int64s({2}, {3, 6}));
  expect_tensor(numbers(10, 4, -2), int64s({3}, {10, 8, 6}));
  expect_tensor(numbers(INT64_MAX - 1, INT64_MAX, 5), int64s({1}, {INT64_MAX - 1}));
  EXPECT_EQ(numbers(1, 0, 1).shape(), Shape{0});
  expect_tensor(run({"Range", {Tensor::scalar(0.f), Tensor::scalar(1.f), Tensor::scalar(0.3f)}})[0],
                floats({4}, {0, 0.3f, 0.6f, 0.9f}));
  EXPECT_EQ(error_code({"Range", {Tensor::scalar(0.f), Tensor::scalar(1.f), Tensor::scalar(0.f)}}),
            "QT-E331");
  EXPECT_EQ(
      error_code(
          {"Range", {int64s({2}, {0, 1}), Tensor::scalar(int64_t{1}), Tensor::scalar(int64_t{1})}}),
      "QT-E331");
  EXPECT_EQ(
      error_code(
          {"Range", {Tensor::scalar(int64_t{0}), Tensor::scalar(1.f), Tensor::scalar(int64_t{1})}}),
      "QT-E331");
}

}  // namespace
}  // namespace qtool
