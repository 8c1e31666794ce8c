#include "onnx/files.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "qtool/base.hpp"

namespace qtool::onnx_detail {
namespace {

std::string show(const std::filesystem::path& path) {
  return cat("'", printable(path.string()), "'");
}

[[noreturn]] void fail_external(const std::string& location, std::string_view why) {
  throw Error(ErrorKind::kModel, "QT-E311",
              cat("external data file '", printable(location), "' ", why))
      .hint(
          "external data must be a plain file in the model's own folder, named by a relative path");
}

std::string_view kind_of(const struct stat& info) {
  if (S_ISDIR(info.st_mode)) return "a folder";
  if (S_ISFIFO(info.st_mode)) return "a pipe";
  if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)) return "a device";
  return "a socket or something else that is no file";
}

// The parts of a relative location; refuses everything that could leave the folder.
std::vector<std::string> safe_parts(const std::string& location) {
  if (location.empty()) fail_external(location, "has no name");
  if (location.find('\0') != std::string::npos) fail_external(location, "has a NUL in its name");
  if (location.front() == '/') fail_external(location, "is given by an absolute path");
  std::vector<std::string> parts;
  for (std::string& part : split(location, '/')) {
    if (part == "..") fail_external(location, "leaves the model's folder");
    if (!part.empty() && part != ".") parts.push_back(std::move(part));
  }
  if (parts.empty()) fail_external(location, "has no name");
  return parts;
}

// One step from a folder to an entry in it. O_NOFOLLOW refuses links, O_NONBLOCK keeps a pipe from
// blocking until it has been recognised as one.
Descriptor open_step(int folder, const std::string& part, bool last, const std::string& location) {
  const int flags = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | (last ? O_NONBLOCK : O_DIRECTORY);
  Descriptor step(openat(folder, part.c_str(), flags));
  if (step.valid()) return step;
  const int reason = errno;
  struct stat info;
  if (fstatat(folder, part.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode))
    fail_external(location, "is reached through a symbolic link");
  fail_external(location, cat("cannot be opened: ", std::strerror(reason)));
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Descriptor::~Descriptor() {
  if (fd_ >= 0) close(fd_);
}

MappedFile::MappedFile(const Descriptor& file, int64_t size) : size_(static_cast<size_t>(size)) {
  if (size_ == 0) return;
  address_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address_ == MAP_FAILED) {
    address_ = nullptr;
    throw Error(ErrorKind::kInternal, "QT-E901",
                cat("a file of ", human_bytes(static_cast<double>(size)),
                    " cannot be mapped: ", std::strerror(errno)));
  }
}

MappedFile::~MappedFile() {
  if (address_) munmap(address_, size_);
}

std::shared_ptr<const MappedFile> map_model_file(const std::filesystem::path& path) {
  const auto fail = [&](std::string_view why) {
    throw Error(ErrorKind::kModel, "QT-E301", cat("model file ", show(path), " ", why))
        .hint("give the path of an .onnx file");
  };
  Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) fail(cat("cannot be opened: ", std::strerror(errno)));
  struct stat info;
  if (fstat(file.get(), &info) != 0) fail(cat("cannot be examined: ", std::strerror(errno)));
  if (!S_ISREG(info.st_mode)) fail(cat("is ", kind_of(info)));
  if (info.st_size == 0) fail("is empty");
  return std::make_shared<const MappedFile>(file, info.st_size);
}

std::shared_ptr<const MappedFile> map_beneath(const std::filesystem::path& folder,
                                              const std::string& location) {
  const std::vector<std::string> parts = safe_parts(location);
  const std::filesystem::path start = folder.empty() ? "." : folder;
  Descriptor at(open(start.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!at.valid()) fail_external(location, "is in a folder that cannot be opened");
  for (size_t i = 0; i < parts.size(); ++i)
    at = open_step(at.get(), parts[i], i + 1 == parts.size(), location);
  struct stat info;
  if (fstat(at.get(), &info) != 0) fail_external(location, "cannot be examined");
  if (!S_ISREG(info.st_mode)) fail_external(location, cat("is ", kind_of(info)));
  if (info.st_nlink != 1) fail_external(location, "has a second name (hard link)");
  return std::make_shared<const MappedFile>(at, info.st_size);
}

}  // namespace qtool::onnx_detail
