// Every element type that an operator allows. The numbers are small whole ones, which every type holds, so that one
// list of expected values serves all; they were compared with onnxruntime's.
#include "support.hpp"

namespace qtool {
namespace {

using enum DType;

const std::vector<DType> kFloats{kFloat, kDouble, kFloat16, kBfloat16};
const std::vector<DType> kIntegers{kInt8,  kInt16,  kInt32,  kInt64,
                                   kUint8, kUint16, kUint32, kUint64};
std::vector<DType> both(std::vector<DType> a, const std::vector<DType>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}
const std::vector<DType> kNumbers = both(kFloats, kIntegers);
const std::vector<DType> kSmall{kFloat8E4M3FN, kFloat8E5M2, kInt4, kUint4};
const std::vector<DType> kAnything = both(kNumbers, kSmall);

struct Row {
  const char* type;
  const std::vector<DType>& types;
  std::vector<std::vector<float>> inputs;  // lists
  std::vector<float> want;
  std::vector<Attribute> attributes = {};
  std::vector<Tensor> more = {};  // inputs of fixed type
};

void check(const Row& row) {
  for (const DType type : row.types) {
    OpRun r{row.type, {}, row.attributes};
    for (const auto& values : row.inputs)
      r.inputs.push_back(cast(floats({static_cast<int64_t>(values.size())}, values), type));
    r.inputs.insert(r.inputs.end(), row.more.begin(), row.more.end());
    SCOPED_TRACE(cat(row.type, " of ", dtype_name(type)));
    const Tensor got = run(r)[0];
    EXPECT_EQ(got.dtype(), type);
    ASSERT_EQ(got.size(), static_cast<int64_t>(row.want.size()));
    for (size_t i = 0; i < row.want.size(); ++i)
      EXPECT_EQ(got.number(static_cast<int64_t>(i)), row.want[i]) << "element " << i;
  }
}

TEST(Types, Arithmetic) {
  const std::vector<float> a{6, 4, 3}, b{2, 4, 1};
  check({"Add", kNumbers, {a, b}, {8, 8, 4}});
  check({"Sub", kNumbers, {a, b}, {4, 0, 2}});
  check({"Mul", kNumbers, {a, b}, {12, 16, 3}});
  check({"Div", kNumbers, {a, b}, {3, 1, 3}});
  check({"Mod", kIntegers, {{7, 4, 3}, b}, {1, 0, 0}});
  check({"Mod", kNumbers, {{7, 4, 3}, b}, {1, 0, 0}, {attribute("fmod", int64_t{1})}});
  check({"Max", kNumbers, {a, b}, {6, 4, 3}});
  check({"Min", kNumbers, {a, b}, {2, 4, 1}});
  check({"Sum", kFloats, {a, b, b}, {10, 12, 5}});
  check({"Mean", kFloats, {a, b}, {4, 4, 2}});
  const std::vector<DType> bases{kFloat, kDouble, kFloat16, kBfloat16, kInt32, kInt64};
  check({"Pow", bases, {a, {2, 0, 1}}, {36, 1, 3}});
}

TEST(Types, OneInput) {
  check({"Abs", kNumbers, {{1, 0, 3}}, {1, 0, 3}});
  const std::vector<DType> with_sign = both(kFloats, {kInt8, kInt16, kInt32, kInt64});
  check({"Neg", with_sign, {{1, -2, 0}}, {-1, 2, 0}});
  check({"Relu", with_sign, {{1, -2, 0}}, {1, 0, 0}});
  check({"Abs", with_sign, {{1, -2, 0}}, {1, 2, 0}});
  check({"Sign", kNumbers, {{5, 0, 1}}, {1, 0, 1}});
  for (const char* type : {"Floor", "Ceil", "Round"})
    check({type, kFloats, {{5, 0, -2}}, {5, 0, -2}});
  check({"Sqrt", kFloats, {{4, 9, 0}}, {2, 3, 0}});
  check({"Reciprocal", kFloats, {{0.5, 1, -2}}, {2, 1, -0.5}});
  const std::vector<DType> plain_signed{kInt8, kInt16, kInt32, kInt64};
  check({"BitwiseNot", plain_signed, {{0, 1}}, {-1, -2}});
}

TEST(Types, Reductions) {
  const std::vector<DType> types{kFloat, kDouble, kFloat16, kBfloat16,
                                 kInt32, kInt64,  kUint32,  kUint64};
  const std::vector<float> x{2, 4, 3};
  check({"ReduceSum", types, {x}, {9}});
  check({"ReduceMean", types, {x}, {3}});
  check({"ReduceProd", types, {x}, {24}});
  check({"ReduceL1", types, {x}, {9}});
  check({"ReduceSumSquare", types, {x}, {29}});
  const std::vector<DType> more = both(types, {kInt8, kUint8});
  check({"ReduceMax", more, {x}, {4}});
  check({"ReduceMin", more, {x}, {2}});
  const std::vector<DType> cumulative{kFloat, kDouble, kInt32, kInt64};
  check({"CumSum", cumulative, {x}, {2, 6, 9}, {}, {Tensor::scalar(int64_t{0})}});
}

TEST(Types, Movement) {
  const std::vector<float> x{1, 2, 3, 4};
  check({"Identity", kAnything, {x}, x});
  check({"Reshape", kAnything, {x}, x, {}, {int64s({2}, {2, 2})}});
  check({"Transpose", kAnything, {x}, x});
  check({"Gather", kAnything, {x}, {4, 1, 1}, {}, {int64s({3}, {-1, 0, 0})}});
  check({"Slice", kAnything, {x}, {2, 3}, {}, {int64s({1}, {1}), int64s({1}, {3})}});
  check({"Expand", kAnything, {{3}}, {3, 3, 3}, {}, {int64s({1}, {3})}});
  check({"Tile", kAnything, {{3, 1}}, {3, 1, 3, 1}, {}, {int64s({1}, {2})}});
  check({"Concat", kAnything, {x, {5}}, {1, 2, 3, 4, 5}, {attribute("axis", int64_t{0})}});
  check({"Pad", kNumbers, {x}, {0, 1, 2, 3, 4, 0, 0}, {}, {int64s({2}, {1, 2})}});
  check({"Unsqueeze", kAnything, {x}, x, {}, {int64s({1}, {0})}});
}

}  // namespace
}  // namespace qtool
