#include <algorithm>
#include <charconv>

#include "pipeline/stages.hpp"

namespace qtool {

namespace fs = std::filesystem;

namespace {

double number(const std::string& text, std::string_view flag) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw Error(ErrorKind::kUsage, "QT-E142", cat(flag, ": '", printable(text), "' is no number"));
  }
  return value;
}

std::vector<double> numbers(const std::string& text, std::string_view flag) {
  std::vector<double> values;
  for (const std::string& part : split(text, ',')) values.push_back(number(part, flag));
  return values;
}

// "224", or "WIDTHxHEIGHT".
void set_resize(Preprocess& p, const std::string& text) {
  const std::vector<std::string> parts = split(text, 'x');
  p.resize_width = static_cast<int64_t>(number(parts[0], "--resize"));
  p.resize_height_exact =
      parts.size() > 1 ? static_cast<int64_t>(number(parts[1], "--resize")) : *p.resize_width;
  if (parts.size() > 2 || *p.resize_width < 1 || *p.resize_height_exact < 1) {
    throw Error(ErrorKind::kUsage, "QT-E142", cat("--resize: '", printable(text), "' is no size"))
        .hint("write 224 or 320x240");
  }
}

}  // namespace

Preprocess resolve_preprocess(const DataRequest& r, const fs::path& model) {
  Preprocess p;
  fs::path beside = model;
  beside.replace_extension(".json");
  if (r.preprocess_file)
    p = read_sidecar(*r.preprocess_file).preprocess;
  else if (fs::exists(beside))
    p = read_sidecar(beside).preprocess;
  if (r.layout) p.layout = *r.layout;
  if (r.channel_order) p.channel_order = *r.channel_order;
  if (r.grayscale) p.grayscale = true;
  if (r.interpolation) p.interpolation = *r.interpolation;
  if (r.resize) set_resize(p, *r.resize);
  if (r.resize_short_side) p.resize_short_side = r.resize_short_side;
  if (r.resize_height) p.resize_height = r.resize_height;
  if (r.pad_width_to) p.pad_width_to = r.pad_width_to;
  if (r.center_crop) p.center_crop = r.center_crop;
  if (r.scale) p.scale = *r.scale;
  if (r.mean) p.mean = numbers(*r.mean, "--mean");
  if (r.std) p.std = numbers(*r.std, "--std");
  return p;
}

std::vector<InputSpec> input_specs(const Model& model) {
  std::vector<InputSpec> inputs;
  for (ValueId v : model.graph.inputs) {
    if (model.graph.constant(v)) continue;
    const Value& value = model.graph.value(v);
    if (!value.shape)
      throw_model("QT-E333", cat("input '", printable(value.name), "' has no shape"));
    inputs.push_back({value.name, value.dtype, *value.shape});
  }
  return inputs;
}

std::unique_ptr<SampleSource> open_source(DataRequest& r, const Model& model) {
  constexpr int64_t kFreeDimension = 64;
  const std::vector<InputSpec> inputs = input_specs(model);
  if (r.random_samples > 0) {
    log(LogLevel::kWarning, "random data: statistics and accuracy say nothing about real inputs");
    return random_data(r.random_samples, r.seed, inputs, kFreeDimension);
  }
  if (r.data.empty())
    throw Error(ErrorKind::kUsage, "QT-E143", "no data given")
        .hint(
            "name a folder of pictures, an .npy or an .npz; without any: calibrate "
            "--synthetic-data N");
  return pipeline::open_fed(r.data, resolve_preprocess(r, model.path), model, r.options);
}

}  // namespace qtool
