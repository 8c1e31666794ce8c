#include <nlohmann/json.hpp>

#include "qtool/score.hpp"

namespace qtool {

using Json = nlohmann::json;

namespace {

// A number, or where format or mode are not the usual ones an object.
Json widths_json(const std::vector<Width>& widths) {
  Json list = Json::array();
  for (const Width& w : widths) {
    if (w == Width(w.bits))
      list.push_back(w.bits);
    else
      list.push_back({{"bits", w.bits},
                      {"format", w.format},
                      {"mode", std::string(activation_mode_name(w.mode))}});
  }
  return list;
}

std::vector<Width> widths_of(const Json& list) {
  std::vector<Width> widths;
  for (const Json& w : list) {
    if (w.is_number())
      widths.emplace_back(w.get<int>());
    else
      widths.emplace_back(w.at("bits").get<int>(), w.at("format").get<std::string>(),
                          find_activation_mode(w.at("mode").get<std::string>()).value());
  }
  return widths;
}

}  // namespace

void save_scores(const ScoreTable& scores, const std::filesystem::path& path) {
  Json groups = Json::array();
  for (const GroupScore& g : scores.groups) {
    groups.push_back({{"kind", g.kind == GroupKind::kWeights ? "weights" : "activation"},
                      {"name", g.name},
                      {"bits", widths_json(g.widths)},
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
           widths_of(g.at("bits")), g.at("noise"),
           g.value("filter_noise", std::vector<std::vector<double>>{}),
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
