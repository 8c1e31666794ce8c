#include "onnx/wire.hpp"

namespace qtool {
namespace {

using namespace wire;

Tensor weight_of(const Message& weight) {
  const Model model = parse_model(model_with_weight(weight).bytes(), "test");
  return model.graph.initializers.begin()->second.data;
}

Message heading(DType type, const std::vector<int64_t>& dims) {
  Message message;
  for (const int64_t dim : dims) message.number(1, dim);
  return message.number(2, static_cast<int>(type)).text(8, "w");
}

void expect_refused_weight(const Message& weight, std::string_view code, std::string_view text) {
  expect_refused(error_of_model(model_with_weight(weight)), code, text);
}

TEST(OnnxTensor, ReadsRawBytesOfEveryType) {
  for (int code = 1; code <= static_cast<int>(DType::kInt2); ++code) {
    const auto type = static_cast<DType>(code);
    if (type == DType::kString) continue;
    const int64_t bytes = byte_size(type, 5);
    std::string data(static_cast<size_t>(bytes), '\0');
    for (size_t i = 0; i < data.size(); ++i)
      data[i] = static_cast<char>(type == DType::kBool ? i % 2 : i * 37 + 1);
    const Message message = model_with_weight(tensor("w", type, {5}, data));
    const Model model = parse_model(message.bytes(), "test");
    const Tensor& read = model.graph.initializers.begin()->second.data;
    EXPECT_EQ(read.dtype(), type);
    EXPECT_EQ(std::string(static_cast<const char*>(read.raw()), data.size()), data)
        << dtype_name(type);
    EXPECT_EQ(serialize_model(model), message.bytes()) << dtype_name(type);
  }
}

TEST(OnnxTensor, ReadsTypedFields) {
  struct Case {
    DType type;
    int field;
    std::vector<int64_t> stored;
    std::string bytes;
  };
  const std::vector<Case> cases = {
      {DType::kInt32, 5, {-7, 8}, raw<int32_t>({-7, 8})},
      {DType::kInt16, 5, {-32768, 32767}, raw<int16_t>({-32768, 32767})},
      {DType::kUint16, 5, {0, 65535}, raw<uint16_t>({0, 65535})},
      {DType::kInt8, 5, {-128, 127}, raw<int8_t>({-128, 127})},
      {DType::kUint8, 5, {0, 255}, raw<uint8_t>({0, 255})},
      {DType::kBool, 5, {0, 2}, raw<uint8_t>({0, 1})},
      {DType::kFloat16, 5, {0x3c00, 0xfc00}, raw<uint16_t>({0x3c00, 0xfc00})},
      {DType::kBfloat16, 5, {0x3f80, 1}, raw<uint16_t>({0x3f80, 1})},
      {DType::kFloat8E4M3FN, 5, {1, 255}, raw<uint8_t>({1, 255})},
      {DType::kInt4, 5, {0xf1}, raw<uint8_t>({0xf1})},
      {DType::kUint2, 5, {0x0b}, raw<uint8_t>({0x0b})},
      {DType::kInt64, 7, {-9, 9}, raw<int64_t>({-9, 9})},
      {DType::kUint64, 11, {-1, 9}, raw<uint64_t>({UINT64_MAX, 9})},
      {DType::kUint32, 11, {4294967295, 9}, raw<uint32_t>({4294967295u, 9})},
  };
  for (const Case& c : cases) {
    const Tensor read = weight_of(heading(c.type, {2}).packed(c.field, c.stored));
    ASSERT_EQ(static_cast<size_t>(read.bytes()), c.bytes.size());
    EXPECT_EQ(std::string(static_cast<const char*>(read.raw()), c.bytes.size()), c.bytes)
        << dtype_name(c.type);
  }
  const Tensor floats = weight_of(heading(DType::kFloat, {2}).text(4, raw<float>({1.5f, -2})));
  EXPECT_EQ(floats.data<float>()[0], 1.5f);
  const Tensor complex = weight_of(heading(DType::kComplex64, {1}).text(4, raw<float>({1, 2})));
  EXPECT_EQ(complex.bytes(), 8);
  const Tensor doubles = weight_of(heading(DType::kDouble, {1}).text(10, raw<double>({0.1})));
  EXPECT_EQ(doubles.data<double>()[0], 0.1);
  const Tensor complexes =
      weight_of(heading(DType::kComplex128, {1}).text(10, raw<double>({1, 2})));
  EXPECT_EQ(complexes.bytes(), 16);
}

TEST(OnnxTensor, ReadsStringsAndWritesThemBack) {
  const Message message = model_with_weight(
      Message().number(1, 2).number(2, 8).text(6, "a").text(6, std::string("\0b", 2)).text(8, "w"));
  const Model model = parse_model(message.bytes(), "test");
  EXPECT_EQ(model.graph.initializers.begin()->second.data.string_data()[1], std::string("\0b", 2));
  EXPECT_EQ(serialize_model(model), message.bytes());
  expect_refused_weight(tensor("w", DType::kString, {2}, "ab"), "QT-E310", "raw_data");
  expect_refused_weight(heading(DType::kString, {2}).text(6, "a"), "QT-E310", "1 values");
}

TEST(OnnxTensor, ReadsEmptyTensorsAndScalars) {
  EXPECT_EQ(weight_of(heading(DType::kFloat, {0, 3})).size(), 0);
  EXPECT_EQ(weight_of(tensor("w", DType::kFloat, {}, raw<float>({3}))).data<float>()[0], 3);
  EXPECT_EQ(weight_of(heading(DType::kInt4, {0})).size(), 0);
}

TEST(OnnxTensor, MakesOddBooleansTrue) {
  const Tensor read = weight_of(tensor("w", DType::kBool, {3}, std::string("\0\2\1", 3)));
  const auto* bytes = static_cast<const uint8_t*>(read.raw());
  EXPECT_EQ(std::vector<uint8_t>(bytes, bytes + 3), (std::vector<uint8_t>{0, 1, 1}));
}

TEST(OnnxTensor, MovesRawBytesInsteadOfCopying) {
  const Tensor read = weight_of(tensor("w", DType::kFloat, {4}, raw<float>({1, 2, 3, 4})));
  Tensor other = read;
  EXPECT_TRUE(other.shares_bytes_with(read));
  other.mutable_data<float>()[0] = 9;
  EXPECT_EQ(read.data<float>()[0], 1);
}

TEST(OnnxTensor, RefusesDataOfAnotherSize) {
  expect_refused_weight(tensor("w", DType::kFloat, {2, 2}, "123456789012345"), "QT-E310",
                        "tensor 'w': it holds 15 bytes");
  expect_refused_weight(tensor("w", DType::kFloat, {2}, raw<float>({1, 2, 3})), "QT-E310",
                        "12 bytes");
  expect_refused_weight(heading(DType::kFloat, {2}), "QT-E310", "0 values");
  expect_refused_weight(tensor("w", DType::kInt4, {3}, "a"), "QT-E310", "takes 2");
  expect_refused_weight(tensor("w", DType::kInt2, {5}, "a"), "QT-E310", "takes 2");
  expect_refused_weight(heading(DType::kInt4, {3}).packed(5, {1}), "QT-E310", "takes 2");
  expect_refused_weight(heading(DType::kFloat, {0}).text(4, raw<float>({1})), "QT-E310",
                        "1 values");
}

TEST(OnnxTensor, RefusesDimensionsBeforeAllocating) {
  const int64_t huge = int64_t{1} << 40;
  expect_refused(error_of_model(model_with_weight(heading(DType::kFloat, {-4, 3}))), "QT-E310",
                 "tensor 'w'");
  for (const auto& dims :
       {std::vector<int64_t>{huge, huge}, {huge, huge, 0, huge}, {int64_t{1} << 61}, {huge, 3}})
    EXPECT_EQ(error_of_model(model_with_weight(tensor("w", DType::kFloat, dims, "abcd"))).kind(),
              ErrorKind::kModel);
  expect_refused_weight(tensor("w", DType::kFloat, std::vector<int64_t>(1000, 1), "abcd"),
                        "QT-E310", "1000 dimensions");
}

TEST(OnnxTensor, RefusesDataThatIsGivenTwice) {
  expect_refused_weight(heading(DType::kFloat, {1}).text(9, "abcd").text(4, raw<float>({1})),
                        "QT-E310", "twice");
  expect_refused_weight(heading(DType::kFloat, {1}).text(4, raw<float>({1})).packed(5, {1}),
                        "QT-E310", "twice");
}

TEST(OnnxTensor, RefusesDataInTheWrongField) {
  expect_refused_weight(heading(DType::kFloat, {1}).packed(5, {1}), "QT-E310", "0 values");
}

TEST(OnnxTensor, RefusesNumbersThatDoNotFit) {
  expect_refused_weight(heading(DType::kInt8, {1}).packed(5, {200}), "QT-E310",
                        "value 200 does not fit int8");
  expect_refused_weight(heading(DType::kUint8, {1}).packed(5, {-1}), "QT-E310", "value -1");
  expect_refused_weight(heading(DType::kUint32, {1}).packed(11, {int64_t{1} << 33}), "QT-E310",
                        "does not fit");
}

TEST(OnnxTensor, RefusesUnknownTypesAndSegments) {
  expect_refused_weight(tensor("w", static_cast<DType>(77), {1}, "abcd"), "QT-E310",
                        "element type 77");
  expect_refused_weight(Message().number(1, 1).number(2, 777).text(8, "w").text(9, "abcd"),
                        "QT-E310", "element type 777");
  expect_refused_weight(Message().number(1, 1).text(8, "w").text(9, "abcd"), "QT-E310",
                        "element type 0");
  expect_refused_weight(tensor("w", static_cast<DType>(27), {1}, "a"), kUnsupportedCode,
                        "FLOAT6E2M3");
  expect_refused_weight(Message()
                            .number(1, 1)
                            .number(2, 1)
                            .text(3, Message().number(1, 0))
                            .text(8, "w")
                            .text(9, "abcd"),
                        kUnsupportedCode, "segments");
}

}  // namespace
}  // namespace qtool
