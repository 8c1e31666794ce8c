// ImageDecoder: an encoded picture to rows of pixels.
#include "ops/dispatch.hpp"
#include "qtool/data.hpp"

namespace qtool {
namespace {

// Grey pixels three times over, as Pillow's convert('RGB').
Image to_colour(const Image& in) {
  Image out{in.height, in.width, 3, {}};
  out.pixels.reserve(in.pixels.size() * 3);
  for (const uint8_t grey : in.pixels) out.pixels.insert(out.pixels.end(), 3, grey);
  return out;
}

// Formats that the specification lists and qtool does not decode.
std::string_view foreign_format(std::string_view bytes) {
  if (bytes.starts_with(std::string_view("II*\0", 4)) ||
      bytes.starts_with(std::string_view("MM\0*", 4)))
    return "TIFF";
  if (bytes.starts_with("RIFF") && bytes.substr(std::min<size_t>(8, bytes.size()), 4) == "WEBP")
    return "WebP";
  if (bytes.starts_with(std::string_view("\0\0\0\x0cjP  ", 8)) ||
      bytes.starts_with("\xff\x4f\xff\x51"))
    return "JPEG 2000";
  return "";
}

std::vector<Tensor> eval_image_decoder(const Call& call) {
  const Tensor& stream = call.in(0);
  require(stream.dtype() == DType::kUint8 && stream.rank() == 1, call, "encoded_stream is ",
          dtype_name(stream.dtype()), " ", shape_text(stream.shape()), ", not uint8 [length]");
  const std::string format = call.text("pixel_format", "RGB");
  require(format == "RGB" || format == "BGR" || format == "Grayscale", call, "pixel_format '",
          printable(format), "' is not known");
  const auto bytes = stream.data<uint8_t>();
  const std::string_view file(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const std::string_view foreign = foreign_format(file);
  refuse(!foreign.empty(), call, foreign, " pictures are not supported");
  Image image = parse_image(file, "encoded_stream", false);
  const bool grey = format == "Grayscale";
  if (grey && image.channels == 3) image = to_grey(image);
  if (!grey && image.channels == 1) image = to_colour(image);
  if (format == "BGR") {
    for (size_t i = 0; i < image.pixels.size(); i += 3)
      std::swap(image.pixels[i], image.pixels[i + 2]);
  }
  Tensor out = Tensor::uninitialized(DType::kUint8, {image.height, image.width, image.channels});
  std::ranges::copy(image.pixels, out.mutable_data<uint8_t>().begin());
  return {out};
}

}  // namespace

// PNG, JPEG, BMP and PNM; others are refused. Pixels stay as they are stored: the specification knows no
// EXIF orientation.
extern const OpDef kImageDecoder{.type = "ImageDecoder",
                                 .since = 20,
                                 .eval = eval_image_decoder,
                                 .quant = {.reason = "decodes a picture"}};

}  // namespace qtool
