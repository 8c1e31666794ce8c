#include <qtool/onnx.hpp>
#include <qtool/passes.hpp>

#include "qtool/command.hpp"

namespace cli {
namespace {

struct Options {
  std::string model, target = "ort-cpu";
  void bind(CLI::App& app) {
    app.add_option("MODEL", model, "an .onnx file")->required();
    app.add_option("--target", target, "runtime that the model is for (see `qtool list targets`)");
  }
};

Outcome run(const Options& o, const GlobalOptions& global) {
  const qtool::Target& target = qtool::find_target(o.target);
  const qtool::Model model = qtool::load_model(o.model);
  const qtool::Inspection found =
      qtool::inspect(model, qtool::find_sites(qtool::prepare(model), target));
  return {global.json ? qtool::inspect_json(found) : qtool::inspect_text(found)};
}

}  // namespace

const Command kInspect = {
    .name = "inspect",
    .summary = "what is in a model, what can be quantized, and why not",
    .examples = "Example:\n  qtool inspect net.onnx",
    .setup = [](CLI::App& app,
                const GlobalOptions& global) { return bind<Options>(app, global, run); },
};

}  // namespace cli
