#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "qtool/evaluate.hpp"
#include "qtool/onnx.hpp"
#include "support/temp_folder.hpp"

namespace qtool {
namespace {

namespace fs = std::filesystem;
using Status = CaseResult::Status;

// A TensorProto: dims (1), data_type (2), raw_data (9).
std::string tensor_proto(const Tensor& t) {
  std::string bytes;
  const auto number = [&](uint64_t v) {
    for (; v >= 128; v >>= 7) bytes.push_back(static_cast<char>(v | 128));
    bytes.push_back(static_cast<char>(v));
  };
  for (int64_t d : t.shape()) {
    number(1 << 3);
    number(static_cast<uint64_t>(d));
  }
  number(2 << 3);
  number(static_cast<uint64_t>(t.dtype()));
  number(9 << 3 | 2);
  number(static_cast<uint64_t>(t.bytes()));
  return bytes.append(static_cast<const char*>(t.raw()), static_cast<size_t>(t.bytes()));
}

class VerifyCase : public ::testing::Test {
 protected:
  void model(const std::string& text) {
    save_model(model_from_text("<ir_version: 8, opset_import: [\"\": 17]> " + text),
               folder_ / "model.onnx");
  }
  void data(int set, const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs) {
    const fs::path path = folder_ / cat("test_data_set_", set);
    fs::create_directories(path);
    for (size_t i = 0; i < inputs.size(); ++i)
      write_file_atomic(path / cat("input_", i, ".pb"), tensor_proto(inputs[i]));
    for (size_t i = 0; i < outputs.size(); ++i)
      write_file_atomic(path / cat("output_", i, ".pb"), tensor_proto(outputs[i]));
  }
  CaseResult verify(VerifyOptions options = {}) { return verify_case(folder_.path(), options); }

