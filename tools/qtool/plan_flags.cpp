#include <qtool/budget.hpp>
#include <qtool/calibrate.hpp>
#include <qtool/profile.hpp>
#include <qtool/score.hpp>

#include "qtool/options.hpp"

namespace cli {

using qtool::cat;
using qtool::printable;

namespace {

template <typename Records>
std::vector<std::string> names_of(const Records& records) {
  std::vector<std::string> names;
  for (const auto* record : records) names.emplace_back(record->name);
  return names;
}

}  // namespace

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
                       "candidate widths of activations: 1 to 16, float"));
  shape(app.add_flag("--no-float-activations", no_float_activations,
                     "uniform plans: quantize activations that make most of the noise, too"));
  shape(app.add_flag("--signed-activations", signed_activations, "s8 symmetric rather than u8"));
  shape(app.add_flag("--narrow-branches", narrow_branches,
                     "below 8 bits residual sums are as narrow as what layers read of them"));
  shape(app.add_option("--range", range, "clip range of activations (see `qtool list ranges`)"));
  shape(app.add_option("--score", score, "sensitivity (see `qtool list scores`)"));
  shape(app.add_option("--score-samples", score_samples,
                       "samples that scores look at (0: by the network's size)")
            ->check(CLI::Range(0, 1 << 30)));
  shape(app.add_option("--solver", solver, "see `qtool list solvers`"));
  shape(app.add_option("--optimizer", optimizer, "weight optimiser (see `qtool list optimizers`)"));
  shape(app.add_option("--granularity", granularity, "what gets its own width: layer, filter"));
  shape(app.add_option("--weight-scale", weight_scale,
                       "what gets its own scale: channel, tensor, group:N, block:N"));
  shape(app.add_option("--formats", formats,
                       "number formats to choose from: uniform,kmeans,syq:levels=binary"));
  shape(app.add_option(
      "--format", format,
      "the one number format of weights: NAME[:option=value,...] (see `qtool list formats`)"));
  app.add_option("--effort", effort,
                 "fast (one plan), balanced (a few compared on fitted layers), best (of a few "
                 "quantized for real, priced again around it where prices do not hold; scales and "
                 "biases tuned together)")
      ->group(group);
  shape(app.add_option("--verify-prediction", verify_plans,
                       "compare predicted with measured noise on N random plans (16; with --effort "
                       "fast 0)")
            ->check(CLI::Range(0, 100'000)));
  shape(app.add_option(
      "--profile", profile,
      "what a device allows and costs: a name (see `qtool list profiles`) or a file"));
  shape(app.add_option(
      "--activation-mode", activation_mode,
      "when activations get their ranges: static (in calibration), dynamic or token (at run time, "
      "one a tensor or one a row; 8 bits), hybrid (by layer: with a budget as the search finds, "
      "else at run time where static ones are loud)"));
  shape(app.add_option("--target", target,
                       "runtime that the model is for (see `qtool list targets`)"));
  app.add_option("--export", export_style,
                 "style of the written model (see `qtool list exports`); auto: qdq, with "
                 "sizes of codes in their own width")
      ->group(group);
}

void StepFlags::bind(CLI::App& app) {
  app.add_option(
         "--time", time,
         "improve fitted weights step by step for so long (30s, 5m, 1h), each step kept where "
         "held-out samples come closer; the same command goes on where it stopped")
      ->type_name("TIME");
  app.add_option("--steps", steps,
                 "the same until so many steps are done: equal bytes on machines of any speed")
      ->check(CLI::Range(1, 1'000'000));
}

void StepFlags::apply(qtool::QuantizeRequest& request) const {
  if (!time.empty()) request.seconds = parse_seconds(time, "--time");
  request.steps = steps;
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
  (void)qtool::parse_format(format);
  check_choice("--effort", effort, {"fast", "balanced", "best"});
  check_choice("--activation-mode", activation_mode, {"static", "dynamic", "token", "hybrid"});
  if (export_style != "auto")
    check_choice("--export", export_style, names_of(qtool::export_styles()));
  check_choice("--score", score, names_of(qtool::score_methods()));
  check_choice("--range", range, names_of(qtool::range_methods()));
  if (optimizer != "auto") check_choice("--optimizer", optimizer, names_of(qtool::optimizers()));
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
  if (!formats.empty()) r.formats = qtool::parse_formats(formats);
  if (format != "uniform") r.formats = {qtool::parse_format(format).text()};
  // A device that cannot multiply is asked for by its profile alone.
  const bool chosen = !formats.empty() || format != "uniform";
  if (limits && !chosen && uniform.empty() && !limits->multiplies()) {
    r.formats = limits->formats();
    std::erase_if(r.formats, [&](const std::string& name) {
      return qtool::widths_in({name}, r.weight_bits).empty();
    });
  }
  r.activation_mode = activation_mode;
  r.granularity = granularity;
  if (export_style != "auto") {
    r.export_style = export_style;
    r.storage = qtool::find_export_style(export_style).storage;
  }
  r.optimizer = optimizer == "auto" ? "cd" : optimizer;
  r.range = range;
  r.target = device ? limits->target : target;
  if (limits) {
    r.profile = device ? target : profile;
    (void)qtool::find_target(r.target);
  }
  r.signed_activations = signed_activations;
  r.narrow_branches = narrow_branches;
  r.keep_loud = !no_float_activations;
  r.score_samples = score_samples;
  r.effort = effort;
  r.verify_plans = verify_plans;
  r.threads = global.thread_count();
  return r;
}

}  // namespace cli
