#include "data/files.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace qtool::data {
namespace {

// An open descriptor of a regular file and its size.
struct Descriptor {
  explicit Descriptor(const std::filesystem::path& path) {
    // Without O_NONBLOCK a fifo would wait for its writer for ever.
    fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) fail("QT-E401", path, cat("cannot be opened: ", std::strerror(errno)));
    struct stat status {};
    if (::fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
      ::close(fd);
      fail("QT-E401", path, "is not a regular file");
    }
    size = status.st_size;
  }
  ~Descriptor() { ::close(fd); }
  Descriptor(const Descriptor&) = delete;

  int fd;
  int64_t size;
};

}  // namespace

std::string shown(const std::filesystem::path& path) { return printable(path.string()); }

void fail(std::string code, const std::filesystem::path& path, std::string_view what) {
  throw_data(std::move(code), cat("'", shown(path), "': ", what));
}

std::string read_prefix(const std::filesystem::path& path, int64_t limit) {
  Descriptor file(path);
  std::string bytes(static_cast<size_t>(std::min(limit, file.size)), '\0');
  size_t have = 0;
  while (have < bytes.size()) {
    ssize_t got = ::read(file.fd, bytes.data() + have, bytes.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail("QT-E401", path, cat("cannot be read: ", std::strerror(errno)));
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

std::string read_all(const std::filesystem::path& path, int64_t limit) {
  std::string bytes = read_prefix(path, limit + 1);
  if (static_cast<int64_t>(bytes.size()) > limit) {
    fail("QT-E402", path, cat("is larger than ", human_bytes(static_cast<double>(limit))));
  }
  return bytes;
}

std::shared_ptr<const MappedFile> MappedFile::open(const std::filesystem::path& path) {
  Descriptor file(path);
  if (file.size == 0) return std::make_shared<MappedFile>(nullptr, 0);
  auto size = static_cast<size_t>(file.size);
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (address == MAP_FAILED) fail("QT-E401", path, cat("cannot be mapped: ", std::strerror(errno)));
  return std::make_shared<MappedFile>(address, size);
}

MappedFile::~MappedFile() {
  if (address_) ::munmap(address_, size_);
}

namespace {

uint64_t little_endian(std::string_view bytes, size_t offset, int width) {
  uint64_t value = 0;
  for (int i = width - 1; i >= 0; --i)
    value = value << 8 | static_cast<uint8_t>(bytes[offset + static_cast<size_t>(i)]);
  return value;
}

}  // namespace

uint16_t u16_le(std::string_view bytes, size_t offset) {
  return static_cast<uint16_t>(little_endian(bytes, offset, 2));
}
uint32_t u32_le(std::string_view bytes, size_t offset) {
  return static_cast<uint32_t>(little_endian(bytes, offset, 4));
}
uint64_t u64_le(std::string_view bytes, size_t offset) { return little_endian(bytes, offset, 8); }
uint32_t u32_be(std::string_view bytes, size_t offset) {
  return __builtin_bswap32(u32_le(bytes, offset));
}

}  // namespace qtool::data
