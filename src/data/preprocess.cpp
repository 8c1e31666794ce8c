#include "data/preprocess.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "data/picture.hpp"

namespace qtool::data {
namespace {

constexpr int64_t kMaxSide = 1 << 16;

void check_side(const std::optional<int64_t>& side, const char* name) {
  if (side && (*side < 1 || *side > kMaxSide))
    throw_usage("QT-E150", cat(name, " is ", *side, ", allowed are 1 to ", kMaxSide));
}

void check_word(const std::string& what, const std::string& word,
                const std::vector<std::string>& known) {
  if (std::ranges::find(known, word) == known.end()) throw_unknown_word(what, word, known);
}

// Python's round: half to even.
int64_t round_even(double value) { return static_cast<int64_t>(std::nearbyint(value)); }

Size resized_size(Size in, const Preprocess& p) {
  if (p.resize_width) return {*p.resize_height_exact, *p.resize_width};
  if (p.resize_height) {
    double width =
        static_cast<double>(*p.resize_height * in.width) / static_cast<double>(in.height);
    return {*p.resize_height, std::max<int64_t>(1, round_even(width))};
  }
  int64_t shorter = std::min(in.height, in.width);
  if (!p.resize_short_side || *p.resize_short_side == shorter) return in;
  double factor = static_cast<double>(*p.resize_short_side) / static_cast<double>(shorter);
  auto scaled = [&](int64_t side) {
    return std::max(*p.resize_short_side, round_even(static_cast<double>(side) * factor));
  };
  return {scaled(in.height), scaled(in.width)};
}

// Rounds towards minus infinity, as in Python: a picture smaller than the crop is framed in black.
int64_t half_down(int64_t value) { return value >> 1; }

Image center_crop(const Image& in, int64_t side) {
  Image out{side, side, in.channels,
            std::vector<uint8_t>(static_cast<size_t>(side * side * in.channels))};
  int64_t top = half_down(in.height - side), left = half_down(in.width - side);
  int64_t first = std::max<int64_t>(0, -left), last = std::min(side, in.width - left);
  for (int64_t y = 0; y < side; ++y) {
    if (y + top < 0 || y + top >= in.height || first >= last) continue;
    const uint8_t* from = in.pixels.data() + ((y + top) * in.width + first + left) * in.channels;
    std::copy_n(from, (last - first) * in.channels,
                out.pixels.data() + (y * side + first) * in.channels);
  }
  return out;
}

// Every byte's value after (x·scale − mean) / std, each step rounded to float32 as NumPy does.
std::array<float, 256> normalised(const Preprocess& p, size_t channel) {
  auto of = [&](const std::vector<double>& values) {
    return static_cast<float>(values[values.size() == 1 ? 0 : channel]);
  };
  float scale = static_cast<float>(p.scale), mean = of(p.mean), deviation = of(p.std);
  std::array<float, 256> table;
  for (size_t i = 0; i < table.size(); ++i) {
    float x = static_cast<float>(i) * scale;
    x = x - mean;
    table[i] = x / deviation;
  }
  return table;
}

void check_channels(const std::vector<double>& values, int64_t channels, const char* name) {
  if (values.size() != 1 && static_cast<int64_t>(values.size()) != channels) {
    throw_usage("QT-E151", cat(name, " has ", values.size(), " values, the picture has ", channels,
                               " channels"));
  }
}

}  // namespace

void throw_unknown_word(const std::string& what, const std::string& word,
                        const std::vector<std::string>& known) {
  Error error(ErrorKind::kUsage, "QT-E152", cat("unknown ", what, " '", printable(word), "'"));
  std::string near = nearest(word, known);
  if (near.empty()) {
    for (const std::string& name : known) near += cat(near.empty() ? "" : ", ", name);
    throw std::move(error).hint(cat("known are ", near));
  }
  throw std::move(error).hint(cat("did you mean '", near, "'?"));
}

void check_preprocess(const Preprocess& p) {
  check_word("layout", p.layout, {"NCHW", "NHWC"});
  check_word("channel_order", p.channel_order, {"RGB", "BGR", "GRAY"});
  check_word("interpolation", p.interpolation, {"bicubic", "bilinear", "nearest"});
  check_side(p.resize_width, "resize width");
  check_side(p.resize_height_exact, "resize height");
  check_side(p.resize_short_side, "resize_short_side");
  check_side(p.resize_height, "resize_height");
  check_side(p.center_crop, "center_crop");
  check_side(p.pad_width_to, "pad_width_to");
  if (p.resize_width.has_value() != p.resize_height_exact.has_value())
    throw_usage("QT-E150", "resize needs width and height");
  if (p.resize_width.has_value() + p.resize_short_side.has_value() + p.resize_height.has_value() >
      1) {
    throw_usage("QT-E150", "only one of resize, resize_short_side and resize_height can be given");
  }
  if (!std::isfinite(p.scale) || p.scale == 0.0) throw_usage("QT-E150", cat("scale is ", p.scale));
  if (p.mean.empty() || p.std.empty()) throw_usage("QT-E150", "mean and std need a value");
  for (double value : p.mean)
    if (!std::isfinite(value)) throw_usage("QT-E150", cat("mean is ", value));
  for (double value : p.std) {
    if (!std::isfinite(value) || static_cast<float>(value) == 0.0f)
      throw_usage("QT-E150", cat("std is ", value));
  }
}

void tell_unscaled(const Preprocess& p) {
  if (p.scale != 1 || std::ranges::any_of(p.mean, [](double m) { return m != 0; }) ||
      std::ranges::any_of(p.std, [](double s) { return s != 1; }))
    return;
  log(LogLevel::kInfo,
      "pictures pass as 0 to 255: no sidecar beside the model, --preprocess, --scale, --mean or "
      "--std says otherwise");
}

bool wants_grey(const Preprocess& p) { return p.grayscale || p.channel_order == "GRAY"; }

Size preprocessed_size(Size picture, const Preprocess& p) {
  Size size = resized_size(picture, p);
  if (p.center_crop) size = {*p.center_crop, *p.center_crop};
  if (p.pad_width_to) size.width = std::max(size.width, *p.pad_width_to);
  return size;
}

Shape tensor_shape(Size size, int64_t channels, const Preprocess& p) {
  if (p.layout == "NHWC") return {1, size.height, size.width, channels};
  return {1, channels, size.height, size.width};
}

}  // namespace qtool::data

