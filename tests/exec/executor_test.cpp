#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "qtool/exec.hpp"
#include "qtool/onnx.hpp"

namespace qtool {
namespace {

Model two_steps() {
  return model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 2] x) => (float[n, 2] y) <float[2] a = {1.0, 2.0}, float[2] b = {10.0, 20.0}>
{ s = Add(x, a)  y = Mul(s, b) })");
}

Model sum_of_codes() {
  return model_from_text(R"(<ir_version: 8, opset_import: ["": 17, "com.microsoft": 1]>
g (uint8[n] a, uint8[n] b) => (uint8[n] y)
<float sa = {0.31}, uint8 za = {7}, float sb = {0.17}, uint8 zb = {200}, float sy = {0.23}, uint8 zy = {90}>
{ y = com.microsoft.QLinearAdd(a, sa, za, b, sb, zb, sy, zy) })");
}

TEST(Executor, RunsAnyBatch) {
  const Executor executor(two_steps());
  for (int64_t n : {1, 3, 1}) {
    const Tensor y = executor.run({{"x", Tensor(DType::kFloat, {n, 2})}})[0];
    EXPECT_EQ(y.shape(), (Shape{n, 2}));
    EXPECT_FLOAT_EQ(y.data<float>()[1], 40);
  }
}

TEST(Executor, TapReplacesWhatFollowersRead) {
  struct Zero : Tap {
    void on_value(const std::string&, Tensor& value) override {
      value = Tensor(DType::kFloat, value.shape());
    }
  } zero;
  const Executor executor(two_steps(), {.observe = {"s"}});
  EXPECT_FLOAT_EQ(executor.run({{"x", Tensor(DType::kFloat, {1, 2})}}, &zero)[0].data<float>()[0],
                  0);
}

TEST(Executor, BranchesOfAStateDoNotDisturbEachOther) {
  const Executor executor(two_steps(), {.observe = {"s"}});
  State state = executor.start({{"x", Tensor(DType::kFloat, {1, 2})}});
  executor.advance(state, executor.step_of(two_steps().graph.nodes[1].name));
  State branch = state;
  executor.set(branch, "b", Tensor::of<float>({2}, {0.f, 0.f}));
  executor.set(branch, "s", Tensor::of<float>({1, 2}, {5.f, 5.f}));
  EXPECT_FLOAT_EQ(executor.finish(branch)[0].data<float>()[0], 0);
  EXPECT_FLOAT_EQ(executor.finish(state)[0].data<float>()[0], 10);
}

// Three channels are padded in blocks, 16 are not; values of rank 2 have no positions.
TEST(Executor, ShowsAndShiftsChannelsWhereTheyLie) {
  for (const int64_t channels : {3, 16}) {
    const Model model = model_from_text(
        cat(R"(<ir_version: 8, opset_import: ["": 17]> g (float[2, 4, 5, 3] x, float[)", channels,
            R"(, 4, 1, 1] w) => (float[n, c, 5, 3] y) { v = Conv(x, w)  y = Neg(v) })"));
    Tensor x(DType::kFloat, {2, 4, 5, 3}), w(DType::kFloat, {channels, 4, 1, 1});
    for (int64_t i = 0; i < x.size(); ++i)
      x.mutable_data<float>()[static_cast<size_t>(i)] = static_cast<float>(i % 17) - 8;
    for (int64_t i = 0; i < w.size(); ++i)
      w.mutable_data<float>()[static_cast<size_t>(i)] = static_cast<float>(i % 5) - 2;
    const Executor executor(model, {.observe = {"v"}});
    State state = executor.start({{"x", x}, {"w", w}});
    executor.advance(state, executor.step_of(model.graph.nodes[0].name) + 1);
    const Tensor before = executor.get(state, "v");
    const ChannelBlocks blocks = executor.blocks(state, "v");
    const int64_t positions = 15;
    ASSERT_EQ(blocks.shape, (Shape{2, channels, 5, 3}));
    for (int64_t i = 0; i < before.size(); ++i) {
      const int64_t p = i % positions, c = i / positions % channels, n = i / positions / channels;
      const int64_t at =
          ((n * channels / blocks.block + c / blocks.block) * positions + p) * blocks.block +
          c % blocks.block;
      EXPECT_EQ(blocks.data[at], before.data<float>()[static_cast<size_t>(i)]);
    }
    const State copy = state;
    std::vector<float> shift(static_cast<size_t>(channels));
    for (size_t c = 0; c < shift.size(); ++c) shift[c] = 0.5f * static_cast<float>(c + 1);
    executor.shift_channels(state, "v", shift, false);
    const Tensor after = executor.get(state, "v"), other = executor.get(copy, "v");
    for (size_t i = 0; i < static_cast<size_t>(after.size()); ++i) {
      EXPECT_EQ(other.data<float>()[i], before.data<float>()[i]);
      EXPECT_EQ(after.data<float>()[i],
                before.data<float>()[i] + shift[i / positions % shift.size()]);
    }
    executor.shift_channels(state, "v", std::vector<float>{1, 2, 3}, true);
    EXPECT_EQ(executor.get(state, "v").data<float>()[4], after.data<float>()[4] + 2);
    EXPECT_EQ(executor.finish(state)[0].data<float>()[4], -after.data<float>()[4] - 2);
  }
}

