#include "qtool/options.hpp"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <qtool/budget.hpp>
#include <qtool/calibrate.hpp>
#include <qtool/profile.hpp>
#include <qtool/score.hpp>

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

template <typename Records>
std::vector<std::string> names_of(const Records& records) {
  std::vector<std::string> names;
  for (const auto* record : records) names.emplace_back(record->name);
  return names;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

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

void PlanFlags::bind(CLI::App& app) {
  const std::string group = "Plan";
  add_list(app, "-b,--budget", budgets,
           "limits joined by commas: 4.5bits, 4.5bpw, 1.2MB, 25%size, 3Gbops, 20%bops, act=6bits, "
           "peak=200kB, 5ms@PROFILE, 60%latency@PROFILE "
           "(repeatable)")
      ->group(group);
  app.add_option("-u,--uniform", uniform, "the same widths everywhere: w8a8, w4a8, w4")
      ->group(group);
  const auto shape = [&](CLI::Option* option) { shaping.push_back(option->group(group)); };
  shape(add_list(app, "--keep", keep,
                 "REGEX=w8a8|float pins layers; first and last are names, too (repeatable)"));
  shape(app.add_option("--weights", weights,
                       "candidate widths of weights: 2 to 8, float; 0 prunes filters"));
  shape(app.add_option("--activations", activations,
                       "candidate widths of activations: 4 to 16, float"));
  shape(app.add_flag("--no-float-activations", no_float_activations,
                     "uniform plans: quantize activations that make most of the noise, too"));
  shape(app.add_flag("--signed-activations", signed_activations, "s8 symmetric rather than u8"));
  shape(app.add_option("--range", range, "clip range of activations (see `qtool list ranges`)"));
  shape(app.add_option("--score", score, "sensitivity (see `qtool list scores`)"));
  shape(app.add_option("--score-samples", score_samples,
                       "samples that scores look at (0: by the network's size)")
            ->check(CLI::Range(0, 1 << 30)));
  shape(app.add_option("--solver", solver, "see `qtool list solvers`"));
  shape(app.add_option("--optimizer", optimizer, "weight optimiser (see `qtool list optimizers`)"));
  shape(app.add_option("--granularity", granularity, "what gets its own width: layer, filter"));
  shape(app.add_option("--weight-scale", weight_scale,
                       "what gets its own scale: channel, tensor, block:N"));
  shape(app.add_option("--formats", formats,
                       "number formats to choose from: uniform,kmeans,syq:levels=binary"));
  shape(app.add_option(
      "--format", format,
      "the one number format of weights: NAME[:option=value,...] (see `qtool list formats`)"));
  app.add_option("--effort", effort,
                 "fast (one plan), balanced (the best of a few on fitted layers), best (of a few "
                 "quantized for real; scales and biases tuned together)")
      ->group(group);
  shape(app.add_option("--verify-prediction", verify_plans,
                       "compare predicted with measured noise on N random plans")
            ->check(CLI::Range(2, 100'000)));
  shape(app.add_option("--time", time, "time limit"));
  shape(app.add_option(
      "--profile", profile,
      "what a device allows and costs: a name (see `qtool list profiles`) or a file"));
  shape(app.add_option("--activation-mode", activation_mode,
                       "when activations get their parameters: static, dynamic (8 bits)"));
  shape(app.add_option("--target", target,
                       "runtime that the model is for (see `qtool list targets`)"));
  app.add_option("--export", export_style, "style of the written model (see `qtool list exports`)")
      ->group(group);
}

std::string PlanFlags::shaping_flag() const {
  for (const CLI::Option* option : shaping) {
    if (option->count() > 0) return option->get_name();
  }
  return "";
}

qtool::PlanRequest PlanFlags::request(const GlobalOptions& global) const {
  check_choice("--granularity", granularity, {"layer", "filter"});
  (void)qtool::parse_weight_scale(weight_scale);
  const std::vector<std::string> candidates = qtool::parse_formats(formats);
  (void)qtool::parse_format(format);
  check_choice("--effort", effort, {"fast", "balanced", "best"});
  check_choice("--activation-mode", activation_mode, {"static", "dynamic"});
  check_choice("--export", export_style, names_of(qtool::export_styles()));
  check_choice("--score", score, names_of(qtool::score_methods()));
  check_choice("--range", range, names_of(qtool::range_methods()));
  if (optimizer != "auto") check_choice("--optimizer", optimizer, names_of(qtool::optimizers()));
  if (!time.empty())
    throw qtool::Error(qtool::ErrorKind::kUsage, "QT-E103", "--time is not available")
        .hint("the search counts work, not seconds: leave --time out, or lower --score-samples");
  // A device is a target too: the runtime whose graphs it takes, and what it allows and costs.
  const bool device = profile.empty() && qtool::is_profile(target) &&
                      std::none_of(qtool::targets().begin(), qtool::targets().end(),
                                   [&](const qtool::Target* t) { return t->name == target; });
  if (!device) check_choice("--target", target, names_of(qtool::targets()));
  std::optional<qtool::DeviceProfile> limits;
  if (device || !profile.empty()) limits = qtool::load_profile(device ? target : profile);
  qtool::PlanRequest r;
  r.budgets = budgets;
  for (const std::string& budget : budgets) (void)qtool::parse_budget(budget);
  if (!uniform.empty()) {
    (void)qtool::parse_uniform(uniform);
    r.uniform = uniform;
  }
  for (const std::string& text : keep) (void)qtool::parse_keep(text);
  r.weight_bits = qtool::parse_bits_list(weights);
  r.activation_bits = qtool::parse_bits_list(activations);
  r.keep = keep;
  r.score = score;
  r.solver = solver;
  r.weight_scale = weight_scale;
  r.formats = format == "uniform" ? candidates
                                  : std::vector<std::string>{qtool::parse_format(format).text()};
  r.activation_mode = activation_mode;
  r.granularity = granularity;
  r.storage = qtool::find_export_style(export_style).storage;
  r.optimizer = optimizer == "auto" ? "cd" : optimizer;
  r.range = range;
  r.target = device ? limits->target : target;
  if (limits) {
    r.profile = device ? target : profile;
    (void)qtool::find_target(r.target);
    if (limits->weight_scale == "tensor") r.weight_scale = "tensor";
  }
  r.signed_activations = signed_activations || (limits && limits->symmetric_activations);
  r.keep_loud = !no_float_activations;
  r.score_samples = score_samples;
  r.effort = effort;
  r.verify_plans = verify_plans;
  r.threads = global.thread_count();
  return r;
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
