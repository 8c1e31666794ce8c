#include "qtool/options.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace cli {

using qtool::cat;
using qtool::printable;

namespace {

bool wants_colour(const std::string& mode) {
  if (mode != "auto") return mode == "always";
  const auto set = [](const char* name) {
    const char* value = std::getenv(name);
    return value && *value && std::string_view(value) != "0";
  };
  if (set("CLICOLOR_FORCE")) return true;
  return !set("NO_COLOR") && ::isatty(STDERR_FILENO) == 1;
}

// The number at the beginning; `text` keeps what follows.
std::optional<double> take_number(std::string_view& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || !(value >= 0)) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  while (text.starts_with(' ')) text.remove_prefix(1);
  return value;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

}  // namespace

CLI::Option* add_list(CLI::App& app, const std::string& names, std::vector<std::string>& values,
                      const std::string& help) {
  return app.add_option(names, values, help)->allow_extra_args(false)->default_str("");
}

double parse_fraction(const std::string& text, std::string_view flag) {
  std::string_view rest = text;
  if (const auto value = take_number(rest)) {
    if (rest == "%" && *value <= 100) return *value / 100;
    if (rest.empty() && *value <= 1) return *value;
  }
  throw qtool::Error(qtool::ErrorKind::kUsage, "QT-E102",
                     cat(flag, ": '", printable(text), "' is no fraction"))
      .hint("write 98% or 0.98");
}

double parse_bytes(const std::string& text, std::string_view flag) {
  static const std::vector<std::pair<std::string_view, double>> kUnits = {
      {"", 1},     {"B", 1},        {"kB", 1e3},        {"KB", 1e3},          {"MB", 1e6},
      {"GB", 1e9}, {"KiB", 1024.0}, {"MiB", 1048576.0}, {"GiB", 1073741824.0}};
  std::string_view rest = text;
  const auto value = take_number(rest);
  const auto unit =
      std::find_if(kUnits.begin(), kUnits.end(), [&](const auto& u) { return u.first == rest; });
  if (value && unit != kUnits.end() && *value * unit->second < 9e18) return *value * unit->second;
  throw qtool::Error(qtool::ErrorKind::kUsage, "QT-E102",
                     cat(flag, ": '", printable(text), "' is no size"))
      .hint("write 500kB, 1.2MB or 2GiB");
}

double parse_seconds(const std::string& text, std::string_view flag) {
  static const std::vector<std::pair<std::string_view, double>> kUnits = {
      {"", 1}, {"s", 1}, {"m", 60}, {"min", 60}, {"h", 3600}};
  std::string_view rest = text;
  const auto value = take_number(rest);
  const auto unit = std::ranges::find(kUnits, rest, &std::pair<std::string_view, double>::first);
  if (value && *value > 0 && unit != kUnits.end() && *value * unit->second < 1e9)
    return *value * unit->second;
  throw qtool::Error(qtool::ErrorKind::kUsage, "QT-E102",
                     cat(flag, ": '", printable(text), "' is no time"))
      .hint("write 30s, 5m or 1h");
}

void check_choice(std::string_view flag, const std::string& value,
                  const std::vector<std::string>& available) {
  if (std::find(available.begin(), available.end(), value) != available.end()) return;
  const std::string near = qtool::nearest(value, available);
  throw qtool::Error(qtool::ErrorKind::kUsage, "QT-E103",
                     cat(flag, " '", printable(value), "' is not available"))
      .hint(cat(near.empty() ? "" : cat("did you mean '", near, "'? "),
                "available: ", joined(available)));
}

void GlobalOptions::bind(CLI::App& app) {
  const std::string group = "Global options";
  app.add_flag("--json", json, "print one JSON object")->group(group);
  app.add_flag("-q,--quiet", quiet, "warnings and errors only on stderr")->group(group);
  app.add_flag("-v,--verbose", verbose, "say more on stderr")->group(group);
  app.add_option("--log-file", log_file, "write the log there, too")
      ->type_name("FILE")
      ->group(group);
  app.add_option("--color", colour, "auto, always or never")->group(group);
  app.add_option("--threads", threads, "threads (0: all cores)")
      ->check(CLI::Range(0, 1024))
      ->group(group);
  app.add_option("--seed", seed, "seed of everything random")->group(group);
  app.add_option("--max-memory", max_memory, "largest single tensor")->group(group);
  app.add_option(
         "--config", config,
         "JSON with the same keys as the flags; flag > QTOOL_* environment > file > default")
      ->type_name("FILE")
      ->group(group);
  app.add_flag("--print-config", print_config, "print the resolved options as JSON and stop")
      ->group(group);
}

void GlobalOptions::apply() const {
  check_choice("--color", colour, {"auto", "always", "never"});
  qtool::LogOptions options;
  options.level = quiet         ? qtool::LogLevel::kWarning
                  : verbose > 0 ? qtool::LogLevel::kDebug
                                : qtool::LogLevel::kInfo;
  options.file = log_file;
  options.colour = wants_colour(colour);
  qtool::set_log(options);
  const double bytes = parse_bytes(max_memory, "--max-memory");
  if (bytes < 1)
    throw qtool::Error(qtool::ErrorKind::kUsage, "QT-E102",
                       "--max-memory must be more than nothing");
  qtool::set_max_tensor_bytes(static_cast<int64_t>(bytes));
}

void WorkspaceFlag::bind(CLI::App& app) {
  app.add_option("-w,--workspace", path, "the workspace (default: .qtool here, or found upward)")
      ->type_name("DIR");
}

std::optional<std::filesystem::path> WorkspaceFlag::get() const {
  if (path.empty()) return std::nullopt;
  return path;
}

void GateFlags::bind_size(CLI::App& app) {
  app.add_option("--max-size", max_size, "largest file: 1.2MB")
      ->group("Gates (exit code 6 when missed)");
}

void GateFlags::bind(CLI::App& app) {
  const std::string group = "Gates (exit code 6 when missed)";
  app.add_option("--min-top1", min_top1, "least top-1: 97% or 0.97")->group(group);
  app.add_option("--max-drop", max_drop, "largest drop of top-1 against float: 1% or 0.01")
      ->group(group);
  app.add_option("--min-agreement", min_agreement, "least agreement with float: 99%")->group(group);
  app.add_option("--min-sqnr", min_sqnr_db, "least SQNR of the output, dB")->group(group);
  app.add_option("--baseline", baseline, "earlier --json of eval or auto: nothing may be worse")
      ->type_name("FILE")
      ->group(group);
  bind_size(app);
}

qtool::Gates GateFlags::gates() const {
  qtool::Gates g;
  if (!min_top1.empty()) g.min_top1 = parse_fraction(min_top1, "--min-top1");
  if (!max_drop.empty()) g.max_drop = parse_fraction(max_drop, "--max-drop");
  if (!min_agreement.empty()) g.min_agreement = parse_fraction(min_agreement, "--min-agreement");
  g.min_sqnr_db = min_sqnr_db;
  if (!max_size.empty()) g.max_size_bytes = parse_bytes(max_size, "--max-size");
  if (!baseline.empty()) g.baseline = baseline;
  return g;
}

}  // namespace cli
