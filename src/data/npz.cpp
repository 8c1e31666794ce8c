#include "data/npz.hpp"

#include <zlib.h>

#include <algorithm>
#include <utility>

namespace qtool::data {
namespace {

constexpr std::string_view kSuffix = ".npy";
// All arrays of one archive together, unpacked. Larger data belongs into .npy: it is mapped.
constexpr int64_t kMaxUnpackedBytes = int64_t{2} << 30;

}  // namespace

NpzFile::NpzFile(const std::filesystem::path& path) : archive_(path) {
  int64_t total = 0;
  for (const ZipArchive::Member& member : archive_.members()) {
    std::string name = member.name;
    if (!name.ends_with(kSuffix)) continue;
    name.resize(name.size() - kSuffix.size());
    std::string origin = cat(archive_.origin(), ":", name);
    NpyHeader header = parse_npy_header(archive_.head(member, kMaxNpyHeader), origin);
    if (header.dtype == DType::kUndefined) continue;
    if (header.data_offset + static_cast<uint64_t>(header.data_bytes) != member.bytes) {
      throw_data("QT-E422",
                 cat("'", printable(origin), "': its shape ", shape_text(header.shape), " takes ",
                     header.data_bytes, " bytes, the archive holds ",
                     member.bytes - std::min<uint64_t>(member.bytes, header.data_offset)));
    }
    if (__builtin_add_overflow(total, header.data_bytes, &total) || total > kMaxUnpackedBytes) {
      throw Error(ErrorKind::kData, "QT-E426",
                  cat("'", printable(archive_.origin()), "' unpacks to more than ",
                      human_bytes(static_cast<double>(kMaxUnpackedBytes))))
          .hint("save the arrays as .npy files in a folder; these are mapped, not loaded");
    }
    if (!arrays_.emplace(name, Entry{&member, std::move(header)}).second) {
      throw_data("QT-E425", cat("'", printable(archive_.origin()), "' holds the name '",
                                printable(name), "' twice"));
    }
  }
}

std::vector<std::string> NpzFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : arrays_) names.push_back(name);
  return names;
}

Tensor NpzFile::read(const std::string& name) const {
  const Entry& entry = arrays_.at(name);
  std::string origin = cat(archive_.origin(), ":", name);
  auto count = static_cast<size_t>(entry.header.data_bytes);
  // Owned by the tensor that views it: elements need no second copy.
  std::shared_ptr<char[]> elements(new char[count ? count : 1]);
  archive_.unpack(*entry.member, entry.header.data_offset, elements.get());
  return npy_tensor(entry.header, {elements.get(), count}, elements, origin);
}

namespace {

void put(std::string& out, uint64_t value, int width) {
  for (int i = 0; i < width; ++i) out += static_cast<char>(value >> (8 * i) & 0xff);
}

// The part that a local header and a directory entry share. 1980-01-01: no clock in artifacts.
std::string common_fields(const std::string& name, uint32_t crc, uint64_t bytes) {
  std::string out;
  put(out, 20, 2);     // version needed
  put(out, 0x800, 2);  // names are UTF-8
  put(out, 0, 2);      // stored
  put(out, 0, 2);
  put(out, 0x21, 2);
  put(out, crc, 4);
  put(out, bytes, 4);
  put(out, bytes, 4);
  put(out, name.size(), 2);
  put(out, 0, 2);
  return out;
}

// Types that numpy lacks are written as float32 or int8, which hold them exactly.
Tensor with_numpy_type(const Tensor& array) {
  switch (array.dtype()) {
    case DType::kInt4:
    case DType::kUint4:
    case DType::kInt2:
    case DType::kUint2:
      return unpack_bits(array);
    case DType::kBfloat16:
    case DType::kFloat8E4M3FN:
    case DType::kFloat8E4M3FNUZ:
    case DType::kFloat8E5M2:
    case DType::kFloat8E5M2FNUZ:
    case DType::kFloat8E8M0:
    case DType::kFloat4E2M1:
      return cast(array, DType::kFloat);
    default:
      return array;
  }
}

}  // namespace
}  // namespace qtool::data

namespace qtool {

std::map<std::string, Tensor> read_npz(const std::filesystem::path& path) {
  data::NpzFile file(path);
  std::map<std::string, Tensor> arrays;
  for (const std::string& name : file.names()) arrays.emplace(name, file.read(name));
  return arrays;
}

void write_npz(const std::filesystem::path& path, const std::map<std::string, Tensor>& arrays) {
  if (arrays.size() > 0xffff)
    throw_usage("QT-E155", cat("'", data::shown(path), "' would hold ", arrays.size(),
                               " arrays, more than 65,535"));
  std::string out, directory;
  for (const auto& [key, array] : arrays) {
    Tensor tensor = data::with_numpy_type(array);
    std::string name = key + ".npy";
    std::string content = data::npy_header_text(tensor.dtype(), tensor.shape());
    content.append(static_cast<const char*>(tensor.raw()), static_cast<size_t>(tensor.bytes()));
    if (out.size() + content.size() > 0xf0000000u || name.size() > 0xffff) {
      throw_usage("QT-E155", cat("'", data::shown(path), "' would exceed 4 GB"));
    }
    uint32_t crc = static_cast<uint32_t>(
        crc32_z(0, reinterpret_cast<const Bytef*>(content.data()), content.size()));
    std::string fields = data::common_fields(name, crc, content.size());
    data::put(directory, 0x02014b50, 4);
    data::put(directory, 20, 2);
    directory += fields;
    directory.append(10, '\0');  // no comment, first disk, no attributes
    data::put(directory, out.size(), 4);
    directory += name;
    data::put(out, 0x04034b50, 4);
    out += fields + name + content;
  }
  size_t start = out.size();
  out += directory;
  data::put(out, 0x06054b50, 4);
  data::put(out, 0, 4);
  data::put(out, arrays.size(), 2);
  data::put(out, arrays.size(), 2);
  data::put(out, directory.size(), 4);
  data::put(out, start, 4);
  data::put(out, 0, 2);
  write_file_atomic(path, out);
}

}  // namespace qtool