TEST(Executor, ForgottenKernelsAreMadeAgain) {
  const Executor executor(two_steps());
  const Feed feed{{"x", Tensor::of<float>({1, 2}, {1.f, 2.f})}};
  const float before = executor.run(feed)[0].data<float>()[0];
  State state = executor.start(feed);
  executor.advance(state, 1);
  EXPECT_EQ(executor.next_step(state), 1);
  executor.forget(0, executor.step_count());
  EXPECT_FLOAT_EQ(executor.finish(state)[0].data<float>()[0], before);
  EXPECT_FLOAT_EQ(executor.run(feed)[0].data<float>()[0], before);
}

// A weight of 4 Mi codes and more stays codes until a kernel is made of it, and is the same weight then.
TEST(Executor, LargeCodesAreDequantizedWhenAKernelIsMade) {
  constexpr int64_t kRows = 2049, kColumns = 2048;
  Model m = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1, 2049] x, int8[2049, 2048] w, float[2048] s) => (float[1, 2048] y, float[1, 2049] z)
{ d = DequantizeLinear<axis = 1>(w, s)
  y = MatMul(x, d)
  t = Transpose<perm = [1, 0]>(d)
  z = MatMul(y, t) })");
  Tensor codes(DType::kInt8, {kRows, kColumns}), scales(DType::kFloat, {kColumns});
  for (int64_t i = 0; i < codes.size(); ++i)
    codes.mutable_data<int8_t>()[static_cast<size_t>(i)] = static_cast<int8_t>(i % 5 - 2);
  for (int64_t c = 0; c < kColumns; ++c)
    scales.mutable_data<float>()[static_cast<size_t>(c)] = static_cast<float>(c % 3 + 1);
  m.graph.initializers[m.graph.find("w")].data = codes;
  m.graph.initializers[m.graph.find("s")].data = scales;
  Tensor x(DType::kFloat, {1, kRows});
  x.mutable_data<float>()[7] = 1;
  const Executor executor(m),
      reference(m, {.backend = Backend::kReference, .fuse = false, .observe = {}});
  for (int repeat = 0; repeat < 2; ++repeat) {
    const std::vector<Tensor> have = executor.run({{"x", x}}), want = reference.run({{"x", x}});
    for (size_t c : {0u, 1u, 2u, 2047u}) {
      const int64_t code = (7 * kColumns + static_cast<int64_t>(c)) % 5 - 2;
      EXPECT_FLOAT_EQ(have[0].data<float>()[c],
                      static_cast<float>(code * static_cast<int64_t>(c % 3 + 1)));
    }
    for (size_t r = 0; r < kRows; r += 512) {
      EXPECT_FLOAT_EQ(have[0].data<float>()[r % kColumns], want[0].data<float>()[r % kColumns]);
      EXPECT_FLOAT_EQ(have[1].data<float>()[r], want[1].data<float>()[r]);
    }
    executor.forget(0, executor.step_count());
  }
}

