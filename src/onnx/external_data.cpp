#include "onnx/external_data.hpp"

#include <algorithm>
#include <charconv>

namespace qtool::onnx_detail {
namespace {

struct Region {
  std::string location;
  uint64_t offset = 0;
  std::optional<uint64_t> length;
};

uint64_t parse_number(const std::string& key, const std::string& text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    throw_model("QT-E311", cat("external data: ", key, " ", in_quotes(text),
                               " is not a whole number of bytes"));
  return value;
}

// Keys besides these three (checksum, prepacked weights) are of no use here.
Region parse_region(const onnx::TensorProto& proto) {
  Region region;
  std::map<std::string, std::string> entries;
  for (const auto& entry : proto.external_data())
    if (!entries.emplace(entry.key(), entry.value()).second)
      throw_model("QT-E311", cat("external data: key ", in_quotes(entry.key()), " is given twice"));
  if (!entries.count("location")) throw_model("QT-E311", "external data: no location is given");
  region.location = entries["location"];
  if (entries.count("offset")) region.offset = parse_number("offset", entries["offset"]);
  if (entries.count("length")) region.length = parse_number("length", entries["length"]);
  return region;
}

// Hash of hashes of fixed pieces: quick on many cores, the same on any number of them.
std::string content_hash(const std::shared_ptr<const MappedFile>& file, std::string_view bytes) {
  constexpr size_t kPiece = size_t{4} << 20;
  std::vector<std::string> hashes((bytes.size() + kPiece - 1) / kPiece);
  parallel_for(default_threads(), static_cast<int64_t>(hashes.size()), [&](int64_t i, int) {
    const std::string_view piece = bytes.substr(static_cast<size_t>(i) * kPiece, kPiece);
    hashes[static_cast<size_t>(i)] = sha256_hex(piece);
    Tensor::mapped(DType::kUint8, {static_cast<int64_t>(piece.size())}, piece.data(), file)
        .drop_pages();
  });
  std::string all;
  for (const std::string& hash : hashes) all += hash;
  return sha256_hex(all);
}

size_t alignment_of(DType type) {
  if (type == DType::kComplex64) return alignof(float);
  if (type == DType::kComplex128) return alignof(double);
  return static_cast<size_t>(std::max(1, dtype_bits(type) / 8));
}

}  // namespace

Tensor ExternalFolder::read(const onnx::TensorProto& proto, DType type, const Shape& shape) {
  if (type == DType::kString) throw_model("QT-E311", "strings cannot be external data");
  const Region region = parse_region(proto);
  auto& file = files_[region.location];
  if (!file) file = map_beneath(folder_, region.location);
  const std::string_view bytes = file->bytes();
  const uint64_t want = static_cast<uint64_t>(byte_size(type, element_count(shape)));
  const uint64_t length = region.length.value_or(want);
  if (length != want)
    throw_model("QT-E311", cat("external data: length is ", length, ", but ", dtype_name(type),
                               shape_text(shape), " takes ", want, " bytes"));
  if (length > bytes.size() || region.offset > bytes.size() - length)
    throw_model("QT-E311", cat("external data: ", length, " bytes at offset ", region.offset,
                               " lie past the end of '", printable(region.location), "' (",
                               bytes.size(), " bytes)"));
  const std::string_view data = bytes.substr(region.offset, length);
  record_ += cat(region.location, '\n', bytes.size(), ' ', region.offset, ' ', length, ' ',
                 content_hash(file, data), '\n');
  // Elements must lie on their own alignment in memory; files need not obey that.
  if (reinterpret_cast<uintptr_t>(data.data()) % alignment_of(type) == 0)
    return Tensor::mapped(type, shape, data.data(), file);
  Tensor copy = Tensor::uninitialized(type, shape);
  std::copy(data.begin(), data.end(), static_cast<char*>(copy.mutable_raw()));
  return copy;
}

int64_t ExternalFolder::file_bytes() const {
  int64_t bytes = 0;
  for (const auto& [location, file] : files_) bytes += static_cast<int64_t>(file->bytes().size());
  return bytes;
}

TensorSink external_sink(PendingFile& data, std::string location) {
  return [&data, location = std::move(location)](const Tensor& tensor, onnx::TensorProto& proto) {
    if (tensor.bytes() < kMinExternalBytes) return false;
    // Whole pages, so that readers can map the tensor alone.
    constexpr int64_t kPage = 4096;
    const int64_t padding = (kPage - data.size() % kPage) % kPage;
    data.write(std::string(static_cast<size_t>(padding), '\0'));
    const int64_t offset = data.size();
    data.write({static_cast<const char*>(tensor.raw()), static_cast<size_t>(tensor.bytes())});
    proto.set_data_location(onnx::TensorProto::EXTERNAL);
    const auto add = [&](const char* key, std::string value) {
      auto* entry = proto.add_external_data();
      entry->set_key(key);
      entry->set_value(std::move(value));
    };
    add("location", location);
    add("offset", std::to_string(offset));
    add("length", std::to_string(tensor.bytes()));
    return true;
  };
}

TensorSink TensorStubs::sink() {
  return [this](const Tensor& tensor, onnx::TensorProto& proto) {
    if (tensor.bytes() < min_bytes_) return false;
    proto.set_data_location(onnx::TensorProto::EXTERNAL);
    auto* entry = proto.add_external_data();
    entry->set_key("location");
    entry->set_value(std::to_string(tensors_.size()));
    tensors_.push_back(tensor);
    return true;
  };
}

TensorSource TensorStubs::source() const {
  return [this](const onnx::TensorProto& proto, DType type, const Shape& shape) {
    const Region region = parse_region(proto);
    const uint64_t number = parse_number("location", region.location);
    if (number >= tensors_.size())
      throw_internal("a weight was lost on its way through the ONNX library");
    const Tensor& tensor = tensors_[number];
    if (tensor.dtype() != type || tensor.shape() != shape)
      throw_internal("a weight changed on its way through the ONNX library");
    return tensor;
  };
}

}  // namespace qtool::onnx_detail
