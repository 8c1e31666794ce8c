#include "qtool/command.hpp"
#include "qtool/stages.hpp"

namespace cli {
namespace {

using qtool::cat;

struct Options {
  std::string model, output, target = "ort-cpu";
  double seconds = 1;
  void bind(CLI::App& app) {
    app.add_option("MODEL", model, "the float model")->required();
    app.add_option("-o,--output", output, "the profile (default: MODEL.profile.json here)")
        ->type_name("FILE");
    app.add_option("--target", target,
                   "runtime whose graphs are measured (see `qtool list targets`)");
    app.add_option("--seconds", seconds, "how long to measure each of the three networks")
        ->check(CLI::Range(0.01, 3600.0));
  }
};

Outcome run(const Options& o, const GlobalOptions& global) {
  qtool::ProfileRequest request;
  request.model = o.model;
  request.target = o.target;
  request.seconds = o.seconds;
  request.threads = global.thread_count();
  const qtool::Profiled profiled = qtool::run_profile(request);
  const std::string output = o.output.empty()
                                 ? std::filesystem::path(o.model).stem().string() + ".profile.json"
                                 : o.output;
  const std::string json = qtool::profile_json(profiled.profile);
  qtool::write_file_atomic(output, json);
  if (global.json) return {json};
  std::vector<std::vector<std::string>> rows = {{"layer", "float ms", "8 bits ms"}};
  for (const auto& row : profiled.profile.layers) {
    rows.push_back({qtool::printable(row.layer, 60), qtool::fixed(row.float_ms, 4),
                    qtool::fixed(row.integer_ms, 4)});
  }
  rows.push_back({"everything else", qtool::fixed(profiled.profile.other_float_ms, 4),
                  qtool::fixed(profiled.profile.other_integer_ms, 4)});
  rows.push_back(
      {"a sample", qtool::fixed(profiled.float_ms, 4), qtool::fixed(profiled.integer_ms, 4)});
  return {cat(qtool::format_table(rows), "\nprofile  ", qtool::printable(output),
              "\nuse it   qtool search --budget 60%latency@", qtool::printable(output),
              " --weights 4,8,float\n")};
}

}  // namespace

const Command kProfile = {
    .name = "profile",
    .summary = "measure layers on this machine, for latency budgets",
    .examples =
        "Examples:\n  qtool profile net.onnx -o here.json\n  qtool search --budget "
        "60%latency@here.json --weights 8,float",
    .setup = [](CLI::App& app,
                const GlobalOptions& global) { return bind<Options>(app, global, run); },
};

}  // namespace cli
