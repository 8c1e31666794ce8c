#include "onnx/wire.hpp"

namespace qtool {
namespace {

using namespace wire;

TEST(OnnxSchema, KnowsOperators) {
  EXPECT_EQ(schema_of("Conv", "", 17), Schema::kPrimitive);
  EXPECT_EQ(schema_of("HardSwish", "", 17), Schema::kFunction);
  EXPECT_EQ(schema_of("HardSwish", "", 13), Schema::kUnknown);
  EXPECT_EQ(schema_of("Frobnicate", "", 17), Schema::kUnknown);
  EXPECT_EQ(schema_of("Conv", "com.example", 1), Schema::kUnknown);
  EXPECT_EQ(schema_of("Upsample", "", 9), Schema::kPrimitive);
  EXPECT_EQ(schema_of("Upsample", "", 17), Schema::kUnknown) << "deprecated";
  EXPECT_EQ(schema_of("Conv", "", int64_t{1} << 40), Schema::kPrimitive);
}

TEST(OnnxSchema, ChecksModels) {
  EXPECT_NO_THROW(check_model(parse_model(model(small_graph()).bytes(), "test")));
  Model wrong = parse_model(model(small_graph()).bytes(), "test");
  wrong.graph.nodes[0].type = "Frobnicate";
  expect_refused(error_of([&] { check_model(wrong); }), "QT-E330", "Frobnicate");
}

TEST(OnnxSchema, ChecksModelsWithOutputsOfUnknownRank) {
  Model unknown = parse_model(model(small_graph()).bytes(), "test");
  unknown.graph.value(unknown.graph.outputs[0]).shape.reset();
  EXPECT_NO_THROW(check_model(unknown));
  unknown.graph.nodes[0].type = "Frobnicate";
  EXPECT_THROW(check_model(unknown), Error);
}

TEST(OnnxSchema, FindsNoNewFaultInShapesThatWereWrongBefore) {
  const Model right = parse_model(model(small_graph()).bytes(), "test");
  Model wrong = right;
  wrong.graph.value(wrong.graph.outputs[0]).shape = Shape{1, 2, 3, 4, 5, 6};
  EXPECT_NO_THROW(check_model(wrong, &wrong));
  EXPECT_THROW(check_model(wrong, &right), Error);
  wrong.graph.nodes[0].type = "Frobnicate";
  EXPECT_THROW(check_model(wrong, &wrong), Error);
}

TEST(OnnxSchema, ChecksModelsWithLargeWeights) {
  const int64_t count = int64_t{1} << 19;
  Message graph;
  graph.text(1, node("Add", {"x", "w"}, {"y"}, "add")).text(2, "g");
  graph.text(5,
             tensor("w", DType::kFloat, {count}, std::string(static_cast<size_t>(4 * count), 'a')));
  graph.text(11, value_info("x", {count})).text(12, value_info("y", {count}));
  Model large = parse_model(model(graph).bytes(), "test");
  EXPECT_NO_THROW(check_model(large));
  large.graph.value(large.graph.outputs[0]).shape = Shape{3};
  EXPECT_EQ(error_of([&] { check_model(large); }).kind(), ErrorKind::kModel);
}

}  // namespace
}  // namespace qtool
