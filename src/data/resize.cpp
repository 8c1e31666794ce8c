// Resampling with Pillow's definition: the filter's support grows with the reduction, weights are
// 22-bit fixed point, columns are done before rows, and each pass rounds to 8 bits.
#include <algorithm>
#include <cmath>

#include "data/picture.hpp"
#include "data/preprocess.hpp"

namespace qtool {
namespace {

constexpr int kPrecisionBits = 22;

struct Filter {
  const char* name;
  double support;
  double (*weight)(double x);
};

double triangle(double x) {
  x = std::abs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

// Keys' cubic with a = -0.5.
double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

constexpr Filter kFilters[] = {{"bicubic", 2.0, cubic}, {"bilinear", 1.0, triangle}};

// For each output position: the first input position and the weights from there on.
struct Taps {
  struct Window {
    int64_t first, count;
    size_t weights;  // index of its first weight
  };
  std::vector<Window> windows;
  std::vector<int32_t> weights;
};

int32_t to_fixed(double weight) {
  double scaled = weight * (1 << kPrecisionBits);
  return static_cast<int32_t>(weight < 0 ? scaled - 0.5 : scaled + 0.5);
}

Taps make_taps(int64_t in, int64_t out, const Filter& filter) {
  double scale = static_cast<double>(in) / static_cast<double>(out);
  double stretch = std::max(scale, 1.0), support = filter.support * stretch, shrink = 1.0 / stretch;
  Taps taps;
  std::vector<double> weights;
  for (int64_t i = 0; i < out; ++i) {
    double center = (static_cast<double>(i) + 0.5) * scale, sum = 0.0;
    int64_t first = std::max<int64_t>(0, static_cast<int64_t>(center - support + 0.5));
    int64_t count = std::min(in, static_cast<int64_t>(center + support + 0.5)) - first;
    weights.clear();
    for (int64_t k = 0; k < count; ++k) {
      weights.push_back(filter.weight((static_cast<double>(k + first) - center + 0.5) * shrink));
      sum += weights.back();
    }
    taps.windows.push_back({first, count, taps.weights.size()});
    for (double weight : weights)
      taps.weights.push_back(to_fixed(sum != 0.0 ? weight / sum : weight));
  }
  return taps;
}

uint8_t round_to_byte(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kPrecisionBits, 0, 255));
}

Image resize_columns(const Image& in, int64_t width, const Filter& filter) {
  Taps taps = make_taps(in.width, width, filter);
  Image out{in.height, width, in.channels, {}};
  out.pixels.resize(static_cast<size_t>(in.height * width * in.channels));
  uint8_t* to = out.pixels.data();
  for (int64_t y = 0; y < in.height; ++y) {
    const uint8_t* row = in.pixels.data() + y * in.width * in.channels;
    for (const Taps::Window& window : taps.windows) {
      const int32_t* weights = taps.weights.data() + window.weights;
      for (int64_t c = 0; c < in.channels; ++c) {
        const uint8_t* from = row + window.first * in.channels + c;
        int32_t sum = 1 << (kPrecisionBits - 1);
        for (int64_t k = 0; k < window.count; ++k) sum += from[k * in.channels] * weights[k];
        *to++ = round_to_byte(sum);
      }
    }
  }
  return out;
}

Image resize_rows(const Image& in, int64_t height, const Filter& filter) {
  Taps taps = make_taps(in.height, height, filter);
  auto row_size = static_cast<size_t>(in.width * in.channels);
  Image out{height, in.width, in.channels, {}};
  out.pixels.resize(row_size * static_cast<size_t>(height));
  std::vector<int32_t> sums(row_size);
  uint8_t* to = out.pixels.data();
  for (const Taps::Window& window : taps.windows) {
    std::ranges::fill(sums, 1 << (kPrecisionBits - 1));
    for (int64_t k = 0; k < window.count; ++k) {
      const uint8_t* row = in.pixels.data() + static_cast<size_t>(window.first + k) * row_size;
      int32_t weight = taps.weights[window.weights + static_cast<size_t>(k)];
      for (size_t i = 0; i < row_size; ++i) sums[i] += row[i] * weight;
    }
    for (int32_t sum : sums) *to++ = round_to_byte(sum);
  }
  return out;
}

// Positions are accumulated, not multiplied: Pillow's rounding of borderline pixels.
std::vector<int64_t> nearest_positions(int64_t in, int64_t out) {
  double step = static_cast<double>(in) / static_cast<double>(out), at = step * 0.5;
  std::vector<int64_t> positions;
  for (int64_t i = 0; i < out; ++i, at += step)
    positions.push_back(std::min(in - 1, static_cast<int64_t>(at)));
  return positions;
}

Image resize_nearest(const Image& in, int64_t width, int64_t height) {
  Image out{height, width, in.channels, {}};
  out.pixels.reserve(static_cast<size_t>(height * width * in.channels));
  std::vector<int64_t> columns = nearest_positions(in.width, width);
  for (int64_t row : nearest_positions(in.height, height)) {
    for (int64_t column : columns) {
      const uint8_t* from = in.pixels.data() + (row * in.width + column) * in.channels;
      out.pixels.insert(out.pixels.end(), from, from + in.channels);
    }
  }
  return out;
}

}  // namespace

Image resize(const Image& image, int64_t width, int64_t height, const std::string& interpolation) {
  data::check_picture_size(height, width, "the resized picture");
  if (image.width == width && image.height == height) return image;
  if (interpolation == "nearest") return resize_nearest(image, width, height);
  for (const Filter& filter : kFilters) {
    if (interpolation != filter.name) continue;
    if (image.width == width) return resize_rows(image, height, filter);
    Image wide = resize_columns(image, width, filter);
    return image.height == height ? wide : resize_rows(wide, height, filter);
  }
  data::throw_unknown_word("interpolation", interpolation, {"bicubic", "bilinear", "nearest"});
}

}  // namespace qtool
