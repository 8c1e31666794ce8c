#include <gtest/gtest.h>

#include "qtool/onnx.hpp"
#include "qtool/pipeline.hpp"
#include "support/temp_folder.hpp"

namespace qtool {
namespace {

// Two samples of four numbers each, and nothing else.
class FedInputs : public testing::Test {
 protected:
  void SetUp() override {
    write_npz(folder_ / "x.npz", {{"x", Tensor(DType::kFloat, {2, 4})}});
    request_.data = {folder_ / "x.npz"};
  }
  // y is x cut into rows of `columns` when the rate is 8000, into rows of 3 when it is 16000.
  static Model rated(int64_t columns) {
    return model_from_text(cat(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 4] x, int64 rate) => (float[a, b] y)
<int64 slow = {8000}, int64 fast = {16000}, int64[2] p = {-1, )",
                               columns, R"(}, int64[2] q = {-1, 3}>
{
  is_slow = Equal(rate, slow)
  is_fast = Equal(rate, fast)
  y = If (is_slow) <
    then_branch = s () => (float[a, b] ys) { ys = Reshape(x, p) },
    else_branch = f () => (float[a, b] yf) {
      yf = If (is_fast) <then_branch = t () => (float[a, b] yt) { yt = Reshape(x, q) },
                         else_branch = e () => (float[a, b] ye) { ye = Identity(x) }>
    }>
})"));
  }

  TempFolder folder_;
  DataRequest request_;
};

TEST_F(FedInputs, TheOnlyChoiceThatRunsIsTaken) {
  const auto source = open_source(request_, rated(2));
  EXPECT_EQ(request_.options.constants.at("rate"), 8000);
  EXPECT_EQ(source->chunk(0).feed.at("rate").integer(0), 8000);
}

TEST_F(FedInputs, NothingIsGuessedWhenNoChoiceRuns) {
  try {
    open_source(request_, rated(7));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "QT-E432");
    EXPECT_NE(error.message().find("8000, 16000"), std::string::npos) << error.message();
    EXPECT_NE(error.hint_text().find("--constant rate="), std::string::npos);
  }
}

TEST_F(FedInputs, WhatIsGivenCounts) {
  request_.options.constants["rate"] = 5;
  EXPECT_EQ(open_source(request_, rated(2))->chunk(0).feed.at("rate").integer(0), 5);
}

TEST_F(FedInputs, AnInputThatMattersMustBeThere) {
  const Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 4] x, float[4] shift) => (float[n, 4] y) { y = Add(x, shift) })");
  EXPECT_THROW(open_source(request_, model), Error);
}

}  // namespace
}  // namespace qtool
