// Values of flags that come from a file or the environment.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace cli {

// Flag (without dashes) → its values as text. Throws Error{kUsage, QT-E105}.
using Config = std::map<std::string, std::vector<std::string>>;
Config read_config(const std::filesystem::path& path);
// The same form, as --print-config writes it.
std::string config_json(const Config& config);

// What `arguments` (after the command's name) leave open, as further arguments "--flag=value": from QTOOL_FLAG
// in the environment, else from `file`.
std::vector<std::string> further_arguments(const CLI::App& command,
                                           const std::vector<std::string>& arguments,
                                           const Config& file);
// All flags of the parsed command with their values, given or default.
Config resolved(const CLI::App& command);

}  // namespace cli
