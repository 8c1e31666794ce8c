// Arrays of an .npz archive, unpacked when asked for.
#pragma once

#include <map>

#include "data/npy.hpp"
#include "data/zip.hpp"

namespace qtool::data {

class NpzFile {
 public:
  // Reads all headers. Error{kData} for pickled objects, sizes that do not match, too much in all.
  explicit NpzFile(const std::filesystem::path& path);
  NpzFile(const NpzFile&) = delete;
  // Names (without .npy) of the numeric arrays; text and dates are left out.
  std::vector<std::string> names() const;
  bool contains(const std::string& name) const { return arrays_.contains(name); }
  Tensor read(const std::string& name) const;

 private:
  struct Entry {
    const ZipArchive::Member* member;
    NpyHeader header;
  };
  ZipArchive archive_;
  std::map<std::string, Entry> arrays_;
};

}  // namespace qtool::data
