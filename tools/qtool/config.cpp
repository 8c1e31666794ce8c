#include "qtool/config.hpp"

#include <algorithm>
#include <cstdlib>

namespace cli {

namespace {

// Flags that say how the program is called, not what it does.
bool is_configurable(const CLI::Option& option) {
  static const std::vector<std::string> kNot = {"help", "version", "config", "print-config"};
  return !option.get_lnames().empty() &&
         std::find(kNot.begin(), kNot.end(), option.get_lnames().front()) == kNot.end();
}

bool is_flag(const CLI::Option& option) { return option.get_items_expected_max() == 0; }

bool is_given(const CLI::Option& option, const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    if (argument == "--") return false;
    for (const std::string& name : option.get_lnames()) {
      if (argument == "--" + name || argument.starts_with("--" + name + "=")) return true;
    }
    for (const std::string& name : option.get_snames()) {
      if (argument.starts_with("-" + name) && !argument.starts_with("--")) return true;
    }
  }
  return false;
}

std::string environment_name(std::string flag) {
  std::transform(flag.begin(), flag.end(), flag.begin(), [](unsigned char c) {
    return c == '-' ? '_' : static_cast<char>(std::toupper(c));
  });
  return "QTOOL_" + flag;
}

}  // namespace

std::vector<std::string> further_arguments(const CLI::App& command,
                                           const std::vector<std::string>& arguments,
                                           const Config& file) {
  std::vector<std::string> further;
  for (const CLI::Option* option : command.get_options()) {
    if (!is_configurable(*option) || is_given(*option, arguments)) continue;
    const std::string& name = option->get_lnames().front();
    std::vector<std::string> values;
    if (const char* value = std::getenv(environment_name(name).c_str()))
      values = {value};
    else if (const auto found = file.find(name); found != file.end())
      values = found->second;
    for (const std::string& value : values) further.push_back("--" + name + "=" + value);
  }
  return further;
}

Config resolved(const CLI::App& command) {
  Config config;
  for (const CLI::Option* option : command.get_options()) {
    if (!is_configurable(*option)) continue;
    const std::string& name = option->get_lnames().front();
    if (is_flag(*option)) {
      config[name] = {option->count() > 0 && option->results().front() != "false" ? "true"
                                                                                  : "false"};
    } else if (option->count() > 0) {
      config[name] = option->results();
    } else if (const std::string text = option->get_default_str();
               !text.empty() && text != "[]" && text != "{}") {
      config[name] = {text};
    }
  }
  return config;
}

}  // namespace cli
