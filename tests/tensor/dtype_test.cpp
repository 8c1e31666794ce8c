#include <gtest/gtest.h>

#include <set>

#include "qtool/tensor.hpp"

namespace qtool {
namespace {

TEST(DTypes, HaveUniqueNamesAndWidths) {
  std::set<std::string> names;
  for (int i = 1; i <= 26; ++i) {
    ASSERT_TRUE(is_known_dtype(i));
    const auto type = static_cast<DType>(i);
    EXPECT_TRUE(names.insert(dtype_name(type)).second) << dtype_name(type);
    EXPECT_EQ(dtype_bits(type) == 0, type == DType::kString) << dtype_name(type);
  }
  for (const int i : {-1, 0, 27, 1000}) EXPECT_FALSE(is_known_dtype(i)) << i;
  EXPECT_STREQ(dtype_name(DType::kFloat), "float32");
  EXPECT_STREQ(dtype_name(static_cast<DType>(200)), "undefined");
}

TEST(DTypes, KnowWholeAndSignedNumbers) {
  for (const DType type :
       {DType::kInt2, DType::kInt4, DType::kInt8, DType::kInt16, DType::kInt32, DType::kInt64}) {
    EXPECT_TRUE(is_integer(type) && is_signed(type)) << dtype_name(type);
  }
  for (const DType type : {DType::kUint2, DType::kUint4, DType::kUint8, DType::kUint16,
                           DType::kUint32, DType::kUint64}) {
    EXPECT_TRUE(is_integer(type) && !is_signed(type)) << dtype_name(type);
  }
  for (const DType type :
       {DType::kFloat, DType::kFloat16, DType::kFloat4E2M1, DType::kFloat8E5M2}) {
    EXPECT_TRUE(!is_integer(type) && is_signed(type)) << dtype_name(type);
  }
  EXPECT_FALSE(is_integer(DType::kBool) || is_integer(DType::kString) ||
               is_signed(DType::kFloat8E8M0));
}

TEST(ByteSize, RoundsPackedTypesUp) {
  EXPECT_EQ(byte_size(DType::kInt4, 0), 0);
  EXPECT_EQ(byte_size(DType::kInt4, 1), 1);
  EXPECT_EQ(byte_size(DType::kInt4, 3), 2);
  EXPECT_EQ(byte_size(DType::kUint2, 5), 2);
  EXPECT_EQ(byte_size(DType::kFloat, 3), 12);
  EXPECT_EQ(byte_size(DType::kComplex128, 2), 32);
}

TEST(ByteSize, RefusesWhatOverflows) {
  EXPECT_THROW(byte_size(DType::kFloat, INT64_MAX), Error);
  EXPECT_THROW(byte_size(DType::kFloat, INT64_MAX / 32 + 1), Error);
  EXPECT_THROW(byte_size(DType::kInt8, -1), Error);
  EXPECT_EQ(byte_size(DType::kInt8, INT64_MAX / 8 - 8), INT64_MAX / 8 - 8);
}

}  // namespace
}  // namespace qtool