namespace qtool {

Tensor preprocess_image(const Image& picture, const Preprocess& p) {
  data::check_preprocess(p);
  data::check_picture_size(picture.height, picture.width, "the picture");
  data::Size padded = data::preprocessed_size({picture.height, picture.width}, p);
  data::check_picture_size(padded.height, padded.width, "the preprocessed picture");
  data::Size size = data::resized_size({picture.height, picture.width}, p);
  Image image = resize(picture, size.width, size.height, p.interpolation);
  if (p.center_crop) image = data::center_crop(image, *p.center_crop);
  bool grey = data::wants_grey(p);
  if (grey && image.channels == 3) image = to_grey(image);

  int64_t channels = grey ? 1 : 3;
  data::check_channels(p.mean, channels, "mean");
  data::check_channels(p.std, channels, "std");
  Tensor tensor(DType::kFloat, data::tensor_shape(padded, channels, p));
  float* out = tensor.mutable_data<float>().data();
  bool planes = p.layout == "NCHW";
  int64_t pixel_step = planes ? 1 : channels,
          channel_step = planes ? padded.height * padded.width : 1;
  for (int64_t c = 0; c < channels; ++c) {
    auto table = data::normalised(p, static_cast<size_t>(c));
    int64_t stored = p.channel_order == "BGR" ? channels - 1 - c : c;
    const uint8_t* from = image.pixels.data() + (image.channels == 1 ? 0 : stored);
    for (int64_t y = 0; y < image.height; ++y) {
      float* to = out + c * channel_step + y * padded.width * pixel_step;
      for (int64_t x = 0; x < image.width; ++x, from += image.channels, to += pixel_step)
        *to = table[*from];
    }
  }
  return tensor;
}

}  // namespace qtool
