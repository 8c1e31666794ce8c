#include <filesystem>
#include <qtool/narrow.hpp>
#include <qtool/onnx.hpp>
#include <qtool/report.hpp>

#include "qtool/command.hpp"

namespace cli {
namespace {

struct Options {
  std::string model, output;
  int weights = 0;
  void bind(CLI::App& app) {
    app.add_option("MODEL", model, "a file with nested codes (--format nested)")->required();
    app.add_option("--weights", weights, "bits at which they are read")->required();
    app.add_option("-o,--output", output, "the narrow model (default: MODEL.wN.onnx here)")
        ->type_name("FILE");
  }
};

Outcome run(const Options& o, const GlobalOptions& global) {
  const qtool::Model narrow = qtool::narrowed(qtool::load_model(o.model), o.weights);
  const std::string output =
      o.output.empty()
          ? qtool::cat(std::filesystem::path(o.model).stem().string(), ".w", o.weights, ".onnx")
          : o.output;
  const qtool::NarrowResult result{output, o.weights, qtool::save_model(narrow, output)};
  return {global.json ? qtool::narrow_json(result) : qtool::narrow_text(result)};
}

}  // namespace

const Command kNarrow = {
    .name = "narrow",
    .summary = "take the network of fewer bits out of a file with nested codes",
    .examples =
        "Examples:\n  qtool auto net.onnx images/ --uniform w6a8 --format nested -o "
        "net.w6.onnx\n  qtool narrow net.w6.onnx --weights 3 -o net.w3.onnx",
    .setup = [](CLI::App& app,
                const GlobalOptions& global) { return bind<Options>(app, global, run); },
};

}  // namespace cli
