#include <cstdlib>
#include <nlohmann/json.hpp>

#include "qtool/pipeline.hpp"

namespace qtool {

namespace fs = std::filesystem;
using Json = nlohmann::json;

static constexpr const char* kFolder = ".qtool";
static constexpr const char* kSchema = "qtool.workspace/2";

Workspace open_workspace(const std::optional<fs::path>& given) {
  fs::path root;
  if (given) {
    root = *given;
  } else {
    for (fs::path at = fs::current_path();; at = at.parent_path()) {
      if (fs::exists(at / kFolder / "workspace.json")) {
        root = at / kFolder;
        break;
      }
      if (at == at.parent_path()) break;
    }
  }
  if (root.empty() || !fs::exists(root / "workspace.json")) {
    throw Error(
        ErrorKind::kUsage, "QT-E140",
        given ? cat("no workspace in ", printable(given->string())) : "no workspace here or above")
        .hint("run `qtool calibrate MODEL DATA` first");
  }
  try {
    const Json json = Json::parse(read_file(root / "workspace.json", ErrorKind::kUsage));
    if (json.at("schema") != kSchema) {
      throw Error(ErrorKind::kUsage, "QT-E141",
                  cat("workspace ", printable(root.string()), " was made by another version"))
          .hint("run `qtool calibrate MODEL DATA` again");
    }
    Workspace w;
    w.root = root;
    w.model = json.at("model").get<std::string>();
    w.fingerprint = json.at("model_fingerprint");
    for (const Json& path : json.at("data")) w.data.emplace_back(path.get<std::string>());
    w.preprocess = preprocess_from_json(json.at("preprocess").dump());
    w.data_options.limit = json.at("limit");
    w.data_options.skip_bad = json.at("skip_bad");
    if (!json.at("shuffle_seed").is_null())
      w.data_options.shuffle_seed = json.at("shuffle_seed").get<uint64_t>();
    w.data_options.constants = json.value("constants", std::map<std::string, double>());
    for (const Json& edit : json.at("channel_edits"))
      w.channel_edits.push_back(
          {edit.at("value"), edit.at("shifts"), edit.at("factors"), edit.at("copies")});
    w.ranks = json.value("ranks", std::map<std::string, int64_t>());
    w.unreached = json.value("unreached", std::set<std::string>());
    w.random_samples = json.at("random_samples");
    w.seed = json.at("seed");
    w.quantized = json.value("quantized", std::string());
    return w;
  } catch (const Json::exception& e) {
    throw Error(ErrorKind::kUsage, "QT-E141",
                cat("workspace ", printable(root.string()), " is damaged: ", printable(e.what())))
        .hint("run `qtool calibrate MODEL DATA` again");
  }
}

void save_workspace(const Workspace& w) {
  Json data = Json::array();
  for (const fs::path& path : w.data) data.push_back(path.string());
  Json edits = Json::array();
  for (const ChannelEdit& edit : w.channel_edits)
    edits.push_back({{"value", edit.value},
                     {"shifts", edit.shifts},
                     {"factors", edit.factors},
                     {"copies", edit.copies}});
  const Json json = {
      {"schema", kSchema},
      {"model", w.model.string()},
      {"model_fingerprint", w.fingerprint},
      {"data", data},
      {"preprocess", Json::parse(preprocess_json(w.preprocess))},
      {"limit", w.data_options.limit},
      {"skip_bad", w.data_options.skip_bad},
      {"shuffle_seed", w.data_options.shuffle_seed ? Json(*w.data_options.shuffle_seed) : Json()},
      {"constants", w.data_options.constants},
      {"channel_edits", edits},
      {"ranks", w.ranks},
      {"unreached", w.unreached},
      {"random_samples", w.random_samples},
      {"seed", w.seed},
      {"quantized", w.quantized.string()}};
  write_file_atomic(w.file("workspace.json"), json.dump(1) + "\n");
}

}  // namespace qtool
