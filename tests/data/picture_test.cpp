#include <zlib.h>

#include "pictures.hpp"
#include "support.hpp"

namespace qtool {
namespace {

// The pixels as three channels.
std::string as_rgb(const Image& image) {
  std::string rgb;
  for (size_t i = 0; i < image.pixels.size(); ++i)
    rgb.append(image.channels == 1 ? 3 : 1, static_cast<char>(image.pixels[i]));
  return rgb;
}

const fixtures::Picture& fixture(std::string_view name) {
  for (const auto& picture : fixtures::kPictures)
    if (picture.name == name) return picture;
  throw std::runtime_error("no such fixture");
}

TEST(Data, ReadsPicturesAsPillowDoes) {
  for (const auto& picture : fixtures::kPictures) {
    if (std::string_view(picture.name).ends_with("Exif")) continue;
    Image image = parse_image(unhex(picture.file), picture.name);
    EXPECT_EQ(image.height, picture.height) << picture.name;
    EXPECT_EQ(image.width, picture.width) << picture.name;
    EXPECT_EQ(as_rgb(image), unhex(picture.rgb)) << picture.name;
  }
}

TEST(Data, TurnsPicturesUpright) {
  TempFolder folder;
  for (const char* name : {"JpegExif", "PngExif"}) {
    const auto& picture = fixture(name);
    std::string rgb = unhex(picture.rgb);
    Image image = read_image(folder.put(name, unhex(picture.file)));
    ASSERT_EQ(image.height, picture.width);
    ASSERT_EQ(image.width, picture.height);
    // Orientation 6: the stored picture is turned by 90 degrees clockwise.
    for (int64_t y = 0; y < image.height; ++y)
      for (int64_t x = 0; x < image.width; ++x) {
        size_t stored = static_cast<size_t>((picture.height - 1 - x) * picture.width + y) * 3;
        size_t shown = static_cast<size_t>(y * image.width + x) * 3;
        ASSERT_EQ(image.pixels[shown], static_cast<uint8_t>(rgb[stored])) << y << " " << x;
      }
  }
}

TEST(Data, EveryOrientationMovesTheFirstPixelToItsCorner) {
  std::string jpeg = unhex(fixture("JpegExif").file);
  size_t tag = jpeg.find(std::string("\x01\x12\x00\x03", 4));
  size_t little = jpeg.find(std::string("\x12\x01\x03\x00", 4));
  size_t value = tag != std::string::npos ? tag + 9 : little + 8;
  std::string upright = unhex(fixture("JpegExif").rgb).substr(0, 3);
  // Corner of the stored first pixel for orientation 1 to 8: bottom, right.
  const bool corners[8][2] = {{0, 0}, {0, 1}, {1, 1}, {1, 0}, {0, 0}, {0, 1}, {1, 1}, {1, 0}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    jpeg[value] = static_cast<char>(orientation);
    Image image = parse_image(jpeg, "turned");
    int64_t y = corners[orientation - 1][0] ? image.height - 1 : 0,
            x = corners[orientation - 1][1] ? image.width - 1 : 0;
    const uint8_t* pixel = image.pixels.data() + (y * image.width + x) * 3;
    EXPECT_EQ(std::string(pixel, pixel + 3), upright) << orientation;
    EXPECT_EQ(image.width, orientation >= 5 ? 17 : 19);
  }
}

TEST(Data, RefusesEveryTruncationOfAPicture) {
  for (const auto& picture : fixtures::kPictures) {
    std::string bytes = unhex(picture.file);
    size_t last = bytes.size() - 3;  // the end mark of a JPEG may be missing
    for (size_t length = 0; length < last; length += length < 64 ? 1 : 7) {
      std::string cut = bytes.substr(0, length);
      EXPECT_EQ(error_code(ErrorKind::kData, [&] { parse_image(cut, "x"); }), "QT-E410")
          << picture.name << " " << length;
    }
  }
}

TEST(Data, DamagedPicturesNeverCrash) {
  Rng rng(1);
  for (const auto& picture : fixtures::kPictures) {
    for (int round = 0; round < 60; ++round) {
      std::string bytes = unhex(picture.file);
      for (int k = 0; k < 3; ++k) bytes[rng.below(bytes.size())] = static_cast<char>(rng.next());
      std::string code = error_code(ErrorKind::kData, [&] { parse_image(bytes, "x"); });
      EXPECT_TRUE(code.empty() || code == "QT-E410" || code == "QT-E411") << code;
    }
  }
}

std::string big_endian(uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

std::string png_chunk(const std::string& type, const std::string& content) {
  std::string summed = type + content;
  uLong sum = crc32_z(0, reinterpret_cast<const Bytef*>(summed.data()), summed.size());
  return big_endian(static_cast<uint32_t>(content.size())) + summed +
         big_endian(static_cast<uint32_t>(sum));
}

TEST(Data, APngUnpacksToNoMoreThanItsSize) {
  std::string zeros(4 << 20, '\0'), packed(1 << 20, '\0');
  uLongf length = packed.size();
  compress2(reinterpret_cast<Bytef*>(packed.data()), &length,
            reinterpret_cast<const Bytef*>(zeros.data()), zeros.size(), 1);
  packed.resize(length);
  std::string png =
      std::string("\x89PNG\r\n\x1a\n") +
      png_chunk("IHDR", big_endian(4) + big_endian(4) + std::string("\x08\0\0\0\0", 5)) +
      png_chunk("IDAT", packed) + png_chunk("IEND", "");
  EXPECT_EQ(error_code(ErrorKind::kData, [&] { parse_image(png, "bomb.png"); }), "QT-E410");
}

TEST(Data, RefusesDecompressionBombsByTheirHeader) {
  TempFolder folder;
  auto ppm = folder.put("bomb.ppm", "P6\n100000 100000\n255\n");
  EXPECT_EQ(error_code(ErrorKind::kData, [&] { read_image(ppm); }), "QT-E411");
  std::string bytes = unhex(fixture("BmpRgb").file);
  bytes[19] = bytes[20] = bytes[23] = '\x7f';
  auto bmp = folder.put("bomb.bmp", bytes);
  EXPECT_EQ(error_code(ErrorKind::kData, [&] { read_image(bmp); }), "QT-E411");
}

TEST(Data, ScalesPnmToEightBitsAsPillowDoes) {
  auto pixels = [](const std::string& bytes) { return parse_image(bytes, "x").pixels; };
  EXPECT_EQ(pixels("P6 # comment\n2 1\n100\n" + unhex("000132336364")),
            (std::vector<uint8_t>{0, 3, 128, 130, 252, 255}));
  EXPECT_EQ(pixels("P6\n2 1\n65535\n" + unhex("000000ff01007fff8000ffff")),
            (std::vector<uint8_t>{0, 1, 1, 127, 128, 255}));
  EXPECT_EQ(pixels("P5\n3 1\n65535\n" + unhex("000000ff0100")),
            (std::vector<uint8_t>{0, 255, 255}));
}

TEST(Data, NamesThePictureThatIsNone) {
  TempFolder folder;
  auto path = folder.put("notes.png", "hello");
  EXPECT_NE(error_message([&] { read_image(path); }).find("notes.png"), std::string::npos);
  EXPECT_EQ(error_code(ErrorKind::kData, [&] { read_image(folder.path() / "absent.png"); }),
            "QT-E401");
  EXPECT_EQ(error_code(ErrorKind::kData, [&] { read_image(folder.path()); }), "QT-E401");
}

}  // namespace
}  // namespace qtool
