#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "qtool/base.hpp"

namespace qtool {
namespace {

namespace fs = std::filesystem;

// An open file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  int get() const { return fd_; }
  // Reports what the file system held back until now (quotas, network file systems).
  bool close() { return ::close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_;
};

std::string quoted(const fs::path& path) { return cat("'", printable(path.string()), "'"); }

// Built before anything else touches errno.
std::string reason() { return std::strerror(errno); }

std::string read_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kModel:
      return "QT-E301";
    case ErrorKind::kData:
      return "QT-E401";
    case ErrorKind::kUsage:
      return "QT-E101";
    default:
      return "QT-E901";
  }
}

[[noreturn]] void throw_write(const fs::path& path, const std::string& why) {
  throw Error(ErrorKind::kInternal, "QT-E902", cat("cannot write ", quoted(path), ": ", why))
      .hint("check the folder, its permissions and the free space");
}

// False with errno set when it failed.
bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

// Makes the rename durable; file systems that cannot sync a folder are no reason to fail.
void sync_folder(const fs::path& folder) {
  const Descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.get() >= 0) ::fsync(fd.get());
}

// A file in `folder` that did not exist before.
std::pair<fs::path, int> create_temporary(const fs::path& target) {
  for (uint64_t attempt = 0;; ++attempt) {
    const uint64_t seed = static_cast<uint64_t>(::getpid()) * 0x10001 + attempt;
    const auto salt = Rng(seed ^ static_cast<uint64_t>(now_seconds() * 1e9)).next();
    fs::path path = target.parent_path() / cat(".qtool-", hex64(salt), ".tmp");
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd >= 0) return {std::move(path), fd};
    if (errno != EEXIST || attempt > 100) throw_write(target, reason());
  }
}

void write_in_place(const fs::path& path, std::string_view bytes) {
  Descriptor fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (fd.get() < 0 || !write_all(fd.get(), bytes) || !fd.close()) throw_write(path, reason());
}

}  // namespace

std::string read_file(const fs::path& path, ErrorKind on_error) {
  const auto fail = [&](const std::string& why) {
    throw Error(on_error, read_code(on_error), cat("cannot read ", quoted(path), ": ", why));
  };
  // Without O_NONBLOCK a named pipe without writer would hang here.
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (fd.get() < 0) fail(reason());
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) fail(reason());
  if (S_ISDIR(info.st_mode)) fail("it is a folder");
  if (!S_ISREG(info.st_mode)) fail("not a regular file");
  try {
    std::string bytes(static_cast<size_t>(info.st_size), '\0');
    size_t have = 0;
    while (true) {
      // One byte more than announced tells growing files (and those of /proc) from whole ones.
      if (have == bytes.size()) bytes.resize(have + (have == 0 ? 4096 : have / 8 + 1));
      const ssize_t n = ::read(fd.get(), bytes.data() + have, bytes.size() - have);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fail(reason());
      if (n == 0) break;
      have += static_cast<size_t>(n);
    }
    bytes.resize(have);
    return bytes;
  } catch (const std::bad_alloc&) {
    fail(cat("its ", human_bytes(static_cast<double>(info.st_size)), " do not fit into memory"));
  } catch (const std::length_error&) {
    fail("it is too large");
  }
  return {};
}

void write_file_atomic(const fs::path& path, std::string_view bytes) {
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  // A device or a pipe ('/dev/stdout') must stay what it is.
  if (fs::is_other(status)) return write_in_place(path, bytes);
  if (fs::is_directory(status)) throw_write(path, "it is a folder");
  // Through a link the file behind it is replaced, as a plain write would do.
  const fs::path target =
      fs::is_symlink(path, ignored) ? fs::weakly_canonical(path, ignored) : path;
  if (target.filename().empty()) throw_write(path, "not a file name");

  const auto [temporary, fd_number] = create_temporary(target);
  Descriptor fd(fd_number);
  const bool done = write_all(fd.get(), bytes) && ::fsync(fd.get()) == 0 && fd.close() &&
                    ::rename(temporary.c_str(), target.c_str()) == 0;
  if (!done) {
    const std::string why = reason();
    ::unlink(temporary.c_str());
    throw_write(path, why);
  }
  sync_folder(target.has_parent_path() ? target.parent_path() : fs::path("."));
}

}  // namespace qtool
