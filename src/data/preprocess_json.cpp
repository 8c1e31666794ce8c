// Sidecars and the preprocessing of the workspace as JSON.
#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>

#include "data/files.hpp"
#include "data/preprocess.hpp"

namespace qtool {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

constexpr int64_t kMaxSidecarBytes = 16 << 20;
// Keys of "preprocess" that a person reads and qtool does not.
const std::vector<std::string> kInformation = {"formula", "note",        "notes",
                                               "comment", "description", "source"};
const std::vector<std::string> kKnown = {"layout",
                                         "channel_order",
                                         "grayscale",
                                         "interpolation",
                                         "resize_filter",
                                         "resize",
                                         "resize_short_side",
                                         "resize_height",
                                         "pad_width_to",
                                         "center_crop",
                                         "scale",
                                         "mean",
                                         "std"};

[[noreturn]] void bad_value(const std::string& key, const Json& value, const char* expected) {
  throw_usage("QT-E154",
              cat("preprocess key '", key, "' is ",
                  printable(value.dump(-1, ' ', true, Json::error_handler_t::replace), 60),
                  ", expected ", expected));
}

std::string text(const std::string& key, const Json& value) {
  if (!value.is_string()) bad_value(key, value, "a text");
  return value.get<std::string>();
}

int64_t whole(const std::string& key, const Json& value) {
  bool fits = value.is_number_integer() && value >= 1 && value <= 1 << 30;
  if (!fits) bad_value(key, value, "a positive whole number");
  return value.get<int64_t>();
}

double number(const std::string& key, const Json& value) {
  if (!value.is_number()) bad_value(key, value, "a number");
  return value.get<double>();
}

std::vector<double> numbers(const std::string& key, const Json& value) {
  if (value.is_number()) return {value.get<double>()};
  if (!value.is_array() || value.empty() || value.size() > 16)
    bad_value(key, value, "a number or a list of one per channel");
  std::vector<double> list;
  for (const Json& item : value) list.push_back(number(key, item));
  return list;
}

// "640x480", [640, 480] or 224: width, height.
void set_resize(Preprocess& p, const Json& value) {
  constexpr const char* expected = "\"WIDTHxHEIGHT\", [width, height] or one number";
  if (value.is_string()) {
    std::vector<std::string> sides = split(value.get<std::string>(), 'x');
    Json list = Json::array();
    for (const std::string& side : sides) list.push_back(Json::parse(side, nullptr, false));
    if (list.size() != 2 || !list[0].is_number_integer() || !list[1].is_number_integer())
      bad_value("resize", value, expected);
    return set_resize(p, list);
  }
  if (value.is_array() && value.size() != 2) bad_value("resize", value, expected);
  p.resize_width = whole("resize", value.is_array() ? value[0] : value);
  p.resize_height_exact = whole("resize", value.is_array() ? value[1] : value);
}

void set_key(Preprocess& p, const std::string& key, const Json& value) {
  if (key == "layout")
    p.layout = text(key, value);
  else if (key == "channel_order")
    p.channel_order = text(key, value);
  else if (key == "interpolation" || key == "resize_filter")
    p.interpolation = text(key, value);
  else if (key == "grayscale") {
    if (!value.is_boolean()) bad_value(key, value, "true or false");
    p.grayscale = value.get<bool>();
  } else if (key == "resize")
    set_resize(p, value);
  else if (key == "resize_short_side")
    p.resize_short_side = whole(key, value);
  else if (key == "resize_height")
    p.resize_height = whole(key, value);
  else if (key == "pad_width_to")
    p.pad_width_to = whole(key, value);
  else if (key == "center_crop")
    p.center_crop = whole(key, value);
  else if (key == "scale")
    p.scale = number(key, value);
  else if (key == "mean")
    p.mean = numbers(key, value);
  else if (key == "std")
    p.std = numbers(key, value);
  else
    data::throw_unknown_word("preprocess key", key, kKnown);
}

// A text is a description for people; null stands for "not given".
void read_preprocess(Preprocess& p, const Json& json) {
  if (json.is_string() || json.is_null()) return;
  if (!json.is_object()) throw_usage("QT-E154", "'preprocess' is neither an object nor a text");
  bool twice = json.contains("interpolation") && json.contains("resize_filter") &&
               json["interpolation"] != json["resize_filter"];
  if (twice) throw_usage("QT-E154", "'interpolation' and its other name 'resize_filter' differ");
  for (const auto& [key, value] : json.items()) {
    bool information = std::ranges::find(kInformation, key) != kInformation.end();
    if (!information && !value.is_null()) set_key(p, key, value);
  }
}

Json parse(std::string_view bytes, const std::string& origin) {
  try {
    return Json::parse(bytes);
  } catch (const Json::exception& error) {
    throw_usage("QT-E154", cat("'", printable(origin), "' is not JSON: ", printable(error.what())));
  }
}

// A file that the sidecar names, beside it. Words after it ("calib.npz (512 lines)") tell more.
std::optional<std::string> named_file(const Json& json, const char* key, const fs::path& folder) {
  if (!json.is_object() || !json.contains(key) || !json[key].is_string()) return std::nullopt;
  std::string name = json[key].get<std::string>();
  if (name.find('\0') != std::string::npos) return std::nullopt;
  std::error_code ignored;
  if (!fs::exists(folder / name, ignored)) name = name.substr(0, name.find(" ("));
  return (folder / name).lexically_normal().string();
}

}  // namespace

