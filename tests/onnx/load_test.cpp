#include <sys/stat.h>

#include "onnx/wire.hpp"

namespace qtool {
namespace {

using namespace wire;
namespace fs = std::filesystem;

void expect_refused_file(const fs::path& path, std::string_view code, std::string_view text) {
  const Error error = error_of([&] { load_model(path); });
  expect_refused(error, code, text);
  ASSERT_FALSE(error.context_lines().empty());
  EXPECT_NE(error.context_lines().back().find(path.filename().string()), std::string::npos);
  EXPECT_FALSE(error.hint_text().empty());
}

TEST(OnnxLoad, RefusesWhatIsNoFile) {
  const TempFolder folder;
  fs::create_directory(folder / "d");
  ASSERT_EQ(mkfifo((folder / "fifo").c_str(), 0600), 0);
  folder.put("empty", "");
  expect_refused_file(folder / "missing", "QT-E301", "cannot be opened");
  expect_refused_file(folder / "d", "QT-E301", "is a folder");
  expect_refused_file(folder / "fifo", "QT-E301", "is a pipe");
  expect_refused_file(folder / "empty", "QT-E301", "is empty");
}

TEST(OnnxLoad, FollowsALinkThatTheUserNames) {
  const TempFolder folder;
  folder.put("m.onnx", model(small_graph()));
  fs::create_symlink("m.onnx", folder / "link.onnx");
  EXPECT_EQ(load_model(folder / "link.onnx").graph.nodes.size(), 1u);
}

TEST(OnnxLoad, SaysWhatOtherFormatsAre) {
  const TempFolder folder;
  expect_refused_file(folder.put("a", std::string("\x1f\x8b\x08\0\0\0", 6)), "QT-E302", "gzip");
  expect_refused_file(folder.put("a", std::string("PK\x03\x04\x14\0", 6)), "QT-E302",
                      "zip archive");
  expect_refused_file(folder.put("a", "version https://git-lfs.github.com/spec/v1"), "QT-E302",
                      "git lfs pull");
  expect_refused_file(folder.put("a", "{\"a\": 1}"), "QT-E302", "text");
  expect_refused_file(folder.put("a", "\xff\xff\xff\xff"), "QT-E302", "4 bytes");
}

TEST(OnnxLoad, RefusesEveryTruncation) {
  Message graph =
      small_graph(Message().text(5, tensor("w", DType::kFloat, {2}, raw<float>({1, 2}))));
  const std::string bytes = model(graph).bytes();
  for (size_t size = 0; size < bytes.size(); ++size)
    EXPECT_EQ(error_of([&] { parse_model(bytes.substr(0, size), "test"); }).kind(),
              ErrorKind::kModel)
        << size;
}

TEST(OnnxLoad, SurvivesEveryChangedByte) {
  Message graph =
      small_graph(Message().text(5, tensor("w", DType::kFloat, {2}, raw<float>({1, 2}))));
  const std::string bytes = model(graph).bytes();
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (const int flip : {1, 2, 0x10, 0x80, 0xff}) {
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ flip);
      try {
        serialize_model(parse_model(changed, "test"));
      } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::kModel) << error.message();
      }
    }
  }
}

TEST(OnnxLoad, RefusesMessagesWithoutEnd) {
  Message graph = small_graph();
  for (int depth = 0; depth < 200; ++depth) {
    Message branch = Message().text(1, "b").text(6, graph).number(20, 5);
    graph = Message()
                .text(1, node("If", {"x"}, {"y"}).text(5, branch))
                .text(2, "g")
                .text(12, value_info("y"));
  }
  EXPECT_EQ(error_of_model(model(graph)).code(), "QT-E302");
}

TEST(OnnxLoad, FingerprintsTheBytes) {
  const std::string bytes = model(small_graph()).bytes();
  EXPECT_EQ(parse_model(bytes, "test").fingerprint, sha256_hex(bytes));
}

TEST(OnnxLoad, ReadsTextForm) {
  const Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
    g (float[n, 2] x) => (float[n, 2] y) <float[2] w = {1, 2}> { y = Add(x, w) })");
  EXPECT_EQ(model.opset(), 17);
  EXPECT_EQ(model.graph.nodes[0].name, "Add_0");
  EXPECT_EQ(model.graph.constant(model.graph.nodes[0].inputs[1])->number(1), 2);
  expect_refused(error_of([] { model_from_text("no model"); }), "QT-E302", "ONNX text");
}

TEST(OnnxLoad, ReadsTensorFiles) {
  const TempFolder folder;
  const NamedTensor read =
      load_tensor_pb(folder.put("a.pb", tensor("x", DType::kInt16, {2}, raw<int16_t>({-1, 2}))));
  EXPECT_EQ(read.name, "x");
  EXPECT_EQ(read.tensor.integer(0), -1);
}

TEST(OnnxLoad, RefusesOtherTensorFilesAsData) {
  const TempFolder folder;
  const auto code_of = [&](std::string_view bytes) {
    const Error error = error_of([&] { load_tensor_pb(folder.put("a.pb", bytes)); });
    EXPECT_EQ(error.kind(), ErrorKind::kData);
    EXPECT_NE(error.message().find("a.pb"), std::string::npos);
    return error.code();
  };
  const Message one = tensor("x", DType::kFloat, {1}, "abcd");
  EXPECT_EQ(code_of(Message().text(1, "seq").number(2, 1).text(3, one)), kUnsupportedCode);
  EXPECT_EQ(code_of(Message().text(1, "seq").number(2, 1)), kUnsupportedCode);
  EXPECT_EQ(code_of(Message().number(2, 1).text(3, one)), kUnsupportedCode);
  EXPECT_EQ(code_of(one.bytes().substr(0, 5)), "QT-E401");
  EXPECT_EQ(code_of(tensor("x", DType::kFloat, {2}, "abcd")), "QT-E310");
  EXPECT_EQ(code_of(external_tensor("x", {1}, {{"location", "/etc/passwd"}})), "QT-E311");
  EXPECT_EQ(error_of([&] { load_tensor_pb(folder / "none.pb"); }).kind(), ErrorKind::kData);
}

}  // namespace
}  // namespace qtool
