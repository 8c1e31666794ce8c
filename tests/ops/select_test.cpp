#include "support.hpp"

namespace qtool {
namespace {

Attribute axis(int64_t a) { return attribute("axis", a); }

TEST(Ops, NonZeroListsPositions) {
  expect_tensor(run({"NonZero", {floats({2, 2}, {1, 0, -0.f, 3})}})[0],
                int64s({2, 2}, {0, 1, 0, 1}));
  EXPECT_EQ(run({"NonZero", {floats({}, {5})}})[0].shape(), (Shape{0, 1}));
  EXPECT_EQ(run({"NonZero", {Tensor(DType::kBool, {3})}})[0].shape(), (Shape{1, 0}));
}

TEST(Ops, CompressKeepsWhatTheConditionSays) {
  const Tensor x = floats({3, 2}, {1, 2, 3, 4, 5, 6});
  const auto when = [](const std::vector<bool>& v) {
    Tensor t(DType::kBool, {static_cast<int64_t>(v.size())});
    for (size_t i = 0; i < v.size(); ++i) t.mutable_data<bool>()[i] = v[i];
    return t;
  };
  expect_tensor(run({"Compress", {x, when({false, true})}, {axis(0)}})[0], floats({1, 2}, {3, 4}));
  expect_tensor(run({"Compress", {x, when({true, false, false, false, true})}})[0],
                floats({2}, {1, 5}));
  EXPECT_EQ(error_code({"Compress", {x, when({true, true, true})}, {axis(1)}}), "QT-E331");
}

TEST(Ops, UniqueSortsOrKeepsTheOrder) {
  const Tensor x = floats({5}, {2, 1, 1, 3, 2});
  auto y = run({"Unique", {x}, {}, 22, 4});
  expect_tensor(y[0], floats({3}, {1, 2, 3}));
  expect_tensor(y[1], int64s({3}, {1, 0, 3}));
  expect_tensor(y[2], int64s({5}, {1, 0, 0, 2, 1}));
  expect_tensor(y[3], int64s({3}, {2, 2, 1}));
  y = run({"Unique", {x}, {attribute("sorted", int64_t{0})}, 22, 4});
  expect_tensor(y[0], floats({3}, {2, 1, 3}));
  expect_tensor(y[2], int64s({5}, {0, 1, 1, 2, 0}));
  expect_tensor(run({"Unique", {floats({2, 3}, {1, 1, 0, 2, 2, 5})}, {axis(1)}})[0],
                floats({2, 2}, {0, 1, 5, 2}));
  EXPECT_EQ(run({"Unique", {Tensor::strings({2}, {"b", "a"})}})[0].string_data(),
            (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(run({"Unique", {floats({0}, {})}})[0].shape(), Shape{0});
}

TEST(Ops, OneHotPutsItsAxisAnywhere) {
  const Tensor values = floats({2}, {0, 9}), depth = Tensor::scalar(int64_t{3});
  expect_tensor(run({"OneHot", {int64s({2}, {0, -1}), depth, values}})[0],
                floats({2, 3}, {9, 0, 0, 0, 0, 9}));
  expect_tensor(run({"OneHot", {int64s({2}, {0, 7}), depth, values}, {axis(0)}})[0],
                floats({3, 2}, {9, 0, 0, 0, 0, 0}));
  EXPECT_EQ(error_code({"OneHot", {int64s({1}, {0}), Tensor::scalar(int64_t{-1}), values}}),
            "QT-E331");
  EXPECT_EQ(error_code({"OneHot", {int64s({1}, {0}), depth, floats({1}, {1})}}), "QT-E331");
}

TEST(Ops, EyeLikeAndTriluFollowTheirDiagonal) {
  const Tensor x(DType::kFloat, {2, 3});
  expect_tensor(run({"EyeLike", {x}, {attribute("k", int64_t{1})}})[0],
                floats({2, 3}, {0, 1, 0, 0, 0, 1}));
  expect_tensor(run({"EyeLike", {x}, {attribute("k", INT64_MIN)}})[0], x);
  const Tensor m = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  expect_tensor(run({"Trilu", {m}})[0], floats({2, 3}, {1, 2, 3, 0, 5, 6}));
  const Attribute lower = attribute("upper", int64_t{0});
  expect_tensor(run({"Trilu", {m}, {lower}})[0], floats({2, 3}, {1, 0, 0, 4, 5, 0}));
  expect_tensor(run({"Trilu", {m, Tensor::scalar(INT64_MIN)}, {lower}})[0], x);
  expect_tensor(run({"Trilu", {m, Tensor::scalar(INT64_MAX)}, {lower}})[0], m);
}

TEST(Ops, ReverseSequenceTurnsThePrefix) {
  const Tensor x = floats({2, 3}, {1, 2, 3, 4, 5, 6});
  const std::vector<Attribute> by_row{attribute("time_axis", int64_t{1}),
                                      attribute("batch_axis", int64_t{0})};
  expect_tensor(run({"ReverseSequence", {x, int64s({2}, {2, 3})}, by_row})[0],
                floats({2, 3}, {2, 1, 3, 6, 5, 4}));
  expect_tensor(run({"ReverseSequence", {x, int64s({3}, {2, 1, 0})}})[0],
                floats({2, 3}, {4, 2, 3, 1, 5, 6}));
  EXPECT_EQ(error_code({"ReverseSequence", {x, int64s({3}, {3, 1, 0})}}), "QT-E331");
  EXPECT_EQ(error_code({"ReverseSequence", {x, int64s({2}, {1, 1})}}), "QT-E331");
}

}  // namespace
}  // namespace qtool
