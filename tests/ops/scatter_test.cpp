#include "support.hpp"

namespace qtool {
namespace {

const Tensor kFour = floats({4}, {1, 2, 3, 4});
Attribute reduction(const char* name) { return attribute("reduction", std::string(name)); }

TEST(Ops, ScatterElementsWritesOrReduces) {
  const Tensor where = int64s({3}, {1, -1, 1}), updates = floats({3}, {10, 1, 5});
  expect_tensor(run({"ScatterElements", {kFour, where, updates}})[0], floats({4}, {1, 5, 3, 1}));
  expect_tensor(run({"Scatter", {kFour, where, updates}, {}, 10})[0], floats({4}, {1, 5, 3, 1}));
  expect_tensor(run({"ScatterElements", {kFour, where, updates}, {reduction("add")}})[0],
                floats({4}, {1, 17, 3, 5}));
  expect_tensor(run({"ScatterElements", {kFour, where, updates}, {reduction("mul")}})[0],
                floats({4}, {1, 100, 3, 4}));
  expect_tensor(run({"ScatterElements", {kFour, where, updates}, {reduction("max")}})[0],
                floats({4}, {1, 10, 3, 4}));
  expect_tensor(run({"ScatterElements", {kFour, where, updates}, {reduction("min")}})[0],
                floats({4}, {1, 2, 3, 1}));
  // The input is left as it was.
  expect_tensor(kFour, floats({4}, {1, 2, 3, 4}));
}

TEST(Ops, ScatterElementsWorksAlongItsAxis) {
  expect_tensor(run({"ScatterElements",
                     {floats({2, 2}, {1, 2, 3, 4}), int64s({2, 1}, {1, 0}), floats({2, 1}, {8, 9})},
                     {attribute("axis", int64_t{1})}})[0],
                floats({2, 2}, {1, 8, 9, 4}));
}

TEST(Ops, ScatterNDWritesBlocks) {
  const Tensor x = floats({2, 2}, {1, 2, 3, 4});
  expect_tensor(run({"ScatterND", {x, int64s({1, 1}, {1}), floats({1, 2}, {8, 9})}})[0],
                floats({2, 2}, {1, 2, 8, 9}));
  expect_tensor(run({"ScatterND",
                     {x, int64s({2, 2}, {0, 0, 0, 0}), floats({2}, {5, 6})},
                     {reduction("add")}})[0],
                floats({2, 2}, {12, 2, 3, 4}));
  expect_tensor(run({"ScatterND",
                     {cast(x, DType::kFloat16), int64s({1, 1}, {0}),
                      cast(floats({1, 2}, {1, 1}), DType::kFloat16)},
                     {reduction("add")}})[0],
                cast(floats({2, 2}, {2, 3, 3, 4}), DType::kFloat16));
}

TEST(Ops, ScatterRefusesWhatDoesNotFit) {
  const Tensor one = floats({1}, {1});
  for (const char* op : {"ScatterElements", "ScatterND"}) {
    const Shape shape = std::string(op) == "ScatterND" ? Shape{1, 1} : Shape{1};
    EXPECT_EQ(error_code({op, {kFour, int64s(shape, {4}), one}}), "QT-E331");
    EXPECT_EQ(error_code({op, {kFour, int64s(shape, {-5}), one}}), "QT-E331");
    EXPECT_EQ(error_code({op, {kFour, int64s(shape, {0}), floats({2}, {1, 2})}}), "QT-E331");
    EXPECT_EQ(error_code({op, {kFour, int64s(shape, {0}), cast(one, DType::kDouble)}}), "QT-E331");
    EXPECT_EQ(error_code({op, {kFour, int64s(shape, {0}), one}, {reduction("sub")}}), "QT-E331");
  }
  const Tensor text = Tensor::strings({1}, {"a"});
  EXPECT_EQ(error_code({"ScatterElements", {text, int64s({1}, {0}), text}, {reduction("add")}}),
            "QT-E320");
}

TEST(Ops, TensorScatterWritesIntoACache) {
  const Tensor cache = floats({2, 3, 1}, {1, 2, 3, 4, 5, 6}),
               update = floats({2, 2, 1}, {10, 20, 30, 40});
  expect_tensor(run({"TensorScatter", {cache, update, int64s({2}, {0, 1})}, {}, 24})[0],
                floats({2, 3, 1}, {10, 20, 3, 4, 30, 40}));
  const Attribute circular = attribute("mode", std::string("circular"));
  expect_tensor(run({"TensorScatter", {cache, update, int64s({2}, {2, 3})}, {circular}, 24})[0],
                floats({2, 3, 1}, {20, 2, 10, 30, 40, 6}));
  EXPECT_EQ(error_code({"TensorScatter", {cache, update, int64s({2}, {0, 2})}, {}, 24}), "QT-E331");
  EXPECT_EQ(error_code({"TensorScatter", {cache, update, int64s({2}, {0, -1})}, {}, 24}),
            "QT-E331");
}

}  // namespace
}  // namespace qtool
