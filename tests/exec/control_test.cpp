#include <gtest/gtest.h>

#include "qtool/exec.hpp"
#include "qtool/onnx.hpp"

namespace qtool {
namespace {

Tensor row(std::vector<float> values) {
  return Tensor::of<float>({static_cast<int64_t>(values.size())}, values);
}

std::vector<float> numbers(const Tensor& t) {
  const auto data = t.data<float>();
  return {data.begin(), data.end()};
}

// s is read by nobody but the branches, and t only two graphs further in.
constexpr const char* kNested = R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n] x, bool outer, bool inner) => (float[n] y) <float[1] one = {1.0}, float[1] ten = {10.0}>
{
  s = Add(x, one)
  t = Mul(x, ten)
  y = If (outer) <
    then_branch = a () => (float[n] ya) {
      d = Add(s, one)
      ya = If (inner) <
        then_branch = b () => (float[n] yb) { yb = Add(d, t) },
        else_branch = c () => (float[n] yc) { yc = Sub(d, s) }>
    },
    else_branch = e () => (float[n] ye) { ye = Identity(s) }>
})";

TEST(Control, BranchesSeeTheValuesAroundThem) {
  for (const Backend backend : {Backend::kOneDnn, Backend::kReference}) {
    const Executor executor(model_from_text(kNested), {.backend = backend, .observe = {}});
    const auto y = [&](bool outer, bool inner) {
      return numbers(executor.run({{"x", row({1, 2})},
                                   {"outer", Tensor::scalar(outer)},
                                   {"inner", Tensor::scalar(inner)}})[0]);
    };
    EXPECT_EQ(y(true, true), (std::vector<float>{13, 24}));
    EXPECT_EQ(y(true, false), (std::vector<float>{1, 1}));
    EXPECT_EQ(y(false, true), (std::vector<float>{2, 3}));
  }
}

TEST(Control, AReplacedWeightReachesTheBranches) {
  const Executor executor(model_from_text(kNested));
  State state = executor.start(
      {{"x", row({1})}, {"outer", Tensor::scalar(true)}, {"inner", Tensor::scalar(true)}});
  executor.set(state, "one", row({5}));
  EXPECT_EQ(numbers(executor.finish(state)[0]), (std::vector<float>{21}));  // (1 + 5) + 5 + 10
}

TEST(Control, LoopCarriesStateAndReadsAround) {
  const Executor executor(model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n] x, int64 count) => (float[n] sum, float[m, n] all) <bool go = {1}>
{
  twice = Add(x, x)
  sum, all = Loop (count, go, x) <
    body = b (int64 i, bool c, float[n] s) => (bool more, float[n] next, float[n] out) {
      next = Add(s, twice)
      out = Neg(next)
      more = Identity(c)
    }>
})"));
  const auto y = executor.run({{"x", row({1, -1})}, {"count", Tensor::scalar(int64_t{2})}});
  EXPECT_EQ(numbers(y[0]), (std::vector<float>{5, -5}));
  EXPECT_EQ(y[1].shape(), (Shape{2, 2}));
  EXPECT_EQ(numbers(y[1]), (std::vector<float>{-3, 3, -5, 5}));
}

TEST(Control, LoopCollectsASequence) {
  const Executor executor(model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n] x, int64 count) => (float[m] y)
{
  none = SequenceEmpty()
  list = Loop (count, , none) <
    body = b (int64 i, bool c, seq(float[n]) s) => (bool more, seq(float[n]) next) {
      f = Cast <to = 1> (i)
      e = Add(x, f)
      next = SequenceInsert(s, e)
      more = Identity(c)
    }>
  y = ConcatFromSequence <axis = 0> (list)
})"));
  const auto y = executor.run({{"x", row({1, 2})}, {"count", Tensor::scalar(int64_t{3})}});
  EXPECT_EQ(numbers(y[0]), (std::vector<float>{1, 2, 2, 3, 3, 4}));
}

TEST(Control, ScanWalksItsInput) {
  const Executor executor(model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n] x, float bias) => (float last, float[n] sums) <float zero = {0.0}>
{
  last, sums = Scan <num_scan_inputs = 1,
    body = b (float s, float e) => (float next, float out) {
      t = Add(s, e)
      next = Add(t, bias)
      out = Identity(next)
    }> (zero, x)
})"));
  const auto y = executor.run({{"x", row({1, 2, 4})}, {"bias", Tensor::scalar(10.f)}});
  EXPECT_FLOAT_EQ(y[0].data<float>()[0], 37);
  EXPECT_EQ(numbers(y[1]), (std::vector<float>{11, 23, 37}));
}

TEST(Control, AnInputThatNoResultNeedsGetsNoData) {
  const Executor executor(model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n] x, int64 rate) => (float[n] y) <int64 zero = {0}>
{ nothing = Mul(rate, zero) f = Cast <to = 1> (nothing) y = Add(x, f) })"));
  EXPECT_EQ(numbers(executor.run({{"x", row({3})}})[0]), (std::vector<float>{3}));
}

TEST(Control, TapsSeeEveryRoundOfALoop) {
  const Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n] x, int64 count) => (float[n] y) <bool go = {1}>
{
  [loop] y = Loop (count, go, x) <body = b (int64 i, bool c, float[n] s) => (bool more, float[n] next) {
    d = Add(s, s)  [inner] next = Relu(d)  more = Identity(c) }>
})");
  struct Recorder : Tap {
    std::map<std::string, std::vector<float>> seen;
    void on_value(const std::string& name, Tensor& value) override {
      for (float v : value.data<float>()) seen[name].push_back(v);
    }
  } tap;
  const Executor executor(model, {.observe = {"s", "d", "next"}});
  executor.run({{"x", row({1})}, {"count", Tensor::scalar<int64_t>(3)}}, &tap);
  EXPECT_EQ(tap.seen["s"], (std::vector<float>{1, 2, 4}));
  EXPECT_EQ(tap.seen["d"], (std::vector<float>{2, 4, 8}));
  EXPECT_EQ(tap.seen["next"], (std::vector<float>{2, 4, 8}));
  EXPECT_EQ(executor.step_of("inner"), executor.step_of("loop"));
}

TEST(Control, TapsMayReplaceValuesInBodies) {
  const Executor executor(model_from_text(kNested), {.observe = {"d"}});
  struct Doubler : Tap {
    void on_value(const std::string&, Tensor& value) override {
      for (float& v : value.mutable_data<float>()) v *= 2;
    }
  } tap;
  const auto y = executor.run(
      {{"x", row({1})}, {"outer", Tensor::scalar(true)}, {"inner", Tensor::scalar(true)}}, &tap);
  EXPECT_EQ(numbers(y[0]), (std::vector<float>{16}));  // 2 · 3 + 10
}

}  // namespace
}  // namespace qtool
