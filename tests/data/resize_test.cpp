#include "resized.hpp"
#include "support.hpp"

namespace qtool {
namespace {

TEST(Data, ResizesAsPillowDoes) {
  for (const auto& wanted : fixtures::kResized) {
    Image out = resize(pattern(wanted.height, wanted.width, wanted.channels), wanted.to_width,
                       wanted.to_height, wanted.interpolation);
    std::string_view bytes(reinterpret_cast<const char*>(out.pixels.data()), out.pixels.size());
    EXPECT_EQ(fnv1a(bytes), wanted.hash)
        << wanted.width << "x" << wanted.height << " to " << wanted.to_width << "x"
        << wanted.to_height << " " << wanted.interpolation << ", channels " << wanted.channels;
  }
}

TEST(Data, ResizesASmallPictureToStoredValues) {
  Image out = resize(pattern(5, 7, 3), 3, 4, "bicubic");
  EXPECT_EQ(out.pixels,
            std::vector<uint8_t>(std::begin(fixtures::kBicubic), std::end(fixtures::kBicubic)));
}

TEST(Data, ResizingToTheSameSizeChangesNothing) {
  Image image = pattern(6, 4, 3);
  EXPECT_EQ(resize(image, 4, 6, "bicubic").pixels, image.pixels);
}

TEST(Data, SuggestsAnInterpolation) {
  try {
    resize(pattern(2, 2, 1), 3, 3, "bicubik");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_NE(error.hint_text().find("bicubic"), std::string::npos);
  }
}

}  // namespace
}  // namespace qtool
