#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "onnx/files.hpp"
#include "qtool/base.hpp"

namespace qtool::onnx_detail {
namespace {

std::filesystem::path temporary_beside(const std::filesystem::path& target) {
  static std::atomic<int> counter{0};
  return target.parent_path() / cat(".qtool-", getpid(), "-", counter++, ".tmp");
}

void sync_folder(const std::filesystem::path& target) {
  const std::filesystem::path folder = target.has_parent_path() ? target.parent_path() : ".";
  Descriptor handle(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (handle.valid()) fsync(handle.get());
}

}  // namespace

PendingFile::PendingFile(std::filesystem::path target) : target_(std::move(target)) {
  struct stat info;
  // A folder, device or pipe of that name is not replaced; a link is, as rename does.
  if (lstat(target_.c_str(), &info) == 0 && !S_ISREG(info.st_mode) && !S_ISLNK(info.st_mode)) {
    errno = S_ISDIR(info.st_mode) ? EISDIR : EEXIST;
    fail("it cannot be replaced");
  }
  temporary_ = temporary_beside(target_);
  file_ = Descriptor(
      open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (!file_.valid()) {
    temporary_.clear();
    fail("no file can be made in that folder");
  }
}

PendingFile::~PendingFile() {
  if (committed_ && !kept_) {
    if (exchanged_) {
      renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, target_.c_str(), RENAME_EXCHANGE);
    } else {
      unlink(target_.c_str());
    }
  }
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void PendingFile::fail(const char* what) const {
  const int reason = errno;
  throw Error(
      ErrorKind::kInternal, "QT-E902",
      cat("cannot write '", printable(target_.string()), "': ", what, ": ", std::strerror(reason)))
      .hint("check the folder, its permissions and the free space");
}

void PendingFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    check_interrupted();
    const size_t piece = std::min<size_t>(bytes.size(), size_t{64} << 20);
    const ssize_t done = ::write(file_.get(), bytes.data(), piece);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) fail("writing failed");
    bytes.remove_prefix(static_cast<size_t>(done));
    size_ += done;
  }
}

void PendingFile::commit() {
  if (fsync(file_.get()) != 0) fail("writing failed");
  file_ = Descriptor();
  // Exchanging keeps the old file until the new one is certain; not every file system can do it.
  exchanged_ =
      renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, target_.c_str(), RENAME_EXCHANGE) == 0;
  if (!exchanged_) {
    if (rename(temporary_.c_str(), target_.c_str()) != 0)
      fail("the finished file cannot be renamed");
    temporary_.clear();
  }
  committed_ = true;
}

void PendingFile::keep() {
  kept_ = true;
  sync_folder(target_);
}

}  // namespace qtool::onnx_detail
