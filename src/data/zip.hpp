// Reading of zip archives, as far as .npz needs it: stored and deflated members, zip64. Names of
// members are keys, never paths.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/files.hpp"

namespace qtool::data {

class ZipArchive {
 public:
  struct Member {
    std::string name;
    int method = 0;  // 0 stored, 8 deflated
    uint32_t crc = 0;
    uint64_t packed_bytes = 0, bytes = 0, header_offset = 0;
  };
  // Reads the directory. Error{kData} when it is malformed or a member is encrypted.
  explicit ZipArchive(const std::filesystem::path& path);
  const std::vector<Member>& members() const { return members_; }
  const std::string& origin() const { return origin_; }
  std::shared_ptr<const MappedFile> file() const { return file_; }

  // The bytes of a member as they are in the file.
  std::string_view packed(const Member& member) const;
  // The first `limit` bytes of a member, unpacked.
  std::string head(const Member& member, size_t limit) const;
  // All of a member into `to` (member.bytes long) after skipping `skip`; checks length and sum.
  void unpack(const Member& member, size_t skip, char* to) const;

 private:
  void read_directory(uint64_t offset, uint64_t count);
  [[noreturn]] void bad(std::string_view what) const;

  std::string origin_;
  std::shared_ptr<const MappedFile> file_;
  std::string_view bytes_;
  std::vector<Member> members_;
};

}  // namespace qtool::data
