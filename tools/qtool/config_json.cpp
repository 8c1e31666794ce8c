#include <nlohmann/json.hpp>
#include <qtool/base.hpp>

#include "qtool/config.hpp"

namespace cli {

using Json = nlohmann::ordered_json;
using qtool::cat;
using qtool::printable;

namespace {

std::string value_text(const std::string& key, const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean() || value.is_number()) return value.dump();
  throw qtool::Error(qtool::ErrorKind::kUsage, "QT-E105",
                     cat("configuration key '", printable(key),
                         "' must be a text, a number, true, false or a list of them"));
}

}  // namespace

Config read_config(const std::filesystem::path& path) {
  const std::string text = qtool::read_file(path, qtool::ErrorKind::kUsage);
  Config config;
  try {
    const Json json = Json::parse(text);
    if (!json.is_object())
      throw qtool::Error(qtool::ErrorKind::kUsage, "QT-E105",
                         cat(printable(path.string()), " is no JSON object"));
    for (const auto& [key, value] : json.items()) {
      std::vector<std::string>& values = config[key];
      if (!value.is_array())
        values.push_back(value_text(key, value));
      else
        for (const Json& item : value) values.push_back(value_text(key, item));
    }
  } catch (const Json::exception& error) {
    throw qtool::Error(qtool::ErrorKind::kUsage, "QT-E105",
                       cat(printable(path.string()), " is no JSON: ", printable(error.what())));
  }
  return config;
}

std::string config_json(const Config& config) {
  Json json = Json::object();
  for (const auto& [key, values] : config) {
    if (values.size() != 1)
      json[key] = values;
    else if (values[0] == "true" || values[0] == "false")
      json[key] = values[0] == "true";
    else
      json[key] = values[0];
  }
  return json.dump(1, ' ', true, Json::error_handler_t::replace) + "\n";
}

}  // namespace cli
