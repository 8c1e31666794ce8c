#include <cmath>

#include "ops/support.hpp"

namespace qtool {

TEST(Recurrent, RnnFollowsItsEquationInBothDirections) {
  const Tensor x = floats({2, 1, 1}, {1, 2}), w = floats({2, 1, 1}, {0.5, 0.5}),
               r = floats({2, 1, 1}, {1, 1});
  const auto affine = attribute("activations", std::vector<std::string>{"Affine", "Affine"});
  const auto out = run(
      {"RNN", {x, w, r}, {affine, attribute("direction", std::string("bidirectional"))}, 22, 2});
  expect_tensor(out[0], floats({2, 2, 1, 1}, {0.5, 1.5, 1.5, 1}));
  expect_tensor(out[1], floats({2, 1, 1}, {1.5, 1.5}));
}

TEST(Recurrent, ShortSequencesEndWithZeros) {
  const Tensor x = floats({2, 2, 1}, {1, 1, 1, 1}), w = floats({1, 1, 1}, {1}),
               r = floats({1, 1, 1}, {0});
  const auto relu = attribute("activations", std::vector<std::string>{"Relu"});
  const auto out =
      run({"RNN", {x, w, r, Tensor(), Tensor::of<int32_t>({2}, {2, 1})}, {relu}, 22, 2});
  expect_tensor(out[0], floats({2, 1, 2, 1}, {1, 1, 1, 0}));
  expect_tensor(out[1], floats({1, 2, 1}, {1, 1}));
  EXPECT_EQ(error_code({"RNN", {x, w, r, Tensor(), Tensor::of<int32_t>({2}, {3, 1})}}), "QT-E331");
}

TEST(Recurrent, LstmAndGruStepOnce) {
  const Tensor x = floats({1, 1, 1}, {1});
  const auto lstm = run(
      {"LSTM", {x, floats({1, 4, 1}, {1, 1, 1, 1}), floats({1, 4, 1}, {0, 0, 0, 0})}, {}, 22, 3});
  const double gate = 1 / (1 + std::exp(-1.0)), cell = gate * std::tanh(1.0);
  EXPECT_NEAR(lstm[2].number(0), cell, 1e-6);
  EXPECT_NEAR(lstm[0].number(0), gate * std::tanh(cell), 1e-6);
  const auto gru =
      run({"GRU", {x, floats({1, 3, 1}, {1, 1, 1}), floats({1, 3, 1}, {0, 0, 0})}, {}, 22, 2});
  EXPECT_NEAR(gru[0].number(0), (1 - gate) * std::tanh(1.0), 1e-6);
}

// Values of onnxruntime.
TEST(Recurrent, LstmClipsWhatGoesIntoItsGates) {
  const auto y = run({"LSTM",
                      {floats({2, 1, 2}, {1, -2, 0.5, 3}),
                       floats({1, 4, 2}, {0.5, -1, 1, 0.25, -0.75, 0.5, 2, -0.5}),
                       floats({1, 4, 1}, {0.5, -0.25, 1, 0.75})},
                      {attribute("clip", 0.5f)},
                      14,
                      3});
  expect_tensor(y[0], floats({2, 1, 1, 1}, {0.1742697f, 0.02838658f}));
  expect_tensor(y[2], floats({1, 1, 1}, {0.04563557f}));
}

TEST(Recurrent, UnknownActivationsAreRefused) {
  const Tensor x = floats({1, 1, 1}, {1});
  const auto odd = attribute("activations", std::vector<std::string>{"Odd"});
  EXPECT_EQ(error_code({"RNN", {x, x, x}, {odd}}), kUnsupportedCode);
  EXPECT_EQ(error_code({"RNN", {x, floats({1, 2, 1}, {1, 1}), x}}), "QT-E331");
}

}  // namespace qtool
