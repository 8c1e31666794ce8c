#include "pipeline/stages.hpp"

#include <algorithm>

#include "pipeline/request.hpp"
#include "qtool/branches.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"

namespace qtool {

namespace fs = std::filesystem;

Prepared load_prepared(const Workspace& w, const std::string& target) {
  Model model = load_model(w.model);
  if (model.fingerprint != w.fingerprint) {
    throw Error(
        ErrorKind::kUsage, "QT-E144",
        cat("the model ", printable(w.model.string()), " has changed since it was calibrated"))
        .hint("run `qtool calibrate` again");
  }
  Prepared p;
  p.file_bytes = model.file_bytes;
  p.model = prepare(model);
  p.outputs = output_types(model);
  set_ranks(p.model, w.ranks);
  if (!w.channel_edits.empty()) p.model = edit_channels(p.model, w.channel_edits);
  p.sites = find_sites(p.model, find_target(target), w.unreached);
  return p;
}

namespace pipeline {

Observed observe(const Model& prepared, const Target& target, const SampleSource& source,
                 int threads) {
  Observed o;
  o.sites = find_sites(prepared, target);
  o.table = calibrate(prepared, o.sites.activation_names(), source, {.threads = threads});
  std::erase_if(o.table.values, [&](const auto& value) {
    const bool inside = prepared.graph.find(value.first) == ValueId::kNone;
    if (inside && value.second.count == 0) o.unreached.insert(value.first);
    return inside && value.second.count == 0;
  });
  if (!o.unreached.empty()) o.sites = find_sites(prepared, target, o.unreached);
  return o;
}

std::unique_ptr<SampleSource> source_of(const Workspace& w, const Model& model) {
  if (w.random_samples == 0) {
    DataOptions options = w.data_options;
    return open_fed(w.data, w.preprocess, model, options);
  }
  DataRequest random;
  random.random_samples = w.random_samples;
  random.seed = w.seed;
  return open_source(random, model);
}

CalibrationTable load_table(const Workspace& w) {
  CalibrationTable table = load_calibration(w.file(kCalibration));
  if (table.model_fingerprint != w.fingerprint) {
    throw Error(ErrorKind::kUsage, "QT-E144", "the calibration belongs to another model")
        .hint("run `qtool calibrate` again");
  }
  return table;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ",") + part;
  return text;
}

}  // namespace pipeline

namespace {

using namespace pipeline;

void make_folder(const fs::path& root) {
  std::error_code failed;
  fs::create_directories(root, failed);
  if (!failed) return;
  throw Error(ErrorKind::kInternal, "QT-E901",
              cat("cannot make the workspace ", printable(root.string()), ": ", failed.message()));
}

// --keep, a loud activation or an edit may have given operands several widths.
void warn_unequal(const Sites& sites, const QuantPlan& plan) {
  const auto shown = [&](const std::string& name) {
    const int bits = plan.activation_bits.at(name);
    return cat("'", printable(name), "' (", bits == kFloatBits ? "float" : cat(bits, " bits"), ")");
  };
  // Around those operators a value has the width of its branch.
  const std::set<std::string> branched = branched_values(sites);
  const auto width = [&](const std::string& name) {
    const int bits = plan.activation_bits.at(name);
    return branched.contains(name) ? std::max(bits, kBranchBits) : bits;
  };
  for (const ActivationSite& site : sites.activations) {
    const std::string& owner = site.shares_with;
    if (owner.empty() || width(site.name) == width(owner)) continue;
    log(LogLevel::kWarning,
        cat("activations ", shown(site.name), " and ", shown(owner),
            " differ in width: their parameters are not equal, as the device wants them"));
  }
}

// A model that already carries Q/DQ has its numbers decided; quantizing it again is a mistake.
void refuse_quantized(const Model& model) {
  if (const Node* node = quantized_node(model.graph)) {
    throw_model("QT-E334", cat("the model is quantized already: ", node_text(*node)));
  }
}

// Samples made from the model, kept in the workspace as its data.
DataRequest made_data(const CalibrateRequest& request, const Model& model, const fs::path& root) {
  const auto [name, samples] = synthesize(model, {.samples = request.synthetic_samples,
                                                  .seed = request.data.seed,
                                                  .threads = request.threads});
  make_folder(root);
  const fs::path file = root / "synthetic.npz";
  write_npz(file, {{name, samples}});
  log(LogLevel::kWarning,
      "samples made from the model: ranges are usable, accuracy on them says little");
  DataRequest data = request.data;
  data.data = {file};
  return data;
}

std::string hash_of(const fs::path& path) {
  return hex64(fnv1a(read_file(path, ErrorKind::kUsage)));
}

}  // namespace

