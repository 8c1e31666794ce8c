#include <charconv>

#include "qtool/options.hpp"

namespace cli {

using qtool::cat;
using qtool::printable;

namespace {

std::map<std::string, double> parse_constants(const std::vector<std::string>& texts) {
  std::map<std::string, double> constants;
  for (const std::string& text : texts) {
    const size_t at = text.find('=');
    double value = 0;
    const char* begin = text.data() + (at == std::string::npos ? text.size() : at + 1);
    const auto [end, error] = std::from_chars(begin, text.data() + text.size(), value);
    if (at == 0 || at == std::string::npos || error != std::errc() ||
        end != text.data() + text.size()) {
      throw qtool::Error(qtool::ErrorKind::kUsage, "QT-E102",
                         cat("--constant '", printable(text), "' is not NAME=NUMBER"))
          .hint("for example --constant sr=16000");
    }
    constants[text.substr(0, at)] = value;
  }
  return constants;
}

}  // namespace

void DataFlags::bind_positional(CLI::App& app, bool required) {
  app.add_option("DATA", data,
                 "picture folders, lists or files, .npy, .npz, folders of .npy, ONNX test sets")
      ->required(required)
      ->default_str("");
}

void DataFlags::bind(CLI::App& app) {
  const std::string group = "Data";
  app.add_option("--preprocess", preprocess, "sidecar with the preprocessing (default: MODEL.json)")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--layout", layout, "NCHW or NHWC")->group(group);
  app.add_option("--channel-order", channel_order, "RGB, BGR or GRAY")->group(group);
  app.add_flag("--grayscale", grayscale, "pictures in grey")->group(group);
  app.add_option("--resize", resize, "exact size: 224 or WIDTHxHEIGHT")->group(group);
  app.add_option("--resize-short-side", resize_short_side, "short side, keeps the aspect ratio")
      ->check(CLI::Range(1, 65536))
      ->group(group);
  app.add_option("--resize-height", resize_height, "height, keeps the aspect ratio")
      ->check(CLI::Range(1, 65536))
      ->group(group);
  app.add_option("--pad-width-to", pad_width_to, "zeros on the right up to this width")
      ->check(CLI::Range(1, 65536))
      ->group(group);
  app.add_option("--center-crop", center_crop, "size of the middle that is kept")
      ->check(CLI::Range(1, 65536))
      ->group(group);
  app.add_option("--interpolation", interpolation, "bicubic, bilinear or nearest")->group(group);
  app.add_option("--scale", scale, "(x · scale − mean) / std")->group(group);
  app.add_option("--mean", mean, "one number, or one a channel: 0.4,0.5,0.6")->group(group);
  app.add_option("--std", std, "one number, or one a channel")->group(group);
  add_list(app, "--constant", constants,
           "NAME=NUMBER for an input that the data does not hold (repeatable)")
      ->group(group);
  app.add_option("--limit", limit, "use the first N samples (0: all)")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 40))
      ->group(group);
  app.add_option("--batch", batch, "samples that run at once (0: chosen from the input's size)")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 20))
      ->group(group);
  app.add_option("--shuffle-seed", shuffle_seed, "shuffle the samples")->group(group);
  app.add_flag("--skip-bad", skip_bad, "leave out pictures that cannot be read")->group(group);
  app.add_option("--random-data", random_samples, "N random samples instead of data")
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 30))
      ->group(group);
}

bool DataFlags::changes_preprocessing() const {
  return !preprocess.empty() || layout || channel_order || resize || interpolation || mean || std ||
         scale || resize_short_side || resize_height || pad_width_to || center_crop || grayscale ||
         !constants.empty();
}

qtool::DataRequest DataFlags::request(const GlobalOptions& global) const {
  if (random_samples > 0 && !data.empty())
    throw qtool::Error(qtool::ErrorKind::kUsage, "QT-E104",
                       "DATA and --random-data exclude each other");
  if (layout) check_choice("--layout", *layout, {"NCHW", "NHWC"});
  if (channel_order) check_choice("--channel-order", *channel_order, {"RGB", "BGR", "GRAY"});
  if (interpolation)
    check_choice("--interpolation", *interpolation, {"bicubic", "bilinear", "nearest"});
  if (resize.has_value() + resize_short_side.has_value() + resize_height.has_value() > 1) {
    throw qtool::Error(qtool::ErrorKind::kUsage, "QT-E104",
                       "--resize, --resize-short-side and --resize-height exclude each other");
  }
  qtool::DataRequest r;
  r.data.assign(data.begin(), data.end());
  if (!preprocess.empty()) r.preprocess_file = preprocess;
  r.layout = layout;
  r.channel_order = channel_order;
  r.resize = resize;
  r.interpolation = interpolation;
  r.mean = mean;
  r.std = std;
  r.scale = scale;
  r.resize_short_side = resize_short_side;
  r.resize_height = resize_height;
  r.pad_width_to = pad_width_to;
  r.center_crop = center_crop;
  r.grayscale = grayscale;
  r.options.limit = limit;
  r.options.shuffle_seed = shuffle_seed;
  r.options.skip_bad = skip_bad;
  r.options.chunk_samples = batch;
  r.options.constants = parse_constants(constants);
  r.random_samples = random_samples;
  r.seed = global.seed;
  return r;
}

}  // namespace cli
