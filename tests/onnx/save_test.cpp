#include "onnx/wire.hpp"

namespace qtool {
namespace {

using namespace wire;
namespace fs = std::filesystem;

// A weight of 2,048 bytes and one of 4.
Model model_with_two_weights() {
  std::vector<float> values(512);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  Message graph;
  graph.text(1, node("Add", {"x", "w"}, {"t"}, "add"))
      .text(1, node("Mul", {"t", "s"}, {"y"}, "mul"))
      .text(2, "g");
  graph.text(5, tensor("w", DType::kFloat, {512}, raw(values)))
      .text(5, tensor("s", DType::kFloat, {}, raw<float>({2})));
  return parse_model(
      model(graph.text(11, value_info("x", {512})).text(12, value_info("y", {512}))).bytes(),
      "test");
}

TEST(OnnxSave, WritesOneFile) {
  const TempFolder folder;
  const Model model = model_with_two_weights();
  save_model(model, folder / "m.onnx");
  EXPECT_EQ(folder.files(), 1u);
  const Model again = load_model(folder / "m.onnx");
  EXPECT_EQ(serialize_model(again), serialize_model(model));
  EXPECT_EQ(again.path, folder / "m.onnx");
  EXPECT_EQ(again.fingerprint, sha256_hex(read_file(folder / "m.onnx", ErrorKind::kModel)));
}

TEST(OnnxSave, WritesExternalDataBesideTheModel) {
  const TempFolder folder;
  const Model model = model_with_two_weights();
  const int64_t bytes = save_model(model, folder / "m.onnx", ExternalData::kAlways);
  EXPECT_EQ(folder.files(), 2u);
  EXPECT_EQ(fs::file_size(folder / "m.onnx.data"), 2048u);
  EXPECT_EQ(bytes, static_cast<int64_t>(fs::file_size(folder / "m.onnx")) + 2048);
  EXPECT_EQ(load_model(folder / "m.onnx").file_bytes, bytes);
  EXPECT_LT(fs::file_size(folder / "m.onnx"), 1024u);
  EXPECT_EQ(serialize_model(load_model(folder / "m.onnx")), serialize_model(model));
}

TEST(OnnxSave, MayReplaceTheFilesThatItReads) {
  const TempFolder folder;
  const std::string bytes = serialize_model(model_with_two_weights());
  save_model(parse_model(bytes, "test"), folder / "m.onnx", ExternalData::kAlways);
  const Model mapped = load_model(folder / "m.onnx");
  save_model(mapped, folder / "m.onnx", ExternalData::kAlways);
  EXPECT_EQ(serialize_model(mapped), bytes);
  EXPECT_EQ(serialize_model(load_model(folder / "m.onnx")), bytes);
  EXPECT_EQ(folder.files(), 2u);
}

TEST(OnnxSave, LeavesNothingBehindWhenItFails) {
  const TempFolder folder;
  const Model model = model_with_two_weights();
  for (const auto external : {ExternalData::kWhenNeeded, ExternalData::kAlways}) {
    EXPECT_EQ(error_of([&] { save_model(model, folder / "none/m.onnx", external); }).kind(),
              ErrorKind::kInternal);
    EXPECT_EQ(error_of([&] { save_model(model, folder.path(), external); }).kind(),
              ErrorKind::kInternal);
  }
  EXPECT_EQ(folder.files(), 0u);
  EXPECT_FALSE(fs::exists(folder.path().string() + ".data"));
}

TEST(OnnxSave, RestoresOldDataWhenTheModelCannotBeWritten) {
  const TempFolder folder;
  fs::create_directory(folder / "m.onnx");
  folder.put("m.onnx.data", "old");
  error_of([&] { save_model(model_with_two_weights(), folder / "m.onnx", ExternalData::kAlways); });
  EXPECT_EQ(read_file(folder / "m.onnx.data", ErrorKind::kModel), "old");
  fs::remove(folder / "m.onnx.data");
  error_of([&] { save_model(model_with_two_weights(), folder / "m.onnx", ExternalData::kAlways); });
  EXPECT_EQ(folder.files(), 1u);
}

TEST(OnnxSave, ReplacesNoFolderByData) {
  const TempFolder folder;
  fs::create_directory(folder / "m.onnx.data");
  error_of([&] { save_model(model_with_two_weights(), folder / "m.onnx", ExternalData::kAlways); });
  EXPECT_TRUE(fs::is_directory(folder / "m.onnx.data"));
  EXPECT_EQ(folder.files(), 1u);
}

TEST(OnnxSave, ReplacesALinkAndNotWhatItPointsTo) {
  const TempFolder folder;
  folder.put("precious", "keep me");
  fs::create_symlink("precious", folder / "m.onnx.data");
  save_model(model_with_two_weights(), folder / "m.onnx", ExternalData::kAlways);
  EXPECT_EQ(read_file(folder / "precious", ErrorKind::kModel), "keep me");
  EXPECT_EQ(load_model(folder / "m.onnx").graph.initializers.size(), 2u);
}

}  // namespace
}  // namespace qtool
