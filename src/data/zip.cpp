#include "data/zip.hpp"

#include <zlib.h>

#include <algorithm>
#include <cstring>

namespace qtool::data {
namespace {

// Record layouts: PKWARE APPNOTE 6.3, sections 4.3.7 to 4.3.16.
constexpr uint32_t kLocalSignature = 0x04034b50, kEntrySignature = 0x02014b50,
                   kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50, kLocator64Signature = 0x07064b50;
constexpr size_t kLocalBytes = 30, kEntryBytes = 46, kEndBytes = 22, kEnd64Bytes = 56,
                 kLocatorBytes = 20;
constexpr uint32_t kIn64 = 0xffffffff;
constexpr uint64_t kMaxMembers = 1 << 16;
// Deflate cannot pack better; a directory that claims more lies.
constexpr uint64_t kMaxDeflateRatio = 1032;

// A raw inflate stream over a member.
class Inflater {
 public:
  explicit Inflater(std::string_view packed) : packed_(packed) {
    ready_ = inflateInit2(&stream_, -MAX_WBITS) == Z_OK;
  }
  ~Inflater() {
    if (ready_) inflateEnd(&stream_);
  }
  Inflater(const Inflater&) = delete;

  // Up to `count` more bytes; fewer at the end of the stream or where it is broken.
  size_t read(char* to, size_t count) {
    size_t have = 0;
    while (ready_ && !done_ && have < count) {
      if (stream_.avail_in == 0) feed();
      size_t room = std::min<size_t>(count - have, 1 << 30);
      stream_.next_out = reinterpret_cast<Bytef*>(to + have);
      stream_.avail_out = static_cast<uInt>(room);
      int result = inflate(&stream_, Z_NO_FLUSH);
      have += room - stream_.avail_out;
      done_ = result != Z_OK;
    }
    return have;
  }

 private:
  void feed() {
    size_t part = std::min<size_t>(packed_.size(), 1 << 30);
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed_.data()));
    stream_.avail_in = static_cast<uInt>(part);
    packed_.remove_prefix(part);
  }

  std::string_view packed_;
  z_stream stream_{};
  bool ready_ = false, done_ = false;
};

}  // namespace

void ZipArchive::bad(std::string_view what) const {
  throw_data("QT-E425", cat("'", printable(origin_), "' is not a readable .npz archive: ", what));
}

ZipArchive::ZipArchive(const std::filesystem::path& path)
    : origin_(path.string()), file_(MappedFile::open(path)), bytes_(file_->bytes()) {
  if (bytes_.size() < kEndBytes) bad("the file is too short");
  // The end record is followed by a comment of at most 64 kB.
  size_t end = bytes_.size() - kEndBytes, lowest = end > 0xffff ? end - 0xffff : 0;
  while (u32_le(bytes_, end) != kEndSignature) {
    if (end == lowest) bad("it has no directory (cut off, or not a zip file)");
    --end;
  }
  uint64_t count = u16_le(bytes_, end + 10), offset = u32_le(bytes_, end + 16);
  bool in_64 = count == 0xffff || offset == kIn64;
  if (in_64 && end >= kLocatorBytes && u32_le(bytes_, end - kLocatorBytes) == kLocator64Signature) {
    uint64_t record = u64_le(bytes_, end - kLocatorBytes + 8);
    if (bytes_.size() < kEnd64Bytes || record > bytes_.size() - kEnd64Bytes)
      bad("its directory lies outside of the file");
    if (u32_le(bytes_, record) != kEnd64Signature) bad("its directory is damaged");
    count = u64_le(bytes_, record + 32);
    offset = u64_le(bytes_, record + 48);
  }
  if (count > kMaxMembers) bad(cat(count, " members"));
  read_directory(offset, count);
}

void ZipArchive::read_directory(uint64_t offset, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    if (bytes_.size() < kEntryBytes || offset > bytes_.size() - kEntryBytes)
      bad("its directory lies outside of the file");
    std::string_view entry = bytes_.substr(offset);
    size_t name = u16_le(entry, 28), extra = u16_le(entry, 30), comment = u16_le(entry, 32);
    if (u32_le(entry, 0) != kEntrySignature || entry.size() < kEntryBytes + name + extra + comment)
      bad("its directory is damaged");
    if (u16_le(entry, 8) & 1) bad("it is encrypted");
    Member member{std::string(entry.substr(kEntryBytes, name)),
                  u16_le(entry, 10),
                  u32_le(entry, 16),
                  u32_le(entry, 20),
                  u32_le(entry, 24),
                  u32_le(entry, 42)};
    // Sizes beyond 4 GB are in the zip64 block, only those and in this order.
    std::string_view fields = entry.substr(kEntryBytes + name, extra);
    while (fields.size() >= 4) {
      size_t length = std::min<size_t>(u16_le(fields, 2), fields.size() - 4), at = 4;
      for (uint64_t* value : {&member.bytes, &member.packed_bytes, &member.header_offset}) {
        if (u16_le(fields, 0) != 1 || *value != kIn64 || at + 8 > 4 + length) continue;
        *value = u64_le(fields, at);
        at += 8;
      }
      fields.remove_prefix(4 + length);
    }
    offset += kEntryBytes + name + extra + comment;
    members_.push_back(std::move(member));
  }
}

std::string_view ZipArchive::packed(const Member& member) const {
  std::string shown_name = printable(member.name);
  if (member.method != 0 && member.method != 8)
    bad(cat("member '", shown_name, "' is packed with method ", member.method));
  if (bytes_.size() < kLocalBytes || member.header_offset > bytes_.size() - kLocalBytes ||
      u32_le(bytes_, member.header_offset) != kLocalSignature) {
    bad(cat("member '", shown_name, "' is not where the directory says"));
  }
  uint64_t start = member.header_offset + kLocalBytes + u16_le(bytes_, member.header_offset + 26) +
                   u16_le(bytes_, member.header_offset + 28);
  if (start > bytes_.size() || member.packed_bytes > bytes_.size() - start)
    bad(cat("member '", shown_name, "' is cut off"));
  bool possible = member.method == 0 ? member.bytes == member.packed_bytes
                                     : member.bytes / kMaxDeflateRatio <= member.packed_bytes;
  if (!possible) bad(cat("member '", shown_name, "' cannot unpack to ", member.bytes, " bytes"));
  return bytes_.substr(start, member.packed_bytes);
}

std::string ZipArchive::head(const Member& member, size_t limit) const {
  std::string_view raw = packed(member);
  limit = std::min<size_t>(limit, member.bytes);
  if (member.method == 0) return std::string(raw.substr(0, limit));
  std::string text(limit, '\0');
  text.resize(Inflater(raw).read(text.data(), limit));
  return text;
}

void ZipArchive::unpack(const Member& member, size_t skip, char* to) const {
  std::string_view raw = packed(member);
  std::string skipped(skip, '\0');
  size_t rest = member.bytes - skip;
  bool whole = true;
  if (member.method == 0) {
    std::memcpy(skipped.data(), raw.data(), skip);
    std::memcpy(to, raw.data() + skip, rest);
  } else {
    Inflater stream(raw);
    char beyond = 0;
    whole = stream.read(skipped.data(), skip) == skip && stream.read(to, rest) == rest &&
            stream.read(&beyond, 1) == 0;
  }
  uLong sum = crc32_z(0, reinterpret_cast<const Bytef*>(skipped.data()), skip);
  sum = crc32_z(sum, reinterpret_cast<const Bytef*>(to), rest);
  if (!whole || sum != member.crc) bad(cat("member '", printable(member.name), "' is damaged"));
}

}  // namespace qtool::data
