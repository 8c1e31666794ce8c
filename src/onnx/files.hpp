// Files as this layer needs them: mapped for reading, opened without following links, and written
// in streams that become visible only when whole.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace qtool::onnx_detail {

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_;
};

// A whole regular file in memory, read-only, as long as the object lives.
class MappedFile {
 public:
  MappedFile(const Descriptor& file, int64_t size);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  std::string_view bytes() const { return {static_cast<const char*>(address_), size_}; }

 private:
  void* address_ = nullptr;
  size_t size_ = 0;
};

// Maps the file a user named (links are followed: it is their own path). Throws Error{kModel,
// QT-E301} when it is missing, unreadable, empty, or no regular file.
std::shared_ptr<const MappedFile> map_model_file(const std::filesystem::path& path);

// Maps a file that a model names, beneath `folder`: no absolute path, no "..", no link on the way,
// a regular file with one name only. Throws Error{kModel, QT-E311}.
std::shared_ptr<const MappedFile> map_beneath(const std::filesystem::path& folder,
                                              const std::string& location);

// A new file under a temporary name beside `target`, for data too large to hold as one string.
// commit() gives it its name; unless keep() follows, the destructor restores what was there before.
// Throws Error{kInternal, QT-E902} with the reason.
class PendingFile {
 public:
  explicit PendingFile(std::filesystem::path target);
  ~PendingFile();
  PendingFile(const PendingFile&) = delete;

  void write(std::string_view bytes);
  int64_t size() const { return size_; }
  void commit();  // sync and rename
  void keep();    // the point of no return

 private:
  [[noreturn]] void fail(const char* what) const;
  std::filesystem::path target_, temporary_;
  Descriptor file_;
  int64_t size_ = 0;
  bool committed_ = false, exchanged_ = false, kept_ = false;
};

}  // namespace qtool::onnx_detail