Calibrated run_calibrate(const CalibrateRequest& request) {
  const double begin = now_seconds();
  const Model model = load_model(request.model);
  refuse_quantized(model);
  Model prepared = prepare(model);
  const fs::path root = request.workspace.value_or(fs::path(".qtool"));
  DataRequest data = request.synthetic_samples > 0 ? made_data(request, model, root) : request.data;
  const auto source = open_source(data, prepared);
  Calibrated c;
  c.data = source->describe();
  Workspace& w = c.workspace;
  w.ranks = observed_ranks(prepared, *source);
  set_ranks(prepared, w.ranks);
  const auto apply = [&](const std::vector<EditedValue>& chosen) {
    const std::vector<ChannelEdit> edits = edits_of(chosen);
    if (!edits.empty()) prepared = edit_channels(prepared, edits);
    w.channel_edits.insert(w.channel_edits.end(), edits.begin(), edits.end());
    return chosen;
  };
  const auto look = [&] { return observe(prepared, *targets().front(), *source, request.threads); };
  // Few models need edits: factors are looked for in the statistics that stay where none is found.
  std::optional<Observed> seen;
  if (request.equalize) {
    seen = look();
    c.equalized = apply(equalize(scalable_values(prepared), seen->table));
  }
  if (!request.outliers.empty())
    c.eased = apply(choose_outlier_edits(prepared, *source, request.outliers, request.threads));
  Observed observed = seen && w.channel_edits.empty() ? *std::move(seen) : look();
  if (observed.sites.layers.empty() && observed.sites.stored.empty())
    log(LogLevel::kWarning, "the model has no layer with weights to quantize");
  c.table = std::move(observed.table);
  w.unreached = std::move(observed.unreached);
  c.table.model_fingerprint = model.fingerprint;
  c.table.random_data = request.data.random_samples > 0;
  c.skipped = source->skipped();
  w.root = root;
  w.model = fs::absolute(request.model);
  w.fingerprint = model.fingerprint;
  for (const fs::path& path : data.data) w.data.push_back(fs::absolute(path));
  w.preprocess = resolve_preprocess(request.data, request.model);
  w.data_options = data.options;
  w.random_samples = request.data.random_samples;
  w.seed = request.data.seed;
  make_folder(w.root);
  std::error_code failed;
  // Older plans and scores belong to other statistics.
  for (const char* name : {kScores, kCandidates, kPlan, kSteps}) fs::remove(w.file(name), failed);
  save_calibration(c.table, w.file(kCalibration));
  save_workspace(w);
  c.seconds = now_seconds() - begin;
  return c;
}

QuantizeReport run_quantize(const Workspace& workspace, const QuantizeRequest& request) {
  const double begin = now_seconds();
  Workspace w = workspace;
  PlanRequest wanted = request.plan.value_or(PlanRequest{});
  wanted.threads = request.threads;
  // Without a plan the safest width: everything in 8 bits.
  if (!request.plan && !fs::exists(w.file(kPlan))) wanted.uniform = "w8a8";
  std::optional<PlanRequest> planned;
  if (wanted.uniform || !wanted.budgets.empty()) planned = checked(wanted);
  Prepared p = load_prepared(w, wanted.target);
  if (planned) choose_plan(w, *planned, p);
  const CalibrationTable table = load_table(w);
  QuantizeReport report;
  report.plan = load_plan(w.file(kPlan), p.sites, w.fingerprint);
  share_parameters(p.sites, p.model, report.plan.style.equal_around);
  if (report.plan.style.narrow_branches) join_branches(p.sites);
  if (!report.plan.style.equal_around.empty()) warn_unequal(p.sites, report.plan);
  QuantizeOptions options;
  options.threads = request.threads;
  options.target = wanted.target;
  options.optimizer = wanted.optimizer;
  options.export_style =
      request.export_style.empty() ? report.plan.export_style : request.export_style;
  options.bias_correction = request.bias_correction;
  options.tuning_rounds = request.effort == "best" ? 20 : 0;
  if (request.seconds > 0) options.until = begin + request.seconds;
  options.most_steps = request.steps;
  if (request.seconds > 0 || request.steps > 0) {
    options.steps_file = w.file(kSteps);
    options.steps_key =
        cat(kVersion, " ", w.fingerprint, " ", hash_of(w.file(kPlan)), " ",
            hash_of(w.file(kCalibration)), " ", options.target, " ", options.tuning_rounds, " ",
            options.bias_correction ? "" : "no bias correction");
  }
  options.provenance = cat("plan=", report.plan.source, " range=", report.plan.style.range_method,
                           " target=", options.target, " export=", options.export_style,
                           " bias_correction=", options.bias_correction ? "tried" : "off",
                           table.random_data ? " random_data" : "");
  report.output =
      request.output.empty() ? fs::path(w.model.stem().string() + ".q.onnx") : request.output;
  if (fs::exists(report.output) && fs::equivalent(report.output, w.model)) {
    throw Error(ErrorKind::kUsage, "QT-E128", "the output would replace the float model")
        .hint("give another name with -o");
  }
  const auto source = source_of(w, p.model);
  report.quantized = quantize_model(p.model, p.sites, report.plan, table, source.get(), options);
  if (restore_output_types(report.quantized.model, p.outputs))
    lint_export(report.quantized.model, p.model, options.target);
  report.size_bytes = save_model(report.quantized.model, report.output);
  if (!report.quantized.encodings.empty())
    write_file_atomic(fs::path(report.output).replace_extension(".encodings"),
                      report.quantized.encodings);
  report.float_bytes = p.file_bytes;
  w.quantized = fs::absolute(report.output);
  save_workspace(w);
  report.seconds = now_seconds() - begin;
  return report;
}

}  // namespace qtool
