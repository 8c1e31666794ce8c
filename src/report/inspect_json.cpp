#include <nlohmann/json.hpp>

#include "report/json_text.hpp"
#include "report/stages.hpp"

namespace qtool {

using namespace report;
using Json = nlohmann::ordered_json;

namespace {

Json ports(const std::vector<Inspection::Port>& list) {
  Json out = Json::array();
  for (const auto& p : list)
    out.push_back(
        {{"name", p.name}, {"type", p.type}, {"shape", p.shape_known ? Json(p.shape) : Json()}});
  return out;
}

}  // namespace

std::string inspect_json(const Inspection& in) {
  Json layers = Json::array(), nodes = Json::array();
  for (const LayerSite& l : in.layers) {
    layers.push_back({{"name", l.name},
                      {"op", l.type},
                      {"macs", l.macs},
                      {"weights", l.weights},
                      {"quantizable", l.reason.empty()},
                      {"reason", text_or_null<Json>(l.reason)}});
  }
  Json stored = Json::array();
  for (const StoredSite& s : in.stored)
    stored.push_back({{"name", s.name},
                      {"op", s.type},
                      {"weights", s.weights},
                      {"quantizable", s.reason.empty()},
                      {"reason", text_or_null<Json>(s.reason.empty() ? s.float_input : s.reason)}});
  for (const NodeSite& n : in.nodes)
    nodes.push_back({{"name", n.name},
                     {"op", n.type},
                     {"quantizable", n.reason.empty()},
                     {"reason", text_or_null<Json>(n.reason)}});
  const Json json = {{"schema", "qtool.inspect/1"},
                     {"model",
                      {{"path", in.path},
                       {"sha256", in.sha256},
                       {"ir_version", in.ir_version},
                       {"opset", in.opset},
                       {"inputs", ports(in.inputs)},
                       {"outputs", ports(in.outputs)},
                       {"parameters", in.parameters},
                       {"macs", in.macs},
                       {"operators", in.operators}}},
                     {"layers", layers},
                     {"stored", stored},
                     {"nodes", nodes}};
  return json_text(json);
}

}  // namespace qtool
