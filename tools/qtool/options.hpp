// Flags that several commands share, and what the library makes of them.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <qtool/pipeline.hpp>
#include <qtool/report.hpp>
#include <string>
#include <vector>

namespace cli {

struct GlobalOptions {
  bool json = false, quiet = false, print_config = false;
  int verbose = 0;
  std::string log_file, colour = "auto", max_memory = "2GiB", config;
  int threads = 0;  // 0: all cores
  uint64_t seed = 0;
  void bind(CLI::App& app);
  // Log level, colours and the memory limit take effect.
  void apply() const;
  int thread_count() const { return threads > 0 ? threads : qtool::default_threads(); }
};

// `-w DIR`.
struct WorkspaceFlag {
  std::string path;
  void bind(CLI::App& app);
  std::optional<std::filesystem::path> get() const;
};

// DATA... and what is done to it.
struct DataFlags {
  std::vector<std::string> data;
  std::string preprocess;
  std::optional<std::string> layout, channel_order, resize, interpolation, mean, std;
  std::optional<double> scale;
  std::optional<int64_t> resize_short_side, resize_height, pad_width_to, center_crop;
  std::optional<uint64_t> shuffle_seed;
  std::vector<std::string> constants;
  bool grayscale = false, skip_bad = false;
  int64_t limit = 0, batch = 0, random_samples = 0;
  void bind(CLI::App& app);  // flags
  void bind_positional(CLI::App& app, bool required);
  qtool::DataRequest request(const GlobalOptions& global) const;
  bool changes_preprocessing() const;
};

// What calibration may do to the channels of activations.
struct ChannelFlags {
  bool no_equalize = false;
  std::vector<std::string> outliers;
  void bind(CLI::App& app);
  void apply(qtool::CalibrateRequest& request) const;
};

// How long `quantize` goes on fitting.
struct StepFlags {
  std::string time;
  int64_t steps = 0;
  void bind(CLI::App& app);
  void apply(qtool::QuantizeRequest& request) const;
};

// What shapes a plan. Features that are not there yet are known flags: their values are refused by name.
struct PlanFlags {
  std::vector<std::string> budgets, keep;
  std::string uniform, weights = "2,3,4,5,6,8", activations = "8";
  std::string score = "auto", solver = "auto", optimizer = "auto", range = "mse",
              target = "ort-cpu";
  std::string granularity = "layer", weight_scale = "channel", formats, format = "uniform";
  std::string effort = "balanced", profile, activation_mode = "static", export_style = "auto";
  int64_t score_samples = 0;
  std::optional<int64_t> verify_plans;
  bool signed_activations = false, no_float_activations = false, narrow_branches = false;
  std::vector<CLI::Option*> shaping;  // all but budget and uniform
  void bind(CLI::App& app);
  qtool::PlanRequest request(const GlobalOptions& global) const;
  bool has_goal() const { return !budgets.empty() || !uniform.empty(); }
  // The first flag given that only makes sense with a new plan; "" when none.
  std::string shaping_flag() const;
};

struct GateFlags {
  std::string min_top1, max_drop, min_agreement, max_size, baseline;
  std::optional<double> min_sqnr_db;
  void bind(CLI::App& app);
  void bind_size(CLI::App& app);
  qtool::Gates gates() const;
};

// An option that may be given several times with one value each.
CLI::Option* add_list(CLI::App& app, const std::string& names, std::vector<std::string>& values,
                      const std::string& help);
// "98%" or "0.98" as a fraction. Throws Error{kUsage, QT-E102}.
double parse_fraction(const std::string& text, std::string_view flag);
// "30s", "5m", "1.5h", "90" as seconds. Throws Error{kUsage, QT-E102}.
double parse_seconds(const std::string& text, std::string_view flag);
// "1.2MB", "2GiB", "500" as bytes. Throws Error{kUsage, QT-E102}.
double parse_bytes(const std::string& text, std::string_view flag);
// Throws Error{kUsage, QT-E103} that names what is available.
void check_choice(std::string_view flag, const std::string& value,
                  const std::vector<std::string>& available);

}  // namespace cli
