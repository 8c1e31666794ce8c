#include <nlohmann/json.hpp>

#include "qtool/score.hpp"

namespace qtool {

using Json = nlohmann::json;

void save_scores(const ScoreTable& scores, const std::filesystem::path& path) {
  Json groups = Json::array();
  for (const GroupScore& g : scores.groups) {
    groups.push_back({{"kind", g.kind == GroupKind::kWeights ? "weights" : "activation"},
                      {"name", g.name},
                      {"bits", g.bits},
                      {"noise", g.noise}});
    if (!g.filter_noise.empty()) groups.back()["filter_noise"] = g.filter_noise;
    if (!g.importance.empty()) groups.back()["importance"] = g.importance;
    if (!g.error.empty()) groups.back()["error"] = g.error;
  }
  const Json json = {{"schema", "qtool.scores/1"}, {"model_fingerprint", scores.model_fingerprint},
                     {"method", scores.method},    {"samples", scores.samples},
                     {"key", scores.key},          {"groups", groups}};
  write_file_atomic(path, json.dump(1) + "\n");
}

ScoreTable load_scores(const std::filesystem::path& path) {
  try {
    const Json json = Json::parse(read_file(path, ErrorKind::kUsage));
    ScoreTable scores{json.at("model_fingerprint"),
                      json.at("method"),
                      json.at("samples"),
                      {},
                      json.value("key", std::string())};
    for (const Json& g : json.at("groups")) {
      scores.groups.push_back(
          {g.at("kind") == "weights" ? GroupKind::kWeights : GroupKind::kActivation, g.at("name"),
           g.at("bits"), g.at("noise"), g.value("filter_noise", std::vector<std::vector<double>>{}),
           g.value("importance", std::vector<double>{}),
           g.value("error", std::vector<std::vector<float>>{})});
    }
    return scores;
  } catch (const Json::exception& e) {
    throw Error(ErrorKind::kUsage, "QT-E131",
                cat("scores ", printable(path.string()), ": ", printable(e.what())))
        .hint("run `qtool search` again");
  }
}

}  // namespace qtool
