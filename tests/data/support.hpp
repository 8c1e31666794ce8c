// Bytes, pictures and files that tests of data share.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "qtool/data.hpp"
#include "support/temp_folder.hpp"

namespace qtool {

inline std::string unhex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return bytes;
}

// The picture that make_fixtures.py calls pattern(height, width, channels).
inline Image pattern(int64_t height, int64_t width, int64_t channels) {
  Image image{height, width, channels, {}};
  for (int64_t y = 0; y < height; ++y)
    for (int64_t x = 0; x < width; ++x)
      for (int64_t c = 0; c < channels; ++c)
        image.pixels.push_back(static_cast<uint8_t>(y * 37 + x * 91 + c * 53 + x * y * 7));
  return image;
}

// A binary PPM or PGM of the picture.
inline std::string pnm(const Image& image) {
  std::string bytes =
      cat(image.channels == 3 ? "P6\n" : "P5\n", image.width, " ", image.height, "\n255\n");
  return bytes.append(image.pixels.begin(), image.pixels.end());
}

// An .npy file, version 1, from the dictionary of its header and its elements.
inline std::string npy(const std::string& header, std::string_view elements) {
  std::string bytes = "\x93NUMPY";
  bytes += {'\x01', '\x00', static_cast<char>(header.size() & 0xff),
            static_cast<char>(header.size() >> 8)};
  return bytes + header + std::string(elements);
}

template <typename T>
std::string npy_of(const char* descr, const std::string& shape, const std::vector<T>& values) {
  return npy(cat("{'descr': '", descr, "', 'fortran_order': False, 'shape': ", shape, ", }"),
             {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)});
}

// The code of the Error{kind} that `call` throws, "" when it throws none.
template <typename Call>
std::string error_code(ErrorKind kind, Call call) {
  try {
    call();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.code();
  }
  return "";
}

template <typename Call>
std::string error_message(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.message();
  }
  return "";
}

template <typename T>
std::vector<T> values(const Tensor& tensor) {
  auto data = tensor.data<T>();
  return {data.begin(), data.end()};
}

}  // namespace qtool
