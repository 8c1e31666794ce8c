#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "qtool/base.hpp"

namespace qtool {
namespace {

namespace fs = std::filesystem;

class Files : public testing::Test {
 protected:
  Files() : folder_(fs::temp_directory_path() / cat("qtool_files_", ::getpid())) {
    fs::create_directories(folder_);
  }
  ~Files() override { fs::remove_all(folder_); }
  fs::path at(const std::string& name) const { return folder_ / name; }
  size_t entries() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), {}));
  }

  static Error error_of(const std::function<void()>& fn) {
    try {
      fn();
    } catch (const Error& error) {
      return error;
    }
    return {ErrorKind::kInternal, "", "nothing was thrown"};
  }

  fs::path folder_;
};

TEST_F(Files, ReadBackWhatWasWritten) {
  std::string bytes(100000, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7);
  write_file_atomic(at("a.bin"), bytes);
  EXPECT_EQ(read_file(at("a.bin"), ErrorKind::kData), bytes);
  write_file_atomic(at("a.bin"), "");
  EXPECT_EQ(read_file(at("a.bin"), ErrorKind::kData), "");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(Files, MissingFileNamesPathAndKind) {
  const Error error = error_of([&] { read_file(at("gone\x1b.onnx"), ErrorKind::kModel); });
  EXPECT_EQ(error.kind(), ErrorKind::kModel);
  EXPECT_EQ(error.code(), "QT-E301");
  EXPECT_NE(error.message().find("gone\\x1b.onnx"), std::string::npos);
  EXPECT_EQ(error_of([&] { read_file(at("gone"), ErrorKind::kData); }).code(), "QT-E401");
}

TEST_F(Files, FoldersAndPipesAreRefused) {
  EXPECT_EQ(error_of([&] { read_file(folder_, ErrorKind::kData); }).kind(), ErrorKind::kData);
  ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
  EXPECT_EQ(error_of([&] { read_file(at("pipe"), ErrorKind::kData); }).kind(), ErrorKind::kData);
  EXPECT_EQ(error_of([&] { write_file_atomic(folder_, "x"); }).code(), "QT-E902");
}

TEST_F(Files, FilesOfUnannouncedSizeAreReadWhole) {
  EXPECT_FALSE(read_file("/proc/self/status", ErrorKind::kData).empty());
}

TEST_F(Files, FailedWriteLeavesNothingBehind) {
  EXPECT_EQ(error_of([&] { write_file_atomic(at("no/such/folder/x"), "x"); }).code(), "QT-E902");
  fs::create_directory(at("taken"));
  EXPECT_EQ(error_of([&] { write_file_atomic(at("taken"), "x"); }).code(), "QT-E902");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(Files, WritesThroughLinks) {
  write_file_atomic(at("real"), "old");
  fs::create_symlink("real", at("link"));
  write_file_atomic(at("link"), "new");
  EXPECT_TRUE(fs::is_symlink(at("link")));
  EXPECT_EQ(read_file(at("real"), ErrorKind::kData), "new");
}

TEST_F(Files, DevicesStayDevices) {
  write_file_atomic("/dev/null", "x");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST_F(Files, PlainNamesGoToTheCurrentFolder) {
  const fs::path before = fs::current_path();
  fs::current_path(folder_);
  write_file_atomic("plain.txt", "x");
  fs::current_path(before);
  EXPECT_TRUE(fs::exists(at("plain.txt")));
}

TEST_F(Files, RespectTheUmask) {
  const mode_t before = ::umask(022);
  write_file_atomic(at("m"), "x");
  ::umask(before);
  EXPECT_EQ(fs::status(at("m")).permissions(), static_cast<fs::perms>(0644));
}

}  // namespace
}  // namespace qtool