// 3 · 0.49999997 is below 1.5, and no tie; with the zero point added before rounding it becomes one.
TEST(Executor, RoundsBeforeItAddsTheZeroPoint) {
  const Executor executor(model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (uint8[1, 1, 1, 4] x) => (uint8[1, 1, 1, 4] y)
<float xs = {0.49999997}, uint8 xz = {0}, int8[1, 1, 1, 1] w = {1}, float[1] ws = {1.0}, int8[1] wz = {0},
 float ys = {1.0}, uint8 yz = {128}>
{ y = QLinearConv(x, xs, xz, w, ws, wz, ys, yz) })"));
  const Tensor y = executor.run({{"x", Tensor::of<uint8_t>({1, 1, 1, 4}, {1, 3, 5, 7})}})[0];
  // Whichever of oneDNN's compiled kernels this processor gets.
  EXPECT_EQ(executor.steps()[0].kernel.rfind("onednn:", 0), 0u);
  EXPECT_EQ(executor.steps()[0].kernel.find("ref"), std::string::npos);
  const auto codes = y.data<uint8_t>();
  EXPECT_EQ((std::vector<uint8_t>(codes.begin(), codes.end())),
            (std::vector<uint8_t>{128, 129, 130, 131}));
}

// onnxruntime's kernel rounds once a product and sum; without that one in 200,000 sums is another code.
TEST(Executor, AddsCodesWithOneRoundingEach) {
  const Executor executor(sum_of_codes());
  std::vector<uint8_t> a, b;
  for (int i = 0; i < 256 * 256; ++i) {
    a.push_back(static_cast<uint8_t>(i % 256));
    b.push_back(static_cast<uint8_t>(i / 256));
  }
  const auto n = static_cast<int64_t>(a.size());
  const Tensor y =
      executor.run({{"a", Tensor::of<uint8_t>({n}, a)}, {"b", Tensor::of<uint8_t>({n}, b)}})[0];
  const float of_a = 0.31f / 0.23f, of_b = 0.17f / 0.23f,
              offset = 90 - std::fma(of_a, 7.f, of_b * 200);
  for (size_t i = 0; i < a.size(); ++i) {
    const float sum = std::fma(a[i], of_a, std::fma(b[i], of_b, offset));
    const float code = std::nearbyint(std::min(255.f, std::max(0.f, sum)));
    ASSERT_EQ(y.data<uint8_t>()[i], static_cast<uint8_t>(code)) << i;
  }
}

// Many codes take wider instructions than few.
TEST(Executor, SumsOfCodesDoNotDependOnHowManyThereAre) {
  const Executor executor(sum_of_codes());
  constexpr int64_t kAll = 256 * 256, kFew = 16;
  std::vector<uint8_t> a, b;
  for (int64_t i = 0; i < kAll; ++i) {
    a.push_back(static_cast<uint8_t>(i % 256));
    b.push_back(static_cast<uint8_t>(i / 256));
  }
  const auto sums = [&](int64_t first, int64_t count) {
    const auto part = [&](const std::vector<uint8_t>& codes) {
      return Tensor::of<uint8_t>({count}, {codes.begin() + first, codes.begin() + first + count});
    };
    return executor.run({{"a", part(a)}, {"b", part(b)}})[0];
  };
  const Tensor all = sums(0, kAll);
  for (int64_t first = 0; first < kAll; first += kFew) {
    const Tensor few = sums(first, kFew);
    ASSERT_TRUE(std::ranges::equal(few.data<uint8_t>(),
                                   all.data<uint8_t>().subspan(static_cast<size_t>(first), kFew)));
  }
}

TEST(Executor, NamesAnUnknownOperator) {
  Model model = two_steps();
  model.graph.nodes[0].type = "Frobnicate";
  try {
    Executor executor(model);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), kUnsupportedCode);
    EXPECT_NE(e.message().find("Frobnicate"), std::string::npos);
  }
}

TEST(Executor, WantsEveryInput) {
  const Executor executor(two_steps());
  EXPECT_THROW(executor.run({}), Error);
  EXPECT_THROW(executor.run({{"x", Tensor(DType::kInt64, {1, 2})}}), Error);
}

}  // namespace
}  // namespace qtool
