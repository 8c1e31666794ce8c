#include <cmath>
#include <numbers>

#include "support.hpp"

namespace qtool {
namespace {

// Σ x[j] e^(−2πi jk/n), by the definition.
Tensor plain_dft(const std::vector<float>& x) {
  const auto n = static_cast<int64_t>(x.size());
  Tensor out(DType::kFloat, {1, n, 2});
  for (int64_t k = 0; k < n; ++k) {
    double re = 0, im = 0;
    for (int64_t j = 0; j < n; ++j) {
      const double angle =
          2 * std::numbers::pi * static_cast<double>(j * k) / static_cast<double>(n);
      re += x[static_cast<size_t>(j)] * std::cos(angle);
      im -= x[static_cast<size_t>(j)] * std::sin(angle);
    }
    out.set_number(2 * k, re);
    out.set_number(2 * k + 1, im);
  }
  return out;
}

TEST(Ops, DftIsItsDefinitionForEveryLength) {
  for (int64_t n : {1, 2, 3, 4, 6, 7, 12, 15, 16, 20, 48, 64, 97, 100}) {
    std::vector<float> x;
    for (int64_t i = 0; i < n; ++i) x.push_back(static_cast<float>((i * 7 + 3) % 5));
    const Tensor in = Tensor::of({1, n, 1}, x);
    const Tensor spectrum = run({"DFT", {in}})[0];
    expect_tensor(spectrum, plain_dft(x), 1e-4);
    const Attribute inverse = attribute("inverse", int64_t{1}),
                    half = attribute("onesided", int64_t{1});
    EXPECT_EQ(run({"DFT", {in}, {half}})[0].shape(), (Shape{1, n / 2 + 1, 2}));
    const Tensor back = run({"DFT", {spectrum}, {inverse}})[0];
    for (int64_t i = 0; i < n; ++i)
      EXPECT_NEAR(back.number(2 * i), x[static_cast<size_t>(i)], 1e-5);
    const Tensor real =
        run({"DFT", {run({"DFT", {in}, {half}})[0], Tensor::scalar(n)}, {inverse, half}})[0];
    expect_tensor(real, in, 1e-5);
  }
}

TEST(Ops, DftRefusesNonsense) {
  const Tensor x(DType::kFloat, {1, 4, 1});
  EXPECT_EQ(error_code({"DFT", {x, Tensor::scalar(int64_t{0})}}), "QT-E331");
  EXPECT_EQ(error_code({"DFT", {x, Tensor::scalar(int64_t{1} << 38)}}), "QT-E340");
  EXPECT_EQ(error_code({"DFT", {x, Tensor(), Tensor::scalar(int64_t{2})}}), "QT-E331");
  EXPECT_EQ(error_code({"DFT", {Tensor(DType::kFloat, {1, 4, 3})}}), "QT-E331");
}

TEST(Ops, StftSlidesItsWindow) {
  const Tensor x = floats({1, 4, 1}, {1, 2, 3, 4});
  const Tensor y = run({"STFT", {x, Tensor::scalar(int64_t{2}), floats({2}, {1, 0})}})[0];
  expect_tensor(y, floats({1, 2, 2, 2}, {1, 0, 1, 0, 3, 0, 3, 0}));
  const Tensor flat = floats({1, 4}, {1, 2, 3, 4});  // as exporters write it
  expect_tensor(run({"STFT", {flat, Tensor::scalar(int64_t{2}), floats({2}, {1, 0})}})[0], y);
  EXPECT_EQ(error_code({"STFT", {x, Tensor::scalar(int64_t{0}), floats({2}, {1, 0})}}), "QT-E331");
  EXPECT_EQ(error_code({"STFT", {x, Tensor::scalar(int64_t{1}), floats({5}, {1, 1, 1, 1, 1})}}),
            "QT-E331");
}

TEST(Ops, WindowsAreSymmetricOrPeriodic) {
  const Tensor four = Tensor::scalar(int64_t{4});
  expect_tensor(run({"HannWindow", {four}})[0], floats({4}, {0, 0.5f, 1, 0.5f}));
  expect_tensor(
      run({"HannWindow", {Tensor::scalar(int64_t{3})}, {attribute("periodic", int64_t{0})}})[0],
      floats({3}, {0, 1, 0}));
  expect_tensor(
      run({"HannWindow", {Tensor::scalar(int64_t{1})}, {attribute("periodic", int64_t{0})}})[0],
      floats({1}, {1}));
  expect_tensor(run({"BlackmanWindow", {four}})[0], floats({4}, {0, 0.34f, 1, 0.34f}));
  EXPECT_NEAR(run({"HammingWindow", {four}})[0].number(0), 4.0 / 46, 1e-6);
  EXPECT_EQ(error_code({"HannWindow", {Tensor::scalar(int64_t{-1})}}), "QT-E331");
}

TEST(Ops, MelWeightMatrixIsMadeOfTriangles) {
  const auto number = [](int64_t v) { return Tensor::scalar(v); };
  const std::vector<Tensor> in{number(4), number(16), number(8192), Tensor::scalar(0.f),
                               Tensor::scalar(4096.f)};
  const Tensor y = run({"MelWeightMatrix", in})[0];
  EXPECT_EQ(y.shape(), (Shape{9, 4}));
  std::vector<Tensor> bad = in;
  bad[4] = Tensor::scalar(1e9f);
  EXPECT_EQ(error_code({"MelWeightMatrix", bad}), "QT-E331");
  bad[2] = number(0);
  EXPECT_EQ(error_code({"MelWeightMatrix", bad}), "QT-E331");
}

}  // namespace
}  // namespace qtool
