#include "support.hpp"

namespace qtool {
namespace {

Tensor list() { return Tensor::sequence({floats({1}, {1}), floats({2}, {2, 3})}); }
Tensor at(int64_t i) { return Tensor::scalar(i); }
int64_t length(const OpRun& r) { return run(r)[0].size(); }

TEST(Ops, SequencesHoldTensorsOfAnyShape) {
  const Tensor made = run({"SequenceConstruct", {floats({1}, {1}), floats({2}, {2, 3})}})[0];
  expect_tensor(made.sequence_data()[1], floats({2}, {2, 3}));
  EXPECT_EQ(length({"SequenceEmpty", {}}), 0);
  expect_tensor(run({"SequenceLength", {list()}})[0], Tensor::scalar(int64_t{2}));
  expect_tensor(run({"SequenceAt", {list(), at(-2)}})[0], floats({1}, {1}));
  EXPECT_EQ(error_code({"SequenceAt", {list(), at(2)}}), "QT-E331");
  EXPECT_EQ(error_code({"SequenceConstruct", {floats({1}, {1}), int64s({1}, {1})}}), "QT-E331");
}

TEST(Ops, SequencesGrowAndShrink) {
  const auto inserted = [](std::vector<Tensor> more) {
    std::vector<Tensor> inputs{list(), floats({}, {9})};
    inputs.insert(inputs.end(), more.begin(), more.end());
    const auto elements = run({"SequenceInsert", inputs})[0].sequence_data();
    for (size_t i = 0; i < elements.size(); ++i)
      if (elements[i].rank() == 0) return static_cast<int>(i);
    return -1;
  };
  EXPECT_EQ(inserted({}), 2);
  EXPECT_EQ(inserted({at(2)}), 2);
  EXPECT_EQ(inserted({at(0)}), 0);
  EXPECT_EQ(inserted({at(-1)}), 1);
  expect_tensor(run({"SequenceErase", {list()}})[0].sequence_data()[0], floats({1}, {1}));
  expect_tensor(run({"SequenceErase", {list(), at(0)}})[0].sequence_data()[0], floats({2}, {2, 3}));
}

TEST(Ops, SequencesAreJoinedAndCut) {
  expect_tensor(run({"ConcatFromSequence", {list()}, {attribute("axis", int64_t{0})}})[0],
                floats({3}, {1, 2, 3}));
  const Tensor pair = Tensor::sequence({floats({2}, {1, 2}), floats({2}, {3, 4})});
  expect_tensor(run({"ConcatFromSequence",
                     {pair},
                     {attribute("axis", int64_t{-1}), attribute("new_axis", int64_t{1})}})[0],
                floats({2, 2}, {1, 3, 2, 4}));
  const Tensor x = floats({3, 1}, {1, 2, 3});
  const auto parts = [&](std::vector<Tensor> split, std::vector<Attribute> attributes) {
    std::vector<Tensor> inputs{x};
    inputs.insert(inputs.end(), split.begin(), split.end());
    return run({"SplitToSequence", inputs, std::move(attributes)})[0].sequence_data();
  };
  expect_tensor(parts({}, {})[1], floats({1, 1}, {2}));
  expect_tensor(parts({}, {attribute("keepdims", int64_t{0})})[1], floats({1}, {2}));
  expect_tensor(parts({at(2)}, {})[1], floats({1, 1}, {3}));
  expect_tensor(parts({int64s({2}, {1, 2})}, {})[1], floats({2, 1}, {2, 3}));
  EXPECT_EQ(error_code({"SplitToSequence", {x, int64s({2}, {1, 1})}}), "QT-E331");
}

TEST(Ops, OptionalsMayBeEmpty) {
  EXPECT_EQ(run({"Optional", {}})[0].dtype(), DType::kNothing);
  const Tensor full = run({"Optional", {floats({}, {1})}})[0];
  expect_tensor(run({"OptionalHasElement", {full}})[0], Tensor::scalar(true));
  expect_tensor(run({"OptionalHasElement", {Tensor::nothing()}})[0], Tensor::scalar(false));
  expect_tensor(run({"OptionalGetElement", {full}})[0], floats({}, {1}));
  EXPECT_EQ(error_code({"OptionalGetElement", {Tensor::nothing()}}), "QT-E331");
}

TEST(Ops, ThoseOfTensorsRefuseSequences) {
  for (const char* type : {"Relu", "Shape", "Concat", "Cast"})
    EXPECT_EQ(error_code({type, {list()}}), "QT-E331") << type;
}

}  // namespace
}  // namespace qtool
