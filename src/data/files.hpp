// Files of samples: regular files only, read whole, in part, or mapped.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "qtool/base.hpp"

namespace qtool::data {

// The path as it may be printed.
std::string shown(const std::filesystem::path& path);
// Error{kData}: "'path': what".
[[noreturn]] void fail(std::string code, const std::filesystem::path& path, std::string_view what);

// The first `limit` bytes of a regular file (all of it when it is shorter).
std::string read_prefix(const std::filesystem::path& path, int64_t limit);
// All of a regular file; refuses what is larger than `limit` bytes.
std::string read_all(const std::filesystem::path& path, int64_t limit);

// A regular file mapped read-only: memory is taken only while pages are in use.
class MappedFile {
 public:
  static std::shared_ptr<const MappedFile> open(const std::filesystem::path& path);
  MappedFile(void* address, size_t size) : address_(address), size_(size) {}
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  std::string_view bytes() const { return {static_cast<const char*>(address_), size_}; }

 private:
  void* address_;
  size_t size_;
};

// Little- and big-endian numbers at `offset`; the caller has checked that they are inside.
uint16_t u16_le(std::string_view bytes, size_t offset);
uint32_t u32_le(std::string_view bytes, size_t offset);
uint64_t u64_le(std::string_view bytes, size_t offset);
uint32_t u32_be(std::string_view bytes, size_t offset);

}  // namespace qtool::data
