// PNG and BMP through stb_image, which checks neither sums nor the ends of files: done here.
#include <zlib.h>

#include <cstdlib>
#include <new>
#include <utility>

#include "data/files.hpp"
#include "data/picture.hpp"

namespace qtool::data {
namespace {

// What one allocation of stb may take: a small file must not unpack to gigabytes.
thread_local size_t allocation_limit = 0;

void* limited_malloc(size_t bytes) {
  return bytes > allocation_limit ? nullptr : std::malloc(bytes);
}
void* limited_realloc(void* old, size_t bytes) {
  return bytes > allocation_limit ? nullptr : std::realloc(old, bytes);
}

}  // namespace
}  // namespace qtool::data

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#define STBI_MALLOC(bytes) qtool::data::limited_malloc(bytes)
#define STBI_REALLOC(old, bytes) qtool::data::limited_realloc(old, bytes)
#define STBI_FREE(old) std::free(old)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

namespace qtool::data {
namespace {

constexpr std::string_view kPngSignature = "\x89PNG\r\n\x1a\n";
constexpr uint8_t kGreyType = 0;

template <typename Pixel>
using Loaded = std::unique_ptr<Pixel, decltype(&std::free)>;

// The picture with its own channels (1 to 4), alpha dropped to 1 or 3.
template <typename Pixel, typename Convert>
Image without_alpha(const Pixel* pixels, int width, int height, int channels, Convert convert) {
  Image image{height, width, channels >= 3 ? 3 : 1, {}};
  auto count = static_cast<size_t>(width) * static_cast<size_t>(height);
  image.pixels.resize(count * static_cast<size_t>(image.channels));
  uint8_t* to = image.pixels.data();
  for (size_t i = 0; i < count; ++i, pixels += channels) {
    for (int64_t c = 0; c < image.channels; ++c) *to++ = convert(pixels[c]);
  }
  return image;
}

void limit_allocations(std::string_view bytes, int64_t pixels) {
  allocation_limit =
      std::max(size_t{2} * bytes.size(), static_cast<size_t>(pixels) * 16) + (1 << 16);
}

Image load_8_bits(std::string_view bytes, const std::string& origin) {
  int width = 0, height = 0, channels = 0;
  Loaded<stbi_uc> pixels(
      stbi_load_from_memory(reinterpret_cast<const stbi_uc*>(bytes.data()),
                            static_cast<int>(bytes.size()), &width, &height, &channels, 0),
      &std::free);
  if (!pixels) bad_picture(origin, stbi_failure_reason());
  return without_alpha(pixels.get(), width, height, channels, [](stbi_uc value) { return value; });
}

// 16-bit grey: values above 255 are white, as in Pillow's convert from mode I;16.
Image load_grey_16_bits(std::string_view bytes, const std::string& origin) {
  int width = 0, height = 0, channels = 0;
  Loaded<stbi_us> pixels(
      stbi_load_16_from_memory(reinterpret_cast<const stbi_uc*>(bytes.data()),
                               static_cast<int>(bytes.size()), &width, &height, &channels, 1),
      &std::free);
  if (!pixels) bad_picture(origin, stbi_failure_reason());
  return without_alpha(pixels.get(), width, height, 1, [](stbi_us value) {
    return static_cast<uint8_t>(std::min<stbi_us>(value, 255));
  });
}

// --- PNG ----------------------------------------------------------------------------------------

struct PngChunk {
  std::string_view type, content;
  size_t end = 0;  // offset of the next chunk
};

PngChunk png_chunk(std::string_view bytes, size_t at, const std::string& origin) {
  if (bytes.size() < at + 12 || u32_be(bytes, at) > bytes.size() - at - 12)
    bad_picture(origin, "the file is cut off");
  size_t length = u32_be(bytes, at);
  std::string_view summed = bytes.substr(at + 4, length + 4);
  uLong sum = crc32_z(0, reinterpret_cast<const Bytef*>(summed.data()), summed.size());
  if (sum != u32_be(bytes, at + 8 + length))
    bad_picture(origin, cat("checksum of chunk ", printable(summed.substr(0, 4)), " is wrong"));
  return {summed.substr(0, 4), summed.substr(4), at + 12 + length};
}

bool is_png(std::string_view bytes) { return bytes.starts_with(kPngSignature); }

// Reads chunks up to the first pixels; EXIF behind them is rare and not looked for.
PictureInfo png_info(std::string_view bytes, const std::string& origin) {
  PngChunk chunk = png_chunk(bytes, kPngSignature.size(), origin);
  if (chunk.type != "IHDR" || chunk.content.size() != 13)
    bad_picture(origin, "it does not begin with IHDR");
  PictureInfo info{u32_be(chunk.content, 4), u32_be(chunk.content, 0),
                   (chunk.content[9] & 2) ? 3 : 1, 1};
  check_picture_size(info.height, info.width, origin);
  while (true) {
    if (bytes.size() < chunk.end + 8) bad_picture(origin, "the file is cut off");
    if (bytes.substr(chunk.end + 4, 4) == "IDAT") return info;
    chunk = png_chunk(bytes, chunk.end, origin);
    if (chunk.type == "eXIf") info.orientation = exif_orientation(chunk.content);
  }
}

Image decode_png(std::string_view bytes, const std::string& origin) {
  PictureInfo info = png_info(bytes, origin);
  PngChunk chunk = png_chunk(bytes, kPngSignature.size(), origin);
  bool grey_16 = chunk.content[8] == 16 && chunk.content[9] == kGreyType;
  while (chunk.type != "IEND") chunk = png_chunk(bytes, chunk.end, origin);
  limit_allocations(bytes, info.height * info.width);
  return grey_16 ? load_grey_16_bits(bytes, origin) : load_8_bits(bytes, origin);
}

// --- BMP ----------------------------------------------------------------------------------------

bool is_bmp(std::string_view bytes) { return bytes.starts_with("BM"); }

PictureInfo bmp_info(std::string_view bytes, const std::string& origin) {
  if (bytes.size() < 34) bad_picture(origin, "the file is cut off");
  bool old_header = u32_le(bytes, 14) == 12;
  int64_t width = old_header ? u16_le(bytes, 18) : static_cast<int32_t>(u32_le(bytes, 18));
  int64_t height = old_header
                       ? u16_le(bytes, 20)
                       : std::abs(static_cast<int64_t>(static_cast<int32_t>(u32_le(bytes, 22))));
  check_picture_size(height, width, origin);
  return {height, width, 3, 1};
}

Image decode_bmp(std::string_view bytes, const std::string& origin) {
  PictureInfo info = bmp_info(bytes, origin);
  bool old_header = u32_le(bytes, 14) == 12;
  int64_t bits = u16_le(bytes, old_header ? 24 : 28), first = u32_le(bytes, 10);
  int64_t row_bytes = (info.width * bits + 31) / 32 * 4;
  int64_t pixel_bytes = (info.height - 1) * row_bytes + (info.width * bits + 7) / 8;
  bool packed = !old_header && (u32_le(bytes, 30) == 1 || u32_le(bytes, 30) == 2);
  if (packed) bad_picture(origin, "run-length coded BMP is not read");
  if (first + pixel_bytes > static_cast<int64_t>(bytes.size()))
    bad_picture(origin, "the file is cut off");
  limit_allocations(bytes, info.height * info.width);
  return load_8_bits(bytes, origin);
}

}  // namespace

const Decoder kPng = {"PNG", is_png, png_info, decode_png};
const Decoder kBmp = {"BMP", is_bmp, bmp_info, decode_bmp};

}  // namespace qtool::data
