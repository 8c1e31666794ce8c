// Binary PGM (P5) and PPM (P6), 8 and 16 bits, any maximum value.
#include <algorithm>
#include <cctype>
#include <cmath>

#include "data/picture.hpp"

namespace qtool::data {
namespace {

struct Header {
  PictureInfo info;
  int64_t maximum = 0;
  size_t end = 0;  // offset of the first pixel
};

bool is_pnm(std::string_view bytes) { return bytes.starts_with("P5") || bytes.starts_with("P6"); }

// The next number of the header; white space and comments come before it.
int64_t next_number(std::string_view bytes, size_t& at, const std::string& origin) {
  while (at < bytes.size() &&
         (std::isspace(static_cast<unsigned char>(bytes[at])) || bytes[at] == '#')) {
    if (bytes[at] == '#')
      at = std::min(bytes.find('\n', at), bytes.size());
    else
      ++at;
  }
  int64_t value = 0;
  size_t digits = 0;
  for (; at < bytes.size() && std::isdigit(static_cast<unsigned char>(bytes[at])); ++at) {
    value = value * 10 + (bytes[at] - '0');
    if (++digits > 10) bad_picture(origin, "a number of its header is too long");
  }
  if (digits == 0) bad_picture(origin, "its header is not complete");
  return value;
}

Header read_header(std::string_view bytes, const std::string& origin) {
  Header header;
  size_t at = 2;
  header.info.width = next_number(bytes, at, origin);
  header.info.height = next_number(bytes, at, origin);
  header.maximum = next_number(bytes, at, origin);
  header.info.channels = bytes[1] == '6' ? 3 : 1;
  header.end = at + 1;
  check_picture_size(header.info.height, header.info.width, origin);
  if (header.maximum < 1 || header.maximum > 65535)
    bad_picture(origin, cat("maximum value ", header.maximum));
  return header;
}

PictureInfo pnm_info(std::string_view bytes, const std::string& origin) {
  return read_header(bytes, origin).info;
}

Image decode_pnm(std::string_view bytes, const std::string& origin) {
  Header header = read_header(bytes, origin);
  Image image{header.info.height, header.info.width, header.info.channels, {}};
  auto count = static_cast<size_t>(image.height * image.width * image.channels);
  bool wide = header.maximum > 255;
  if (bytes.size() < header.end || bytes.size() - header.end < count * (wide ? 2 : 1))
    bad_picture(origin, "the file is cut off");
  image.pixels.resize(count);
  // As Pillow: wide grey becomes 16-bit and is cut at 255, all else is scaled to 8 bits.
  double full = wide && image.channels == 1 ? 65535.0 : 255.0;
  const auto* from = reinterpret_cast<const uint8_t*>(bytes.data()) + header.end;
  for (size_t i = 0; i < count; ++i) {
    int value = wide ? from[2 * i] << 8 | from[2 * i + 1] : from[i];
    double scaled = std::nearbyint(value / static_cast<double>(header.maximum) * full);
    image.pixels[i] = static_cast<uint8_t>(std::min(scaled, 255.0));
  }
  return image;
}

}  // namespace

const Decoder kPnm = {"PPM", is_pnm, pnm_info, decode_pnm};

}  // namespace qtool::data
