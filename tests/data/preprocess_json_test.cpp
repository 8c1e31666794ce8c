#include "support.hpp"

namespace qtool {
namespace {

TEST(Data, ReadsASidecar) {
  TempFolder folder;
  folder.put("calib.npz", "");
  auto path =
      folder.put("m.json", R"json({"model": "m.onnx", "licence": "MIT", "fp32": {"top1": 0.9},
    "input": {"name": "input", "layout": "NHWC"},
    "preprocess": {"channel_order": "BGR", "resize_short_side": 256, "center_crop": null, "scale": 0.5, "resize_filter": "bilinear",
                   "mean": 127, "std": [1, 2, 3], "formula": "(x*scale-mean)/std", "note": "hello"},
    "labels": null, "constants": {"sr": 16000},
    "data": {"calib": "calib.npz (one array per graph input)", "test": "../t.npz"}})json");
  Sidecar s = read_sidecar(path);
  EXPECT_EQ(s.preprocess.layout, "NHWC");
  EXPECT_EQ(s.preprocess.channel_order, "BGR");
  EXPECT_EQ(s.preprocess.resize_short_side, 256);
  EXPECT_FALSE(s.preprocess.center_crop);
  EXPECT_EQ(s.preprocess.interpolation, "bilinear");
  EXPECT_EQ(s.preprocess.mean, (std::vector<double>{127}));
  EXPECT_EQ(s.preprocess.std, (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(s.calib, (folder.path() / "calib.npz").string());
  EXPECT_EQ(s.test, (folder.path().parent_path() / "t.npz").string());
  EXPECT_FALSE(s.labels);
  EXPECT_EQ(s.constants.at("sr"), 16000);
}

TEST(Data, ReadsASidecarOfAModelWithoutPictures) {
  TempFolder folder;
  auto path = folder.put(
      "m.json", R"({"input": {"input": ["float32", [1, 576]]}, "preprocess": "int16/32768"})");
  EXPECT_EQ(read_sidecar(path).preprocess.layout, "NCHW");
}

TEST(Data, RefusesUnknownKeysWithTheNearest) {
  TempFolder folder;
  auto path = folder.put("m.json", R"({"preprocess": {"center_corp": 224}})");
  try {
    read_sidecar(path);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_NE(error.hint_text().find("center_crop"), std::string::npos);
    EXPECT_NE(error.context_lines()[0].find("m.json"), std::string::npos);
  }
}

TEST(Data, RefusesValuesThatMakeNoSense) {
  for (const char* json : {R"({"scale": "x"})", R"({"mean": []})", R"({"mean": [1, "a"]})",
                           R"({"resize_short_side": 0})", "[1]", R"({"resize_short_side": 1e99})",
                           R"({"resize": "10y10"})", R"({"grayscale": 1})", R"({"scale": 1e999})",
                           R"({"interpolation": "bicubic", "resize_filter": "nearest"})", "{", "",
                           R"({"std": [0, 1, 1]})"}) {
    EXPECT_NE(error_code(ErrorKind::kUsage, [&] { preprocess_from_json(json); }), "") << json;
  }
  std::string deep(200000, '[');
  EXPECT_NE(error_code(ErrorKind::kUsage, [&] { preprocess_from_json(deep); }), "");
  EXPECT_NE(error_code(ErrorKind::kUsage, [&] { read_sidecar("/nowhere/m.json"); }), "");
}

TEST(Data, PreprocessingSurvivesARoundTrip) {
  Preprocess p;
  p.layout = "NHWC";
  p.scale = 1.0 / 255.0;
  p.mean = {0.1, 0.2, 0.3};
  p.resize_width = 640;
  p.resize_height_exact = 480;
  p.center_crop = 224;
  p.pad_width_to = 700;
  std::string json = preprocess_json(p);
  Preprocess back = preprocess_from_json(json);
  EXPECT_EQ(preprocess_json(back), json);
  EXPECT_EQ(back.scale, p.scale);
  EXPECT_EQ(back.resize_width, 640);
  EXPECT_EQ(back.resize_height_exact, 480);
}

TEST(Data, ReadsAnExactSizeInThreeForms) {
  for (const char* json : {R"({"resize": "32x16"})", R"({"resize": [32, 16]})"}) {
    EXPECT_EQ(preprocess_from_json(json).resize_width, 32);
    EXPECT_EQ(preprocess_from_json(json).resize_height_exact, 16);
  }
  EXPECT_EQ(preprocess_from_json(R"({"resize": 8})").resize_height_exact, 8);
}

}  // namespace
}  // namespace qtool
