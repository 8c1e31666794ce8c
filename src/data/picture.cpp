#include "data/picture.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "data/files.hpp"

namespace qtool::data {
namespace {

constexpr std::array<const Decoder*, 4> kDecoders = {&kJpeg, &kPng, &kBmp, &kPnm};
constexpr std::array<std::string_view, 8> kExtensions = {".png", ".jpg", ".jpeg", ".jpe",
                                                         ".bmp", ".ppm", ".pgm",  ".pnm"};
// Enough for the headers of nearly every picture, EXIF block included.
constexpr int64_t kHeaderBytes = 64 << 10;

const Decoder& decoder_of(std::string_view bytes, const std::string& origin) {
  for (const Decoder* decoder : kDecoders) {
    if (decoder->accepts(bytes)) return *decoder;
  }
  bad_picture(origin,
              bytes.empty() ? "the file is empty" : "neither PNG, JPEG, BMP nor PPM/PGM (binary)");
}

PictureInfo upright(PictureInfo info) {
  if (info.orientation >= 5) std::swap(info.height, info.width);
  return info;
}

}  // namespace

void bad_picture(const std::string& origin, std::string_view what) {
  throw Error(ErrorKind::kData, "QT-E410",
              cat("'", printable(origin), "' is not a readable picture: ", what))
      .hint("--skip-bad leaves unreadable pictures out");
}

void check_picture_size(int64_t height, int64_t width, const std::string& origin) {
  if (height <= 0 || width <= 0) bad_picture(origin, cat("its size is ", width, "x", height));
  if (height > kMaxPixels / width) {
    throw_data("QT-E411", cat("'", printable(origin), "': ", width, "x", height,
                              " pixels are more than the limit of ", kMaxPixels >> 20, " Mpixel"));
  }
}

bool has_picture_extension(const std::filesystem::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return std::tolower(c); });
  return std::ranges::find(kExtensions, extension) != kExtensions.end();
}

PictureInfo picture_info(const std::filesystem::path& path) {
  std::string origin = path.string();
  std::string bytes = read_prefix(path, kHeaderBytes);
  const Decoder& decoder = decoder_of(bytes, origin);
  try {
    return upright(decoder.info(bytes, origin));
  } catch (const Error&) {
    // Large metadata may come before the size: only the whole file tells.
    if (static_cast<int64_t>(bytes.size()) < kHeaderBytes) throw;
  }
  bytes = read_all(path, kMaxPictureFileBytes);
  return upright(decoder.info(bytes, origin));
}

}  // namespace qtool::data

namespace qtool {

Image read_image(const std::filesystem::path& path) {
  return parse_image(data::read_all(path, data::kMaxPictureFileBytes), path.string());
}

Image to_grey(const Image& colour) {
  Image out{colour.height, colour.width, 1, std::vector<uint8_t>(colour.pixels.size() / 3)};
  for (size_t i = 0; i < out.pixels.size(); ++i) {
    const uint8_t* rgb = colour.pixels.data() + 3 * i;
    out.pixels[i] =
        static_cast<uint8_t>((rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16);
  }
  return out;
}

Image parse_image(std::string_view bytes, const std::string& origin, bool upright) {
  const data::Decoder& decoder = data::decoder_of(bytes, origin);
  if (!upright) return decoder.decode(bytes, origin);
  int orientation = decoder.info(bytes, origin).orientation;
  return data::apply_orientation(decoder.decode(bytes, origin), orientation);
}

}  // namespace qtool
