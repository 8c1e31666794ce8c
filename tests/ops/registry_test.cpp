#include <map>

#include "ops/support.hpp"
#include "qtool/onnx.hpp"

namespace qtool {

TEST(Ops, EveryRecordIsCompleteAndUnique) {
  const auto ops = all_ops();
  ASSERT_GT(ops.size(), 150u);
  for (size_t i = 0; i < ops.size(); ++i) {
    EXPECT_FALSE(ops[i]->type.empty());
    EXPECT_NE(ops[i]->eval, nullptr) << ops[i]->type;
    EXPECT_EQ(find_op(ops[i]->type, ops[i]->domain, ops[i]->since), ops[i]) << ops[i]->type;
    if (ops[i]->quant.kind == QuantKind::kNone) {
      EXPECT_FALSE(ops[i]->quant.reason.empty()) << ops[i]->type;
    }
    if (ops[i]->quant.kind == QuantKind::kLinear) {
      EXPECT_NE(ops[i]->quant.weight_axis, nullptr) << ops[i]->type;
      EXPECT_NE(ops[i]->macs, nullptr) << ops[i]->type;
    }
  }
}

// Every operator of ONNX's own domains runs by a record or by ONNX's definition of it.
TEST(Ops, NoneOfOnnxIsMissing) {
  for (const char* domain : {"", "ai.onnx.preview"}) {
    const SchemaList schemas = list_schemas(domain);
    ASSERT_FALSE(schemas.types.empty());
    for (const std::string& type : schemas.types) {
      EXPECT_TRUE(find_op(type, domain, schemas.opset) ||
                  schema_of(type, domain, schemas.opset) == Schema::kFunction)
          << type;
    }
  }
}

TEST(Ops, FindKnowsTypeDomainAndOpset) {
  EXPECT_NE(find_op("Relu", "", 1), nullptr);
  EXPECT_EQ(find_op("Relu", "ai.onnx", 1), find_op("Relu", "", 1));
  EXPECT_EQ(find_op("RMSNormalization", "", 22), nullptr);
  EXPECT_NE(find_op("RMSNormalization", "", 23), nullptr);
  EXPECT_EQ(find_op("Relu", "other", 20), nullptr);
  EXPECT_EQ(find_op("Nothing", "", 20), nullptr);
  EXPECT_EQ(find_op("", "", 20), nullptr);
}

TEST(Ops, UnknownOperatorIsUnsupportedAndNamed) {
  try {
    run({"Frobnicate", {}});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), kUnsupportedCode);
    EXPECT_NE(error.message().find("Frobnicate"), std::string::npos);
  }
}

TEST(Ops, ErrorsNameTheNode) {
  try {
    run({"Relu", {}});
    FAIL();
  } catch (const Error& error) {
    ASSERT_EQ(error.context_lines().size(), 1u);
    EXPECT_NE(error.context_lines()[0].find("Relu"), std::string::npos);
  }
}

TEST(Ops, AxesOutsideTheRankAreRefused) {
  Node node;
  node.type = "Softmax";
  EXPECT_EQ(normalize_axis(-1, 3, node), 2);
  EXPECT_EQ(normalize_axis(0, 3, node), 0);
  EXPECT_THROW(normalize_axis(3, 3, node), Error);
  EXPECT_THROW(normalize_axis(-4, 3, node), Error);
}

TEST(Ops, AxesComeFromAttributeOrInput) {
  const Tensor x = floats({2, 2}, {1, 2, 3, 4});
  const auto keep = attribute("keepdims", int64_t{0});
  const auto axes = attribute("axes", std::vector<int64_t>{0});
  expect_tensor(run({"ReduceSum", {x}, {axes, keep}, 11})[0], floats({2}, {4, 6}));
  expect_tensor(run({"ReduceSum", {x, int64s({1}, {1})}, {keep}, 13})[0], floats({2}, {3, 7}));
}

}  // namespace qtool
