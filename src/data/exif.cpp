#include "data/files.hpp"
#include "data/picture.hpp"

namespace qtool::data {
namespace {

constexpr uint16_t kOrientationTag = 0x0112, kShortType = 3;

// A number of the TIFF block in its own byte order, 0 past the end.
struct Tiff {
  std::string_view bytes;
  bool big_endian;

  uint32_t u16(size_t at) const {
    if (bytes.size() < 2 || at > bytes.size() - 2) return 0;
    uint16_t value = u16_le(bytes, at);
    return big_endian ? __builtin_bswap16(value) : value;
  }
  uint32_t u32(size_t at) const {
    if (bytes.size() < 4 || at > bytes.size() - 4) return 0;
    return big_endian ? u32_be(bytes, at) : u32_le(bytes, at);
  }
};

}  // namespace

int exif_orientation(std::string_view bytes) {
  if (bytes.size() < 8 || (bytes.substr(0, 2) != "II" && bytes.substr(0, 2) != "MM")) return 1;
  Tiff tiff{bytes, bytes[0] == 'M'};
  size_t directory = tiff.u32(4);
  uint32_t entries = tiff.u16(directory);
  for (uint32_t i = 0; i < entries; ++i) {
    size_t entry = directory + 2 + size_t{12} * i;
    if (entry >= bytes.size()) break;
    if (tiff.u16(entry) != kOrientationTag || tiff.u16(entry + 2) != kShortType) continue;
    uint32_t value = tiff.u16(entry + 8);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Image apply_orientation(Image image, int orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  bool swaps = orientation >= 5;
  // Where the upright pixel (y, x) is stored: mirrored rows, mirrored columns.
  bool flip_rows = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  bool flip_columns = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  Image out{
      swaps ? image.width : image.height, swaps ? image.height : image.width, image.channels, {}};
  out.pixels.resize(image.pixels.size());
  uint8_t* to = out.pixels.data();
  for (int64_t y = 0; y < out.height; ++y) {
    for (int64_t x = 0; x < out.width; ++x) {
      int64_t row = swaps ? x : y, column = swaps ? y : x;
      if (flip_rows) row = image.height - 1 - row;
      if (flip_columns) column = image.width - 1 - column;
      const uint8_t* from = image.pixels.data() + (row * image.width + column) * image.channels;
      for (int64_t c = 0; c < image.channels; ++c) *to++ = from[c];
    }
  }
  return out;
}

}  // namespace qtool::data
