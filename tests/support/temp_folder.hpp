// A folder of a test's own, which goes away with it.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string_view>

#include "qtool/base.hpp"

namespace qtool {

class TempFolder {
 public:
  TempFolder() : path_(std::filesystem::temp_directory_path() / unique_name()) {
    std::filesystem::create_directories(path_);
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
  // Writes a file (and the folders above it); its path.
  std::filesystem::path put(std::string_view name, std::string_view bytes) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return path_ / name;
  }
  size_t files() const {
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  static std::string unique_name() {
    static int count = 0;
    return cat("qtool_test_", ::getpid(), "_", count++);
  }
  std::filesystem::path path_;
};

}  // namespace qtool
