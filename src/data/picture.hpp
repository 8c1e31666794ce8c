// Decoders of single pictures. All take the whole file in memory and throw Error{kData} that names
// `origin`; none allocates before the header has passed check_picture_size.
#pragma once

#include <string>
#include <string_view>

#include "qtool/data.hpp"

namespace qtool::data {

// Largest picture that is decoded: 64 Mpixel, 0.8 GB while a progressive JPEG is unpacked.
inline constexpr int64_t kMaxPixels = int64_t{1} << 26;
// Largest file that is read as a picture.
inline constexpr int64_t kMaxPictureFileBytes = int64_t{512} << 20;

// What the header says. Height and width are those of the stored picture, before `orientation`.
struct PictureInfo {
  int64_t height = 0, width = 0, channels = 0;
  int orientation = 1;  // EXIF: 1 upright … 8; 5 to 8 swap height and width
};

struct Decoder {
  const char* name;
  bool (*accepts)(std::string_view bytes);
  // May be given the first bytes of a file only; then throws Error{kData} when they do not suffice.
  PictureInfo (*info)(std::string_view bytes, const std::string& origin);
  Image (*decode)(std::string_view bytes, const std::string& origin);
};
extern const Decoder kJpeg, kPng, kBmp, kPnm;

// Height and width after EXIF orientation. Reads little more than the header of the file.
PictureInfo picture_info(const std::filesystem::path& path);
bool has_picture_extension(const std::filesystem::path& path);

[[noreturn]] void bad_picture(const std::string& origin, std::string_view what);
void check_picture_size(int64_t height, int64_t width, const std::string& origin);

// EXIF orientation from a TIFF block ("II*\0…"), 1 when there is none or it makes no sense.
int exif_orientation(std::string_view tiff);
Image apply_orientation(Image image, int orientation);

}  // namespace qtool::data
