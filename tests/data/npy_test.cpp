#include "support.hpp"

namespace qtool {
namespace {

std::string dictionary(const std::string& descr, const std::string& order,
                       const std::string& shape) {
  return cat("{'descr': '", descr, "', 'fortran_order': ", order, ", 'shape': ", shape, ", }");
}

std::string code_of(const std::string& bytes) {
  return error_code(ErrorKind::kData, [&] { parse_npy(bytes, "x.npy"); });
}

TEST(Data, ReadsEveryNumberTypeOfNpy) {
  struct {
    const char* descr;
    DType type;
    size_t bytes;
  } rows[] = {{"<f2", DType::kFloat16, 2}, {"<f4", DType::kFloat, 4},  {"<f8", DType::kDouble, 8},
              {"|i1", DType::kInt8, 1},    {"<i2", DType::kInt16, 2},  {"<i4", DType::kInt32, 4},
              {"<i8", DType::kInt64, 8},   {"|u1", DType::kUint8, 1},  {"<u2", DType::kUint16, 2},
              {"<u4", DType::kUint32, 4},  {"<u8", DType::kUint64, 8}, {"|b1", DType::kBool, 1}};
  for (const auto& row : rows) {
    Tensor t = parse_npy(
        npy(dictionary(row.descr, "False", "(3,)"), std::string(3 * row.bytes, '\x01')), "x");
    EXPECT_EQ(t.dtype(), row.type);
    EXPECT_EQ(t.shape(), (Shape{3}));
  }
}

TEST(Data, ConvertsBigEndianAndFortranOrder) {
  Tensor t =
      parse_npy(npy(dictionary(">i2", "False", "(2,)"), std::string("\x00\x01\x01\x00", 4)), "x");
  EXPECT_EQ(values<int16_t>(t), (std::vector<int16_t>{1, 256}));
  // Columns first: 0 1 | 2 3 | 4 5 is [[0, 2, 4], [1, 3, 5]].
  t = parse_npy(npy(dictionary("|u1", "True", "(2, 3)"), std::string("\0\1\2\3\4\5", 6)), "x");
  EXPECT_EQ(values<uint8_t>(t), (std::vector<uint8_t>{0, 2, 4, 1, 3, 5}));
  t = parse_npy(npy(dictionary(">i2", "True", "(2, 1, 2)"), std::string("\0\1\0\2\0\3\0\4", 8)),
                "x");
  EXPECT_EQ(values<int16_t>(t), (std::vector<int16_t>{1, 3, 2, 4}));
}

TEST(Data, ReadsVersionsTwoAndThreeAndScalars) {
  std::string header = dictionary("<i4", "False", "()");
  for (char version : {'\x02', '\x03'}) {
    std::string bytes = std::string("\x93NUMPY") + version + '\0' +
                        static_cast<char>(header.size()) + std::string(3, '\0') + header +
                        std::string("\7\0\0\0", 4);
    Tensor t = parse_npy(bytes, "x");
    EXPECT_EQ(t.rank(), 0);
    EXPECT_EQ(t.integer(0), 7);
  }
}

TEST(Data, RefusesPickledObjects) {
  EXPECT_EQ(code_of(npy(dictionary("|O", "False", "(1,)"), "\x80\x04")), "QT-E421");
}

TEST(Data, RefusesHeadersThatDoNotMatchTheFile) {
  EXPECT_EQ(code_of(npy(dictionary("<f4", "False", "(1099511627776, 3, 8, 8)"), "")), "QT-E422");
  EXPECT_EQ(code_of(npy(dictionary("<f4", "False", "(2,)"), "1234567")), "QT-E422");
  EXPECT_EQ(code_of(npy(dictionary("<f4", "False", "(2,)"), "123456789")), "QT-E422");
  EXPECT_EQ(code_of(npy(dictionary("<f4", "False", "(9223372036854775807, 2)"), "")), "QT-E420");
}

TEST(Data, RefusesMalformedHeaders) {
  for (const char* header :
       {"", "{", "{}", "{'descr': '<f4'}",
        "{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<U4', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'evil': __import__('os'), 'shape': (1,)}"}) {
    EXPECT_EQ(code_of(npy(header, "1234")), "QT-E420") << header;
  }
  std::string good = npy_of<float>("<f4", "(1,)", {1});
  for (size_t length = 0; length < good.size(); ++length)
    EXPECT_NE(code_of(good.substr(0, length)), "") << length;
  EXPECT_EQ(code_of(npy(dictionary("|b1", "False", "(1,)"), "\x02")), "QT-E420");
}

TEST(Data, MapsAnArrayFile) {
  TempFolder folder;
  auto path = folder.put("x.npy", npy_of<float>("<f4", "(2, 2)", {1, 2, 3, 4}));
  Tensor t = read_npy(path);
  std::filesystem::remove(path);
  EXPECT_EQ(values<float>(t), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(error_code(ErrorKind::kData, [&] { read_npy(path); }), "QT-E401");
  EXPECT_EQ(error_code(ErrorKind::kData, [&] { read_npy(folder.put("empty.npy", "")); }),
            "QT-E420");
}

}  // namespace
}  // namespace qtool