  TempFolder folder_;
};

const char* const kNegate = "g (float[n] x) => (float[n] y) { y = Neg(x) }";
Tensor floats(std::vector<float> v) {
  return Tensor::of<float>({static_cast<int64_t>(v.size())}, v);
}

TEST_F(VerifyCase, PassesWithinTheTolerance) {
  model(kNegate);
  data(0, {floats({1, -2})}, {floats({-1.0005f, 2})});
  data(10, {floats({3})}, {floats({-3})});
  const CaseResult r = verify();
  EXPECT_EQ(r.status, Status::kPassed) << r.reason;
  EXPECT_NEAR(r.max_abs_error, 0.0005, 1e-6);
  EXPECT_EQ(r.name, folder_.path().filename().string());
  VerifyOptions reference;
  reference.backend = Backend::kReference;
  EXPECT_EQ(verify(reference).status, Status::kPassed);
}

TEST_F(VerifyCase, FailsBeyondTheToleranceAndSaysWhere) {
  model(kNegate);
  data(0, {floats({1, 2})}, {floats({-1, -2.01f})});
  const CaseResult r = verify();
  EXPECT_EQ(r.status, Status::kFailed);
  EXPECT_NE(r.reason.find("output 'y' of test_data_set_0: 1 of 2 values differ, the first at 1"),
            std::string::npos)
      << r.reason;
  VerifyOptions loose;
  loose.rtol = 0.1;
  EXPECT_EQ(verify(loose).status, Status::kPassed);
}

TEST_F(VerifyCase, NaNAndInfinityMustBeThemselves) {
  constexpr float kInfinite = std::numeric_limits<float>::infinity();
  const float nan = std::nanf("");
  model(kNegate);
  data(0, {floats({nan, kInfinite})}, {floats({nan, -kInfinite})});
  EXPECT_EQ(verify().status, Status::kPassed);
  data(0, {floats({1, kInfinite})}, {floats({nan, -kInfinite})});
  EXPECT_EQ(verify().status, Status::kFailed);
  data(0, {floats({1, kInfinite})}, {floats({-1, kInfinite})});
  EXPECT_EQ(verify().status, Status::kFailed);
  data(0, {floats({1, 5})}, {floats({-1, -kInfinite})});
  EXPECT_EQ(verify().status, Status::kFailed);
}

TEST_F(VerifyCase, TypeAndShapeMustAgree) {
  model(kNegate);
  data(0, {floats({1, 2})}, {Tensor::of<double>({2}, {-1, -2})});
  EXPECT_NE(verify().reason.find("its type is float32, expected float64"), std::string::npos)
      << verify().reason;
  data(0, {floats({1, 2})}, {Tensor::of<float>({1, 2}, {-1, -2})});
  EXPECT_NE(verify().reason.find("its shape is [2], expected [1, 2]"), std::string::npos)
      << verify().reason;
  data(0, {floats({1, 2})}, {floats({-1, -2}), floats({1})});
  EXPECT_NE(verify().reason.find("1 outputs, expected 2"), std::string::npos) << verify().reason;
}

TEST_F(VerifyCase, IntegersMustBeEqual) {
  model("g (int64[n] x) => (int64[n] y) { y = Neg(x) }");
  const int64_t large = int64_t{1} << 60;
  data(0, {Tensor::of<int64_t>({1}, {large})}, {Tensor::of<int64_t>({1}, {-large})});
  EXPECT_EQ(verify().status, Status::kPassed) << verify().reason;
  data(0, {Tensor::of<int64_t>({1}, {large})}, {Tensor::of<int64_t>({1}, {-large + 1})});
  EXPECT_EQ(verify().status, Status::kFailed);
}

TEST_F(VerifyCase, InputsWithDefaultsNeedNoFile) {
  model("g (float[2] x, float[2] b) => (float[2] y) <float[2] b = {10, 20}> { y = Add(x, b) }");
  data(0, {floats({1, 2})}, {floats({11, 22})});
  EXPECT_EQ(verify().status, Status::kPassed) << verify().reason;
}

TEST_F(VerifyCase, SaysWhenAnOperatorIsNotThere) {
  model("g (float[n] x) => (float[n] y) { y = Frobnicate(x) }");
  data(0, {floats({1})}, {floats({1})});
  const CaseResult r = verify();
  EXPECT_EQ(r.status, Status::kUnsupported);
  EXPECT_NE(r.reason.find("Frobnicate"), std::string::npos);
}

TEST_F(VerifyCase, FailsOnBrokenFoldersWithoutThrowing) {
  EXPECT_EQ(verify().status, Status::kFailed);
  model(kNegate);
  EXPECT_EQ(verify().status, Status::kFailed);
  data(0, {}, {floats({1})});
  EXPECT_EQ(verify().status, Status::kFailed);
  data(0, {floats({1})}, {floats({-1})});
  EXPECT_EQ(verify().status, Status::kPassed);
  write_file_atomic(folder_ / "test_data_set_0" / "input_0.pb", "garbage");
  EXPECT_EQ(verify().status, Status::kFailed);
  write_file_atomic(folder_ / "model.onnx", "garbage");
  EXPECT_EQ(verify().status, Status::kFailed);
}

TEST_F(VerifyCase, ACaseStaysWithinItsTimeAndMemory) {
  model(R"(g (int64[1] n) => (float[m] y) {
    y = ConstantOfShape(n)
  })");
  const auto million = Tensor::of<int64_t>({1}, {1000000});
  data(0, {million}, {Tensor(DType::kFloat, {1000000})});
  EXPECT_EQ(verify().status, Status::kPassed) << verify().reason;
  VerifyOptions small;
  small.bytes = 3 << 20;
  EXPECT_EQ(verify(small).status, Status::kFailed);
  EXPECT_NE(verify(small).reason.find("take more than 3"), std::string::npos)
      << verify(small).reason;
  small.bytes = 16 << 20;
  EXPECT_EQ(verify(small).status, Status::kPassed) << verify(small).reason;

  model(R"(g (int64[1] n) => (int64[m] y) {
    many = Constant <value = int64 {1000000000}> ()
    on = Constant <value = bool {1}> ()
    y = Loop (many, on, n) <body = b (int64 i, bool c, int64[1] v) => (bool k, int64[1] w) {
      k = Identity(c)
      w = Neg(v)
    }>
  })");
  data(0, {million}, {million});
  VerifyOptions quick;
  quick.seconds = 0.2;
  EXPECT_EQ(verify(quick).status, Status::kFailed);
  EXPECT_NE(verify(quick).reason.find("more than 0.2 s"), std::string::npos)
      << verify(quick).reason;
}

}  // namespace
}  // namespace qtool
