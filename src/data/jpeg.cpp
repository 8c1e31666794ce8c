// JPEG through libjpeg-turbo: the decoder that Pillow uses, so pixels are equal to the last bit.
//
// jpeglib.h needs what stands before it, and jerror.h needs jpeglib.h: no sorting here.
// clang-format off
#include <cstddef>
#include <cstdio>
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include <csetjmp>

#include "data/picture.hpp"

namespace qtool::data {
namespace {

// More scans than any encoder writes; each one costs a pass over the whole picture.
constexpr int kMaxScans = 200;
constexpr std::string_view kExifHeader{"Exif\0\0", 6};

// One decoding. libjpeg reports errors by longjmp: methods that call it hold trivial locals only.
class Decompressor {
 public:
  explicit Decompressor(std::string_view bytes) {
    state_.err = jpeg_std_error(&errors_);
    errors_.error_exit = on_error;
    errors_.emit_message = on_message;
    state_.client_data = this;
    progress_.progress_monitor = on_progress;
    ready_ = open(bytes);
  }
  ~Decompressor() { jpeg_destroy_decompress(&state_); }
  Decompressor(const Decompressor&) = delete;

  bool ready() const { return ready_; }
  const char* message() const { return message_; }
  const jpeg_decompress_struct& state() const { return state_; }

  bool start() {
    if (setjmp(jump_)) return false;
    switch (state_.num_components) {
      case 1:
        state_.out_color_space = JCS_GRAYSCALE;
        break;
      case 3:
        state_.out_color_space = JCS_RGB;
        break;
      case 4:
        state_.out_color_space = JCS_CMYK;
        break;
      default:
        std::snprintf(message_, sizeof message_, "%d colour components", state_.num_components);
        return false;
    }
    state_.progress = &progress_;
    jpeg_start_decompress(&state_);
    return true;
  }
  bool read_rows(uint8_t* to, size_t row_bytes) {
    if (setjmp(jump_)) return false;
    while (state_.output_scanline < state_.output_height) {
      JSAMPROW row = to + row_bytes * state_.output_scanline;
      jpeg_read_scanlines(&state_, &row, 1);
    }
    jpeg_finish_decompress(&state_);
    return true;
  }
  int orientation() const {
    for (jpeg_saved_marker_ptr marker = state_.marker_list; marker; marker = marker->next) {
      std::string_view block(reinterpret_cast<const char*>(marker->data), marker->data_length);
      if (block.starts_with(kExifHeader)) return exif_orientation(block.substr(kExifHeader.size()));
    }
    return 1;
  }

 private:
  bool open(std::string_view bytes) {
    if (setjmp(jump_)) return false;
    jpeg_create_decompress(&state_);
    jpeg_mem_src(&state_, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    jpeg_save_markers(&state_, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(&state_, TRUE);
    return true;
  }

  static Decompressor& self(j_common_ptr state) {
    return *static_cast<Decompressor*>(state->client_data);
  }
  [[noreturn]] static void on_error(j_common_ptr state) {
    Decompressor& d = self(state);
    state->err->format_message(state, d.message_);
    std::longjmp(d.jump_, 1);
  }
  // Warnings after which libjpeg makes up pixels are errors: a sample is whole or refused.
  static void on_message(j_common_ptr state, int level) {
    if (level >= 0) return;
    int code = state->err->msg_code;
    if (code == JWRN_JPEG_EOF || code == JWRN_HIT_MARKER || code == JWRN_HUFF_BAD_CODE ||
        code == JWRN_MUST_RESYNC) {
      on_error(state);
    }
  }
  static void on_progress(j_common_ptr state) {
    if (reinterpret_cast<j_decompress_ptr>(state)->input_scan_number <= kMaxScans) return;
    std::snprintf(self(state).message_, JMSG_LENGTH_MAX, "more than %d scans", kMaxScans);
    std::longjmp(self(state).jump_, 1);
  }

  jpeg_decompress_struct state_{};
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf jump_;
  char message_[JMSG_LENGTH_MAX] = "";
  bool ready_ = false;
};

bool is_jpeg(std::string_view bytes) { return bytes.starts_with("\xff\xd8\xff"); }

PictureInfo jpeg_info(std::string_view bytes, const std::string& origin) {
  Decompressor jpeg(bytes);
  if (!jpeg.ready()) bad_picture(origin, jpeg.message());
  const auto& state = jpeg.state();
  check_picture_size(state.image_height, state.image_width, origin);
  return {state.image_height, state.image_width, state.num_components == 1 ? 1 : 3,
          jpeg.orientation()};
}

// Inverted CMYK (as Adobe writes it) to RGB, rounded as Pillow's convert does.
std::vector<uint8_t> cmyk_to_rgb(const std::vector<uint8_t>& cmyk) {
  std::vector<uint8_t> rgb(cmyk.size() / 4 * 3);
  for (size_t i = 0, o = 0; i < cmyk.size(); i += 4) {
    int white = cmyk[i + 3];
    for (size_t c = 0; c < 3; ++c) {
      int product = (255 - cmyk[i + c]) * white + 128;
      int value = white - (((product >> 8) + product) >> 8);
      rgb[o++] = static_cast<uint8_t>(value < 0 ? 0 : value);
    }
  }
  return rgb;
}

Image decode_jpeg(std::string_view bytes, const std::string& origin) {
  Decompressor jpeg(bytes);
  if (!jpeg.ready()) bad_picture(origin, jpeg.message());
  check_picture_size(jpeg.state().image_height, jpeg.state().image_width, origin);
  if (!jpeg.start()) bad_picture(origin, jpeg.message());
  Image image{
      jpeg.state().output_height, jpeg.state().output_width, jpeg.state().output_components, {}};
  auto row_bytes = static_cast<size_t>(image.width * image.channels);
  image.pixels.resize(row_bytes * static_cast<size_t>(image.height));
  if (!jpeg.read_rows(image.pixels.data(), row_bytes)) bad_picture(origin, jpeg.message());
  if (image.channels == 4) {
    image.pixels = cmyk_to_rgb(image.pixels);
    image.channels = 3;
  }
  return image;
}

}  // namespace

const Decoder kJpeg = {"JPEG", is_jpeg, jpeg_info, decode_jpeg};

}  // namespace qtool::data
