#include "qtool/calibrate.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "qtool/onnx.hpp"
#include "support/temp_folder.hpp"

namespace qtool {
namespace {

namespace fs = std::filesystem;

// Seeded samples of [N, 3, 8, 8] in chunks of any size; sample i is the same in all of them.
class Samples : public SampleSource {
 public:
  Samples(int64_t samples, int64_t chunk) : samples_(samples), chunk_(chunk) {}
  int64_t samples() const override { return samples_; }
  int64_t chunk_count() const override { return (samples_ + chunk_ - 1) / chunk_; }
  bool has_labels() const override { return false; }
  std::string describe() const override { return "samples"; }
  Batch chunk(int64_t index) const override {
    Batch b;
    b.first_sample = index * chunk_;
    b.samples = std::min(chunk_, samples_ - b.first_sample);
    Tensor x(DType::kFloat, {b.samples, 3, 8, 8});
    auto data = x.mutable_data<float>();
    for (int64_t s = 0; s < b.samples; ++s) {
      Rng rng(static_cast<uint64_t>(b.first_sample + s + 1));
      for (int64_t i = 0; i < 192; ++i)
        data[static_cast<size_t>(s * 192 + i)] = static_cast<float>(rng.normal());
      if (b.first_sample + s == poisoned) data[static_cast<size_t>(s * 192)] = std::nanf("");
    }
    b.feed["x"] = std::move(x);
    return b;
  }
  int64_t poisoned = -1;

 private:
  int64_t samples_, chunk_;
};

Model small_model() {
  return model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3, 8, 8] x) => (float[n, 3, 1, 1] y) {
  double = Add(x, x)
  positive = Relu(double)
  y = GlobalAveragePool(positive)
})");
}

void expect_same(const CalibrationTable& a, const CalibrationTable& b) {
  EXPECT_EQ(a.samples, b.samples);
  ASSERT_EQ(a.values.size(), b.values.size());
  for (const auto& [name, s] : a.values) {
    const ValueStats& t = b.at(name);
    EXPECT_EQ(s.count, t.count) << name;
    EXPECT_EQ(s.samples, t.samples) << name;
    EXPECT_EQ(s.min, t.min) << name;
    EXPECT_EQ(s.max, t.max) << name;
    EXPECT_EQ(s.sum, t.sum) << name;
    EXPECT_EQ(s.sum_squares, t.sum_squares) << name;
    EXPECT_EQ(s.histogram.exponent(), t.histogram.exponent()) << name;
    EXPECT_EQ(s.histogram.counts(), t.histogram.counts()) << name;
    EXPECT_EQ(s.channel_min, t.channel_min) << name;
    EXPECT_EQ(s.channel_max, t.channel_max) << name;
    EXPECT_EQ(s.channel_sum, t.channel_sum) << name;
    EXPECT_EQ(s.channel_sum_squares, t.channel_sum_squares) << name;
  }
}

const std::vector<std::string> kNames = {"x", "double", "positive", "y"};

TEST(Calibrate, SeesInputsInnerValuesAndOutputs) {
  const CalibrationTable t = calibrate(small_model(), kNames, Samples(10, 4), {});
  EXPECT_EQ(t.samples, 10);
  EXPECT_EQ(t.at("x").count, 1920);
  EXPECT_EQ(t.at("double").max, 2 * t.at("x").max);
  EXPECT_EQ(t.at("positive").min, 0);
  EXPECT_EQ(t.at("positive").max, t.at("double").max);
  EXPECT_EQ(t.at("y").count, 30);
  EXPECT_EQ(t.at("positive").samples, 10);
  EXPECT_NEAR(t.at("y").sum, t.at("positive").sum / 64, 1e-4);
}

TEST(Calibrate, IsTheSameForAnyThreadsAndChunkSize) {
  const Model model = small_model();
  const CalibrationTable one = calibrate(model, kNames, Samples(37, 5), {.threads = 1});
  expect_same(calibrate(model, kNames, Samples(37, 5), {.threads = 4}), one);
  expect_same(calibrate(model, kNames, Samples(37, 1), {.threads = 3}), one);
  expect_same(calibrate(model, kNames, Samples(37, 37), {.threads = 2}), one);
}

