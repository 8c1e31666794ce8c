#include <sys/stat.h>

#include "onnx/wire.hpp"

namespace qtool {
namespace {

using namespace wire;
namespace fs = std::filesystem;
using Entries = std::vector<std::pair<std::string, std::string>>;

// A folder with a model whose weight float[4] lies elsewhere, and with w.bin: 4 floats after 8
// bytes.
class OnnxExternalData : public ::testing::Test {
 protected:
  OnnxExternalData() { folder.put("w.bin", std::string(8, 'x') + raw<float>({1, 2, 3, 4})); }
  fs::path put(const Entries& entries) {
    return folder.put("m.onnx", model_with_weight(external_tensor("w", {4}, entries)));
  }
  void expect_refused_as(const Entries& entries, std::string_view text) {
    const fs::path path = put(entries);
    expect_refused(error_of([&] { load_model(path); }), "QT-E311", text);
  }
  Tensor weight(const Entries& entries) {
    return load_model(put(entries)).graph.initializers.begin()->second.data;
  }
  TempFolder folder;
};

TEST_F(OnnxExternalData, IsReadFromTheModelsFolder) {
  fs::create_directory(folder / "sub");
  fs::copy_file(folder / "w.bin", folder / "sub/w.bin");
  for (const std::string location : {"w.bin", "./w.bin", "sub/w.bin", "sub//w.bin"})
    EXPECT_EQ(weight({{"location", location}, {"offset", "8"}, {"length", "16"}}).data<float>()[3],
              4);
  EXPECT_EQ(weight({{"location", "w.bin"}, {"offset", "8"}}).data<float>()[0], 1);
  EXPECT_EQ(
      weight({{"location", "w.bin"}, {"offset", "8"}, {"checksum", "0"}, {"prepacked_0", "a"}})
          .data<float>()[0],
      1);
}

TEST_F(OnnxExternalData, MayBeginAnywhere) {
  folder.put("odd.bin", "abc" + raw<float>({1, 2, 3, 4}));
  EXPECT_EQ(weight({{"location", "odd.bin"}, {"offset", "3"}}).data<float>()[3], 4);
}

TEST_F(OnnxExternalData, MustLieInsideItsFile) {
  expect_refused_as({{"location", "w.bin"}, {"offset", "9"}, {"length", "16"}}, "past the end");
  expect_refused_as({{"location", "w.bin"}, {"offset", "18446744073709551608"}, {"length", "16"}},
                    "past the end");
  expect_refused_as({{"location", "w.bin"}, {"offset", "8"}, {"length", "15"}}, "length is 15");
  expect_refused_as({{"location", "w.bin"}, {"offset", "8"}, {"length", "17"}}, "length is 17");
}

TEST_F(OnnxExternalData, MustBeDescribedByNumbers) {
  for (const std::string offset : {"-4", "ten", "", "1e3", " 8", "8x", "99999999999999999999999"})
    expect_refused_as({{"location", "w.bin"}, {"offset", offset}}, "not a whole number");
  expect_refused_as({{"location", "w.bin"}, {"offset", "8"}, {"offset", "0"}}, "twice");
  expect_refused_as({{"offset", "8"}}, "no location");
}

TEST_F(OnnxExternalData, MustStayInTheFolder) {
  const std::string above = "../" + folder.path().filename().string() + "/w.bin";
  fs::create_directory(folder / "sub");
  expect_refused_as({{"location", above}, {"offset", "8"}}, "leaves the model's folder");
  expect_refused_as({{"location", "sub/../w.bin"}, {"offset", "8"}}, "leaves the model's folder");
  expect_refused_as({{"location", (folder / "w.bin").string()}, {"offset", "8"}}, "absolute path");
  expect_refused_as({{"location", std::string("w.bin\0x", 7)}}, "NUL");
  expect_refused_as({{"location", ""}}, "no name");
  expect_refused_as({{"location", "./"}}, "no name");
}

TEST_F(OnnxExternalData, MustBeAPlainFileWithOneName) {
  fs::create_symlink("w.bin", folder / "link.bin");
  fs::create_directory(folder / "sub");
  fs::create_directory_symlink("sub", folder / "sublink");
  fs::copy_file(folder / "w.bin", folder / "sub/w.bin");
  ASSERT_EQ(mkfifo((folder / "fifo.bin").c_str(), 0600), 0);
  expect_refused_as({{"location", "link.bin"}, {"offset", "8"}}, "symbolic link");
  expect_refused_as({{"location", "sublink/w.bin"}, {"offset", "8"}}, "symbolic link");
  expect_refused_as({{"location", "fifo.bin"}}, "a pipe");
  expect_refused_as({{"location", "sub"}}, "a folder");
  expect_refused_as({{"location", "none.bin"}}, "cannot be opened");
  expect_refused_as({{"location", "w.bin/x"}}, "cannot be opened");
  fs::create_hard_link(folder / "w.bin", folder / "second.bin");
  expect_refused_as({{"location", "w.bin"}, {"offset", "8"}}, "second name");
}

TEST_F(OnnxExternalData, IsNotAlsoInTheFile) {
  const Message weight = external_tensor("w", {1}, {{"location", "w.bin"}}).text(9, "abcd");
  const fs::path path = folder.put("m.onnx", model_with_weight(weight));
  expect_refused(error_of([&] { load_model(path); }), "QT-E310", "also in the file");
}

TEST_F(OnnxExternalData, HoldsNoStrings) {
  const Message weight = Message()
                             .number(1, 1)
                             .number(2, 8)
                             .text(8, "w")
                             .text(13, entry("location", "w.bin"))
                             .number(14, 1);
  const fs::path path = folder.put("m.onnx", model_with_weight(weight));
  expect_refused(error_of([&] { load_model(path); }), "QT-E311", "strings");
}

TEST_F(OnnxExternalData, NeedsAFolder) {
  expect_refused(
      error_of_model(model_with_weight(external_tensor("w", {4}, {{"location", "w.bin"}}))),
      "QT-E311", "no folder");
}

TEST_F(OnnxExternalData, IsPartOfTheFingerprint) {
  const fs::path path = put({{"location", "w.bin"}, {"offset", "8"}});
  const std::string before = load_model(path).fingerprint;
  EXPECT_EQ(load_model(path).fingerprint, before);
  folder.put("w.bin", std::string(8, 'x') + raw<float>({1, 2, 3, 5}));
  EXPECT_NE(load_model(path).fingerprint, before);
}

}  // namespace
}  // namespace qtool