Sidecar read_sidecar(const std::filesystem::path& path) {
  std::string origin = data::shown(path);
  try {
    Json json = parse(data::read_all(path, kMaxSidecarBytes), path.string());
    if (!json.is_object()) throw_usage("QT-E154", "it is not a JSON object");
    Sidecar sidecar;
    const Json input = json.value("input", Json());
    if (input.is_object() && input.contains("layout") && input["layout"].is_string())
      sidecar.preprocess.layout = input["layout"];
    if (json.contains("preprocess")) read_preprocess(sidecar.preprocess, json["preprocess"]);
    data::check_preprocess(sidecar.preprocess);
    if (json.contains("constants")) {
      if (!json["constants"].is_object())
        throw_usage("QT-E154", "'constants' is not an object of input names and numbers");
      for (const auto& [name, value] : json["constants"].items())
        sidecar.constants[name] = number(name, value);
    }
    const Json files = json.value("data", Json());
    sidecar.calib = named_file(files, "calib", path.parent_path());
    sidecar.test = named_file(files, "test", path.parent_path());
    sidecar.labels = named_file(json, "labels", path.parent_path());
    return sidecar;
  } catch (Error& error) {
    if (error.kind() == ErrorKind::kData) throw_usage("QT-E154", error.message());
    error.context(cat("while reading the sidecar '", origin, "'"));
    throw;
  }
}

std::string preprocess_json(const Preprocess& p) {
  Json json = {{"layout", p.layout},
               {"channel_order", p.channel_order},
               {"grayscale", p.grayscale},
               {"interpolation", p.interpolation},
               {"scale", p.scale},
               {"mean", p.mean},
               {"std", p.std}};
  if (p.resize_width) json["resize"] = {*p.resize_width, *p.resize_height_exact};
  if (p.resize_short_side) json["resize_short_side"] = *p.resize_short_side;
  if (p.resize_height) json["resize_height"] = *p.resize_height;
  if (p.pad_width_to) json["pad_width_to"] = *p.pad_width_to;
  if (p.center_crop) json["center_crop"] = *p.center_crop;
  return json.dump();
}

Preprocess preprocess_from_json(std::string_view json) {
  Preprocess p;
  read_preprocess(p, parse(json, "preprocess"));
  data::check_preprocess(p);
  return p;
}

}  // namespace qtool
