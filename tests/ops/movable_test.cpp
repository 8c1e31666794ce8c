#include "ops/movable.hpp"

#include "support.hpp"

namespace qtool {
namespace {

const Tensor kSix = floats({2, 3}, {1, 2, 3, 4, 5, 6});

TEST(Ops, StridedReadsBackwardsAndRepeats) {
  expect_tensor(strided(kSix, {2, 3}, {3, -1}, 2), floats({2, 3}, {3, 2, 1, 6, 5, 4}));
  expect_tensor(strided(kSix, {2, 2}, {0, 1}), floats({2, 2}, {1, 2, 1, 2}));
  EXPECT_EQ(strided(kSix, {0, 5}, {1, 1}).shape(), (Shape{0, 5}));
}

TEST(Ops, TakeWorksForEveryWidth) {
  for (DType type : {DType::kUint8, DType::kInt16, DType::kFloat, DType::kDouble}) {
    const Tensor x = cast(kSix, type);
    expect_tensor(take(x, 1, std::vector<int64_t>{2, 0}), cast(floats({2, 2}, {3, 1, 6, 4}), type));
    expect_tensor(take(x, 0, std::vector<int64_t>{1}), cast(floats({1, 3}, {4, 5, 6}), type));
  }
}

TEST(Ops, PackedElementsAndStringsMoveLikeOthers) {
  const Tensor nibbles = cast(kSix, DType::kInt4);
  expect_tensor(run({"Transpose", {nibbles}})[0],
                cast(floats({3, 2}, {1, 4, 2, 5, 3, 6}), DType::kInt4));
  const Tensor text = Tensor::strings({2, 2}, {"a", "b", "c", "d"});
  EXPECT_EQ(run({"Transpose", {text}})[0].string_data(),
            (std::vector<std::string>{"a", "c", "b", "d"}));
  // What is added is empty.
  EXPECT_EQ(run({"Pad", {Tensor::strings({1}, {"x"}), int64s({2}, {1, 0})}})[0].string_data(),
            (std::vector<std::string>{"", "x"}));
}

TEST(Ops, TransposePermutesDimensions) {
  expect_tensor(run({"Transpose", {kSix}})[0], floats({3, 2}, {1, 4, 2, 5, 3, 6}));
  const Tensor x = floats({1, 2, 3}, {1, 2, 3, 4, 5, 6});
  const auto perm = [](std::vector<int64_t> p) { return attribute("perm", p); };
  EXPECT_EQ(run({"Transpose", {x}, {perm({2, 0, 1})}})[0].shape(), (Shape{3, 1, 2}));
  EXPECT_EQ(error_code({"Transpose", {x}, {perm({0, 1})}}), "QT-E331");
  EXPECT_EQ(error_code({"Transpose", {x}, {perm({0, 1, 1})}}), "QT-E331");
  EXPECT_EQ(error_code({"Transpose", {x}, {perm({0, 1, 3})}}), "QT-E331");
}

TEST(Ops, TransposeOfLargeTensorsIsThatOfEveryElement) {
  for (DType type : {DType::kUint8, DType::kFloat16, DType::kFloat, DType::kDouble}) {
    Tensor x(type, {3, 37, 5, 18});
    for (int64_t i = 0; i < x.size(); ++i) x.set_number(i, static_cast<double>(i % 211));
    const std::vector<int64_t> perm{0, 3, 2, 1};
    const Tensor y = run({"Transpose", {x}, {attribute("perm", perm)}})[0];
    ASSERT_EQ(y.shape(), (Shape{3, 18, 5, 37}));
    for (int64_t i = 0; i < y.size(); ++i) {
      const int64_t a = i / (18 * 5 * 37), b = i / (5 * 37) % 18, c = i / 37 % 5, d = i % 37;
      ASSERT_EQ(y.number(i), x.number(((a * 37 + d) * 5 + c) * 18 + b)) << i;
    }
  }
}

TEST(Ops, DepthAndSpaceAreEachOthersReverse) {
  Tensor x(DType::kFloat, {1, 8, 2, 3});
  for (int64_t i = 0; i < x.size(); ++i) x.set_number(i, static_cast<double>(i));
  for (const char* mode : {"DCR", "CRD"}) {
    const std::vector<Attribute> a{attribute("blocksize", int64_t{2}),
                                   attribute("mode", std::string(mode))};
    const Tensor y = run({"DepthToSpace", {x}, a, 28})[0];
    EXPECT_EQ(y.shape(), (Shape{1, 2, 4, 6}));
    EXPECT_EQ(y.number(1), mode[0] == 'D' ? 12 : 6);
    expect_tensor(run({"SpaceToDepth", {y}, a, 28})[0], x);
  }
  EXPECT_EQ(error_code({"DepthToSpace", {x}, {attribute("blocksize", int64_t{0})}}), "QT-E331");
  EXPECT_EQ(error_code({"DepthToSpace", {x}, {attribute("blocksize", int64_t{3})}}), "QT-E331");
  EXPECT_EQ(error_code({"SpaceToDepth", {x}, {attribute("blocksize", int64_t{2})}}), "QT-E331");
}

TEST(Ops, ExpandAndTileRepeat) {
  expect_tensor(run({"Expand", {floats({2, 1}, {1, 2}), int64s({2}, {1, 3})}})[0],
                floats({2, 3}, {1, 1, 1, 2, 2, 2}));
  expect_tensor(run({"Expand", {floats({}, {5}), int64s({1}, {2})}})[0], floats({2}, {5, 5}));
  expect_tensor(run({"Tile", {floats({1, 2}, {1, 2}), int64s({2}, {2, 2})}})[0],
                floats({2, 4}, {1, 2, 1, 2, 1, 2, 1, 2}));
  EXPECT_EQ(run({"Tile", {kSix, int64s({2}, {0, 1})}})[0].shape(), (Shape{0, 3}));
  EXPECT_EQ(run({"Tile", {kSix, floats({1}, {2}), floats({1}, {1})}, {}, 1})[0].shape(),
            (Shape{2, 6}));
}

TEST(Ops, AbsurdSizesAreRefused) {
  constexpr int64_t kHuge = int64_t{1} << 40;
  const Tensor one = floats({1}, {1});
  EXPECT_EQ(error_code({"Expand", {one, int64s({3}, {kHuge, kHuge, 1})}}), "QT-E340");
  EXPECT_EQ(error_code({"Expand", {one, int64s({2}, {kHuge, 1})}}), "QT-E340");
  EXPECT_EQ(error_code({"Expand", {one, int64s({1}, {-1})}}), "QT-E331");
  EXPECT_EQ(error_code({"Tile", {one, int64s({1}, {kHuge})}}), "QT-E340");
  EXPECT_EQ(error_code({"Tile", {kSix, int64s({2}, {INT64_MAX, 1})}}), "QT-E331");
  EXPECT_EQ(error_code({"Tile", {one, int64s({1}, {-1})}}), "QT-E331");
  EXPECT_EQ(error_code({"ConstantOfShape", {int64s({2}, {kHuge, 2})}}), "QT-E340");
  EXPECT_NE(error_code({"ConstantOfShape", {int64s({1}, {-1})}}), "");
  EXPECT_EQ(error_code({"Pad", {one, int64s({2}, {kHuge, 0})}}), "QT-E340");
  EXPECT_EQ(
      error_code({"Pad", {one, int64s({2}, {kHuge, 0})}, {attribute("mode", std::string("edge"))}}),
      "QT-E340");
  EXPECT_EQ(error_code({"Pad", {one, int64s({2}, {INT64_MAX, INT64_MAX})}}), "QT-E331");
  const auto number = [](int64_t v) { return Tensor::scalar(v); };
  EXPECT_EQ(error_code({"Range", {number(0), number(kHuge), number(1)}}), "QT-E340");
  EXPECT_EQ(error_code({"Range", {number(INT64_MIN), number(INT64_MAX), number(1)}}), "QT-E331");
  EXPECT_EQ(error_code({"OneHot", {int64s({1}, {0}), number(kHuge), floats({2}, {0, 1})}}),
            "QT-E340");
  EXPECT_EQ(error_code({"HannWindow", {number(kHuge)}}), "QT-E340");
  const Tensor text = Tensor::strings({1}, {std::string(1 << 20, 'x')});
  EXPECT_EQ(error_code({"Tile", {text, int64s({1}, {1 << 22})}}), "QT-E340");
}

}  // namespace
}  // namespace qtool
