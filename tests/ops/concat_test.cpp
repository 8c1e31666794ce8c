#include "support.hpp"

namespace qtool {
namespace {

Attribute axis(int64_t a) { return attribute("axis", a); }

TEST(Ops, ConcatJoinsAlongAnyAxis) {
  const Tensor a = floats({2, 1}, {1, 2}), b = floats({2, 2}, {3, 4, 5, 6}),
               none = floats({2, 0}, {});
  expect_tensor(run({"Concat", {a, none, b}, {axis(-1)}})[0], floats({2, 3}, {1, 3, 4, 2, 5, 6}));
  expect_tensor(run({"Concat", {b, b}, {axis(0)}})[0], floats({4, 2}, {3, 4, 5, 6, 3, 4, 5, 6}));
  EXPECT_EQ(
      run({"Concat", {Tensor::strings({1}, {"a"}), Tensor::strings({1}, {"b"})}, {axis(0)}})[0]
          .string_data(),
      (std::vector<std::string>{"a", "b"}));
}

TEST(Ops, ConcatRefusesWhatDoesNotFit) {
  const Tensor a = floats({2, 1}, {1, 2});
  EXPECT_EQ(error_code({"Concat", {a, floats({1, 1}, {3})}, {axis(1)}}), "QT-E331");
  EXPECT_EQ(error_code({"Concat", {a, floats({1}, {3})}, {axis(0)}}), "QT-E331");
  EXPECT_EQ(error_code({"Concat", {a, cast(a, DType::kInt8)}, {axis(0)}}), "QT-E331");
  EXPECT_EQ(error_code({"Concat", {a}, {axis(2)}}), "QT-E331");
  EXPECT_EQ(error_code({"Concat", {a}}), "QT-E331");
  EXPECT_EQ(error_code({"Concat", {}, {axis(0)}}), "QT-E331");
}

TEST(Ops, SplitCutsByLengthsOrEqually) {
  const Tensor x = floats({5}, {1, 2, 3, 4, 5});
  auto parts = run({"Split", {x, int64s({2}, {2, 3})}, {}, 13, 2});
  expect_tensor(parts[0], floats({2}, {1, 2}));
  expect_tensor(parts[1], floats({3}, {3, 4, 5}));
  parts = run({"Split", {x}, {attribute("num_outputs", int64_t{3})}, 18, 3});
  expect_tensor(parts[2], floats({1}, {5}));
  parts = run({"Split", {x}, {attribute("split", std::vector<int64_t>{5, 0})}, 11, 2});
  EXPECT_EQ(parts[1].shape(), Shape{0});
  parts = run({"Split", {floats({2, 2}, {1, 2, 3, 4})}, {axis(1)}, 2, 2});
  expect_tensor(parts[1], floats({2, 1}, {2, 4}));
}

TEST(Ops, SplitRefusesLengthsThatDoNotAddUp) {
  const Tensor x = floats({5}, {1, 2, 3, 4, 5});
  EXPECT_EQ(error_code({"Split", {x, int64s({2}, {2, 2})}, {}, 13, 2}), "QT-E331");
  EXPECT_EQ(error_code({"Split", {x, int64s({2}, {-1, 6})}, {}, 13, 2}), "QT-E331");
  EXPECT_EQ(error_code({"Split", {x, int64s({2}, {INT64_MAX, INT64_MAX})}, {}, 13, 2}), "QT-E331");
  EXPECT_EQ(error_code({"Split", {x, int64s({1}, {5})}, {}, 13, 2}), "QT-E331");
  EXPECT_EQ(error_code({"Split", {x}, {}, 13, 2}), "QT-E331");
  EXPECT_EQ(error_code({"Split", {x}, {attribute("num_outputs", int64_t{4})}, 18, 3}), "QT-E331");
}

}  // namespace
}  // namespace qtool