TEST(Calibrate, NamesTheValueAndSamplesOfNaN) {
  Samples samples(9, 3);
  samples.poisoned = 4;
  for (int threads : {1, 3}) {
    try {
      calibrate(small_model(), kNames, samples, {.threads = threads});
      FAIL();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), "QT-E460");
      ASSERT_FALSE(error.context_lines().empty());
      EXPECT_EQ(error.context_lines()[0], "while observing 'x' for samples 3 to 5");
    }
  }
}

TEST(Calibrate, RefusesUnknownNamesWithTheNearest) {
  try {
    calibrate(small_model(), {"positiv"}, Samples(1, 1), {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_NE(error.hint_text().find("positive"), std::string::npos);
  }
}

TEST(Calibrate, SaysWhichCommandRepairsAMissingValue) {
  try {
    CalibrationTable().at("conv");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_NE(error.hint_text().find("qtool calibrate"), std::string::npos);
  }
}

class CalibrationFile : public ::testing::Test {
 protected:
  void SetUp() override { path_ = folder_ / "calibration.json"; }

  CalibrationTable table() const {
    CalibrationTable t = calibrate(small_model(), kNames, Samples(6, 2), {});
    t.model_fingerprint = "abc";
    t.random_data = true;
    t.values["empty"] = ValueStats();
    t.values["odd \"name\"/../\x01"].observe(Tensor::of<float>({2}, {1e-40f, -3e38f}), 1);
    return t;
  }
  void expect_refused() const {
    try {
      load_calibration(path_);
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage) << error.what();
      EXPECT_NE(error.hint_text().find("calibrate"), std::string::npos);
    }
  }
  void replace(const std::string& from, const std::string& to) const {
    std::string text = read_file(path_, ErrorKind::kInternal);
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    write_file_atomic(path_, text.replace(at, from.size(), to));
  }

  TempFolder folder_;
  fs::path path_;
};

TEST_F(CalibrationFile, ReadsBackExactly) {
  const CalibrationTable t = table();
  save_calibration(t, path_);
  const CalibrationTable back = load_calibration(path_);
  expect_same(back, t);
  EXPECT_EQ(back.model_fingerprint, "abc");
  EXPECT_TRUE(back.random_data);
  EXPECT_EQ(back.at("x").shape, t.at("x").shape);
  const std::string first = read_file(path_, ErrorKind::kInternal);
  save_calibration(back, path_);
  EXPECT_EQ(read_file(path_, ErrorKind::kInternal), first);
}

TEST_F(CalibrationFile, IsRefusedWhenMissingOrDamaged) {
  expect_refused();
  save_calibration(table(), path_);
  const std::string whole = read_file(path_, ErrorKind::kInternal);
  for (const auto& [from, to] :
       {std::pair<std::string, std::string>{"\"exponent\": ", "\"exponent\": 9"},
        {"\"bins\": ", "\"bins\": 9"},
        {"\"bins\": ", "\"bins\": -"},
        {"\"channels\": 3", "\"channels\": 4000000000000"},
        {"\"channels\": 3", "\"channels\": -3"},
        {"\"count\": ", "\"count\": -"},
        {"\"min\": ", "\"minimum\": "},
        {"qtool.calibration/1", "qtool.plan/1"},
        {"\"values\": {", "\"values\": 3, \"other\": {"},
        {"\"sum\": ", "\"sum\": \"\", \"x\": "}}) {
    write_file_atomic(path_, whole);
    replace(from, to);
    expect_refused();
  }
  write_file_atomic(path_, whole.substr(0, whole.size() / 2));
  expect_refused();
  write_file_atomic(path_, whole);
  std::string bytes = read_file(path_.string() + ".bin", ErrorKind::kInternal);
  bytes[100] ^= 1;
  write_file_atomic(path_.string() + ".bin", bytes);
  expect_refused();
  fs::remove(path_.string() + ".bin");
  expect_refused();
}

TEST_F(CalibrationFile, NeedsNamesInUtf8) {
  CalibrationTable t;
  t.values["\xff"] = ValueStats();
  EXPECT_THROW(save_calibration(t, path_), Error);
}

}  // namespace
}  // namespace qtool
