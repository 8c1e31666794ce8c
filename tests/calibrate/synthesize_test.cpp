#include <gtest/gtest.h>

#include <cmath>

#include "qtool/calibrate.hpp"
#include "qtool/onnx.hpp"

namespace qtool {
namespace {

// Two normalizations that remember other means and deviations than noise has.
Model network() {
  return model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 2, 6, 6] x) => (float[n, 3, 6, 6] y)
<float[2] s = {1.0, 1.0}, float[2] b = {0.0, 0.0}, float[2] m = {0.5, -1.0}, float[2] v = {4.0, 0.25},
 float[3, 2, 1, 1] w = {1.0, 0.5, -1.0, 1.0, 0.5, 2.0}, float[3] s2 = {1.0, 2.0, 1.0}, float[3] b2 = {0.0, 1.0, 0.0},
 float[3] m2 = {0.2, 0.1, -0.1}, float[3] v2 = {1.2, 2.0, 4.0}>
{ a = BatchNormalization(x, s, b, m, v)  c = Conv(a, w)  d = BatchNormalization(c, s2, b2, m2, v2)  y = Relu(d) })");
}

TEST(Synthesize, MakesSamplesWithTheStatisticsThatTheModelRemembers) {
  const auto [name, samples] = synthesize(network(), {.samples = 20, .steps = 200});
  EXPECT_EQ(name, "x");
  EXPECT_EQ(samples.shape(), (Shape{20, 2, 6, 6}));
  const double mean[] = {0.5, -1.0}, deviation[] = {2.0, 0.5};
  for (int64_t c = 0; c < 2; ++c) {
    double sum = 0, squares = 0;
    for (int64_t n = 0; n < 16; ++n) {  // those that were made together
      for (int64_t i = 0; i < 36; ++i) {
        const double x = samples.number((n * 2 + c) * 36 + i);
        sum += x;
        squares += x * x;
      }
    }
    sum /= 16 * 36;
    EXPECT_NEAR(sum, mean[c], 0.1);
    EXPECT_NEAR(std::sqrt(squares / (16 * 36) - sum * sum), deviation[c], 0.1);
  }
}

TEST(Synthesize, IsTheSameOnAnyThreads) {
  SynthesisOptions options{.samples = 40, .steps = 3, .seed = 5};
  const Tensor one = synthesize(network(), options).second;
  options.threads = 2;
  const Tensor two = synthesize(network(), options).second;
  EXPECT_TRUE(
      std::equal(one.data<float>().begin(), one.data<float>().end(), two.data<float>().begin()));
}

TEST(Synthesize, SaysWhatIsMissing) {
  const auto message = [](const char* text) {
    try {
      (void)synthesize(model_from_text(text), {});
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), "QT-E463");
      return e.message();
    }
    return std::string();
  };
  EXPECT_NE(
      message(
          R"(<ir_version: 8, opset_import: ["": 17]> g (float[n, 2] x) => (float[n, 2] y) { y = Relu(x) })")
          .find("no batch normalization"),
      std::string::npos);
  EXPECT_NE(message(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 2, h, w] x) => (float[n, 2, h, w] y) <float[2] s = {1.0, 1.0}> { y = BatchNormalization(x, s, s, s, s) })")
                .find("whose size is known"),
            std::string::npos);
}

}  // namespace
}  // namespace qtool
