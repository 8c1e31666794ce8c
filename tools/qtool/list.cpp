#include <qtool/data.hpp>
#include <qtool/onnx.hpp>
#include <qtool/ops.hpp>
#include <qtool/profile.hpp>
#include <qtool/score.hpp>
#include <qtool/search.hpp>

#include "qtool/command.hpp"

namespace cli {
namespace {

using qtool::cat;
using qtool::Listing;
using Rows = std::vector<std::pair<std::string, std::string>>;

struct Options {
  std::string kind, plot, plot_model;
  void bind(CLI::App& app) {
    app.add_option(
        "KIND", kind,
        "ops, ranges, outliers, scores, solvers, formats, optimizers, exports, targets, profiles, "
        "metrics or readers (default: all but ops)");
    auto* draw =
        app.add_option("--plot", plot, "formats: draw the numbers that each rounds weights to")
            ->type_name("FILE.svg");
    app.add_option("--plot-model", plot_model,
                   "whose largest layer's weights (default: normal ones)")
        ->type_name("MODEL")
        ->needs(draw);
  }
};

template <typename Records>
Rows rows_of(const Records& records) {
  Rows rows;
  for (const auto* record : records) rows.emplace_back(record->name, record->summary);
  return rows;
}

std::string quantization_text(const qtool::QuantRule& rule) {
  switch (rule.kind) {
    case qtool::QuantKind::kNone:
      return cat("float: ", rule.reason);
    case qtool::QuantKind::kLinear:
      return "quantized: weights and activations";
    case qtool::QuantKind::kActivation:
      return "quantized: folded into its producer";
    case qtool::QuantKind::kBinary:
      return "quantized: own output range";
    case qtool::QuantKind::kJoint:
      return "quantized: inputs share parameters";
    case qtool::QuantKind::kAverage:
      return "quantized: own output range";
    case qtool::QuantKind::kMovement:
      return "quantized: passes codes on";
    case qtool::QuantKind::kFunction:
      break;
  }
  return "in float, or a table of codes between quantized values";
}

Rows op_rows() {
  Rows rows;
  for (const qtool::OpDef* op : qtool::all_ops()) {
    rows.emplace_back(op->domain.empty() ? std::string(op->type) : cat(op->domain, ".", op->type),
                      cat("opset ", op->since, "+, ", quantization_text(op->quant)));
  }
  return rows;
}

Rows solver_rows() {
  Rows rows = {{"auto", "dp for one limit, branch-and-bound for several"}};
  for (const qtool::SolverDef* solver : qtool::all_solvers()) {
    std::string options;
    for (const qtool::SolverOption& option : solver->options)
      options += cat(options.empty() ? " (" : ", ", option.name, "=", option.default_value);
    rows.emplace_back(solver->name, cat(solver->summary, options, options.empty() ? "" : ")"));
  }
  return rows;
}

// Whether codes are written as they are; else as indices into a codebook.
bool stores_codes(const qtool::FormatDef& format) {
  using qtool::CodebookOf;
  if (format.of == CodebookOf::kNone || format.of == CodebookOf::kType) return true;
  return format.of == CodebookOf::kFixed &&
         format.codebook({qtool::parse_format(format.name), format.max_bits, {}}).largest() <= 1;
}

std::string scale_text(const qtool::FormatDef& format) {
  std::string text = format.power_of_two_scales ? "2^k " : "";
  text += format.scale_block > 0 ? cat("a block of ", format.scale_block) : "a channel";
  if (format.shifts_activations) text += ", activations too";
  return text + (format.subgroup ? " x a place in the kernel" : "");
}

// What is stored besides codes and scales.
std::string codebook_text(const qtool::FormatDef& format) {
  switch (format.of) {
    case qtool::CodebookOf::kNone:
    case qtool::CodebookOf::kType:
      return "-";
    case qtool::CodebookOf::kFixed:
      return stores_codes(format) ? "-" : "codebook of the model";
    case qtool::CodebookOf::kModel:
      return "codebook of the model";
    case qtool::CodebookOf::kLayer:
      break;
  }
  return format.spaces ? "codebooks of parts of rows" : "codebook of the layer";
}

std::string file_text(const qtool::FormatDef& format) {
  const bool blocks = format.scale_block > 0 || format.subgroup;
  const std::string codes = !stores_codes(format)                   ? "indices"
                            : format.of == qtool::CodebookOf::kType ? "float8 codes"
                                                                    : "codes";
  return cat(codes, blocks ? ", scales in blocks" : "");
}

// What a product takes on a device that makes use of the format.
std::string mac_text(const qtool::FormatDef& format) {
  const std::string one(qtool::mac_name(format.mac));
  if (!format.macs) return one;
  const int least = format.macs(format.min_bits), most = format.macs(format.max_bits);
  return cat(least, least != most ? cat("-", most) : "", " x ", one);
}

std::string options_text(const qtool::FormatDef& format) {
  std::string name(format.name);
  char separator = ':';
  for (const qtool::FormatOption& option : format.options) {
    name += cat(std::string(1, separator), option.name, "=");
    for (size_t i = 0; i < option.values.size(); ++i) name += cat(i ? "|" : "", option.values[i]);
    separator = ',';
  }
  return name;
}

Listing format_listing() {
  Listing listing = {
      "formats", {}, {"bits", "levels", "scales", "besides", "in the file", "product", "paper"}};
  for (const qtool::FormatDef* format : qtool::formats()) {
    listing.rows.emplace_back(options_text(*format), format->summary);
    listing.facts.push_back(
        {format->min_bits == format->max_bits ? cat(format->min_bits)
                                              : cat(format->min_bits, "-", format->max_bits),
         std::string(format->levels), scale_text(*format), codebook_text(*format),
         file_text(*format), mac_text(*format), std::string(format->paper)});
  }
  return listing;
}

Rows reader_rows() {
  Rows rows;
  for (const qtool::ReaderInfo& reader : qtool::list_readers())
    rows.emplace_back(reader.name, reader.summary);
  return rows;
}

Rows metric_rows() {
  return {{"top1, top5", "share of samples whose label is the best, among the best five"},
          {"agreement", "share of samples with the float model's answer, Wilson 95 % interval"},
          {"sqnr_db", "signal-to-quantization-noise ratio of each output against float"},
          {"cosine", "of each output with the float model's"},
          {"max_abs_error", "largest difference of each output"}};
}

Listing listing(std::string kind, Rows rows) { return {std::move(kind), std::move(rows)}; }

const std::vector<std::pair<std::string, Listing (*)()>>& kinds() {
  static const std::vector<std::pair<std::string, Listing (*)()>> kKinds = {
      {"ops", [] { return listing("ops", op_rows()); }},
      {"ranges", [] { return listing("ranges", rows_of(qtool::range_methods())); }},
      {"outliers", [] { return listing("outliers", rows_of(qtool::outlier_methods())); }},
      {"scores", [] { return listing("scores", rows_of(qtool::score_methods())); }},
      {"solvers", [] { return listing("solvers", solver_rows()); }},
      {"formats", format_listing},
      {"optimizers", [] { return listing("optimizers", rows_of(qtool::optimizers())); }},
      {"exports", [] { return listing("exports", rows_of(qtool::export_styles())); }},
      {"profiles", [] { return listing("profiles", qtool::built_in_profiles()); }},
      {"targets", [] { return listing("targets", rows_of(qtool::targets())); }},
      {"metrics", [] { return listing("metrics", metric_rows()); }},
      {"readers", [] { return listing("readers", reader_rows()); }},
  };
  return kKinds;
}

Outcome run(const Options& o, const GlobalOptions& global) {
  std::vector<Listing> listings;
  std::vector<std::string> names;
  for (const auto& [name, listed] : kinds()) {
    names.push_back(name);
    if (o.kind == name || (o.kind.empty() && name != "ops")) listings.push_back(listed());
  }
  if (listings.empty()) check_choice("KIND", o.kind, names);
  if (!o.plot_model.empty()) {
    const qtool::Model model = qtool::load_model(o.plot_model);
    qtool::write_file_atomic(o.plot, qtool::format_plot(&model));
  } else if (!o.plot.empty()) {
    qtool::write_file_atomic(o.plot, qtool::format_plot());
  }
  return {global.json ? qtool::list_json(listings) : qtool::list_text(listings)};
}

}  // namespace

const Command kList = {
    .name = "list",
    .summary = "what there is: ops, ranges, scores, solvers, formats ...",
    .examples =
        "Examples:\n  qtool list\n  qtool list ops\n  qtool list formats --plot formats.svg "
        "--plot-model net.onnx",
    .setup = [](CLI::App& app,
                const GlobalOptions& global) { return bind<Options>(app, global, run); },
};

}  // namespace cli
