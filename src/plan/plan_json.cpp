#include <fstream>
#include <nlohmann/json.hpp>

#include "qtool/branches.hpp"
#include "qtool/budget.hpp"

namespace qtool {
namespace {

using Json = nlohmann::json;

[[noreturn]] void bad(const std::filesystem::path& path, std::string why, std::string hint = "") {
  throw Error(ErrorKind::kUsage, "QT-E130", cat("plan ", printable(path.string()), ": ", why))
      .hint(std::move(hint));
}

// Keys that a hand-edited object may have; anything else is a typing error worth stopping for.
void check_keys(const std::filesystem::path& path, const Json& object,
                const std::vector<std::string>& known, const std::string& where) {
  if (!object.is_object()) bad(path, cat(where, " is no object"));
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const std::string near = nearest(key, known);
    bad(path, cat("unknown key '", printable(key), "' in ", where),
        near.empty() ? "" : cat("did you mean '", near, "'?"));
  }
}

Json bits_json(int bits) { return bits == kFloatBits ? Json("float") : Json(bits); }

int bits_of(const std::filesystem::path& path, const Json& value, int lowest, int highest,
            const std::string& where) {
  if (value.is_string() && value.get<std::string>() == "float") return kFloatBits;
  if (value.is_number_integer()) {
    const auto bits = value.get<int64_t>();
    if ((bits >= lowest && bits <= highest) || bits == kFloatBits) return static_cast<int>(bits);
  }
  bad(path, cat(where, " must be ", lowest, " to ", highest, " or \"float\", not ",
                printable(value.dump(), 40)));
}

// One width, or a list of one an output channel.
void read_widths(const std::filesystem::path& path, const Json& value, const LayerSite& site,
                 LayerChoice& layer) {
  const int lowest = parse_format(layer.format).def->min_bits;
  const std::string where = cat("weight_bits of '", printable(site.name), "'");
  layer.filter_bits.clear();
  if (!value.is_array()) {
    layer.weight_bits = bits_of(path, value, lowest, 8, where);
    if (layer.weight_bits != kFloatBits)
      check_format_bits(parse_format(layer.format), layer.weight_bits);
    return;
  }
  if (layer.format != "uniform") bad(path, cat(where, ": only uniform weights take a list"));
  if (static_cast<int64_t>(value.size()) != site.channels)
    bad(path, cat(where, " lists ", value.size(), " widths for ", site.channels, " channels"));
  for (const Json& item : value) {
    const bool pruned = item.is_number_integer() && item.get<int64_t>() == 0;
    layer.filter_bits.push_back(pruned ? 0 : bits_of(path, item, 2, 8, where));
    if (layer.filter_bits.back() == kFloatBits)
      bad(path, cat(where, ": a channel cannot be float"));
  }
  layer.weight_bits = *std::max_element(layer.filter_bits.begin(), layer.filter_bits.end());
}

void read_layer(const std::filesystem::path& path, const Json& item, const Sites& sites,
                QuantPlan& plan) {
  check_keys(path, item,
             {"name", "weight_bits", "activation_bits", "activation_mode", "weight_scale", "format",
              "method", "reason"},
             "a layer");
  if (!item.contains("name") || !item["name"].is_string()) bad(path, "a layer has no name");
  const std::string name = item["name"];
  const LayerSite* site = sites.layer(name);
  if (!site || !site->reason.empty()) {
    std::vector<std::string> names;
    for (const LayerSite& s : sites.layers)
      if (s.reason.empty()) names.push_back(s.name);
    const std::string near = nearest(name, names);
    bad(path,
        cat("layer '", printable(name), "' ",
            site ? "cannot be quantized: " + site->reason : "is not in the model"),
        near.empty() ? "" : cat("did you mean '", near, "'?"));
  }
  LayerChoice* layer = plan.layer(name);
  if (!layer) layer = &plan.layers.emplace_back(LayerChoice{.name = name});
  layer->format = parse_format(item.value("format", std::string("uniform"))).text();
  read_widths(path, item.value("weight_bits", Json(8)), *site, *layer);
  layer->activation_bits = bits_of(path, item.value("activation_bits", Json(8)), 1, 16,
                                   cat("activation_bits of '", printable(name), "'"));
  const std::string mode = item.value("activation_mode", std::string("static"));
  const std::optional<ActivationMode> known = find_activation_mode(mode);
  if (!known)
    bad(path, cat("activation_mode of '", printable(name), "' is static, dynamic or token, not ",
                  printable(mode, 40)));
  layer->mode = *known;
  if (layer->dynamic() && layer->activation_bits != 8)
    bad(path, cat("layer '", printable(name), "': dynamic activations have 8 bits"));
  layer->scale = parse_weight_scale(item.value("weight_scale", std::string("channel")));
  const WeightFormat format = parse_format(layer->format);
  const bool own = format.def->scale_block > 0 || subgroup_of(format) != Subgroup::kChannel;
  if (own && !layer->scale.by_channel())
    bad(path, cat("layer '", printable(name), "': format ", layer->format,
                  " has scales of its own, so that it takes no weight_scale"));
  if (own) layer->scale.block = format.def->scale_block;
  layer->method = item.value("method", std::string("rtn"));
  layer->reason = item.value("reason", std::string());
  if (layer->dynamic()) return;
  if (site->float_input.empty()) {
    plan.activation_bits[site->input] = layer->activation_bits;
  } else {
    layer->activation_bits = kFloatBits;
  }
}

void read_stored(const std::filesystem::path& path, const Json& item, const Sites& sites,
                 QuantPlan& plan) {
  check_keys(path, item, {"name", "weight_bits", "weight_scale", "reason"}, "a stored weight");
  const std::string name = item.at("name");
  const auto choice = std::find_if(plan.stored.begin(), plan.stored.end(),
                                   [&](const LayerChoice& c) { return c.name == name; });
  if (choice == plan.stored.end()) {
    const StoredSite* site = sites.stored_weight(name);
    bad(path, cat("stored weight '", printable(name), "' ",
                  site ? "cannot be quantized: " + site->reason : "is not in the model"));
  }
  choice->weight_bits = bits_of(path, item.value("weight_bits", Json(8)), 2, 8,
                                cat("weight_bits of '", printable(name), "'"));
  choice->scale.block =
      parse_weight_scale(item.value("weight_scale", std::string("channel"))).block;
  choice->reason = item.value("reason", std::string());
}

}  // namespace

void save_plan(const QuantPlan& plan, const std::filesystem::path& path) {
  Json layers = Json::array();
  for (const LayerChoice& l : plan.layers) {
    Json item = {
        {"name", l.name},
        {"weight_bits", l.filter_bits.empty() ? bits_json(l.weight_bits) : Json(l.filter_bits)},
        {"activation_bits", bits_json(l.activation_bits)},
        {"method", l.method}};
    if (!l.scale.by_channel() && parse_format(l.format).def->scale_block == 0)
      item["weight_scale"] = weight_scale_text(l.scale);
    if (l.dynamic()) item["activation_mode"] = activation_mode_name(l.mode);
    if (l.format != "uniform") item["format"] = l.format;
    if (!l.reason.empty()) item["reason"] = l.reason;
    layers.push_back(std::move(item));
  }
  Json stored = Json::array();
  for (const LayerChoice& s : plan.stored) {
    Json item = {{"name", s.name}, {"weight_bits", bits_json(s.weight_bits)}};
    if (!s.scale.by_channel()) item["weight_scale"] = weight_scale_text(s.scale);
    if (!s.reason.empty()) item["reason"] = s.reason;
    stored.push_back(std::move(item));
  }
  Json activations = Json::object();
  for (const auto& [name, bits] : plan.activation_bits) activations[name] = bits_json(bits);
  Json json = {{"schema", "qtool.plan/1"},
               {"model_fingerprint", plan.model_fingerprint},
               {"source", plan.source},
               {"range_method", plan.style.range_method},
               {"signed_activations", plan.style.signed_codes},
               {"power_of_two_scales", plan.style.power_of_two_scales},
               {"layers", layers},
               {"stored", stored},
               {"activations", activations}};
  if (!plan.style.equal_around.empty()) json["equal_around"] = plan.style.equal_around;
  if (plan.style.narrow_branches) json["narrow_branches"] = true;
  if (plan.export_style != "qdq") json["export"] = plan.export_style;
  if (plan.most_bytes > 0) json["most_bytes"] = plan.most_bytes;
  write_file_atomic(path, json.dump(1) + "\n");
}

QuantPlan load_plan(const std::filesystem::path& path, const Sites& sites,
                    const std::string& fingerprint) {
  Json json;
  try {
    json = Json::parse(read_file(path, ErrorKind::kUsage));
  } catch (const Json::exception& e) {
    bad(path, cat("not valid JSON: ", printable(e.what())));
  }
  check_keys(path, json,
             {"schema", "model_fingerprint", "source", "range_method", "signed_activations",
              "power_of_two_scales", "equal_around", "layers", "stored", "activations", "export",
              "most_bytes", "narrow_branches"},
             "the plan");
  try {
    if (json.value("model_fingerprint", std::string()) != fingerprint) {
      bad(path, "it was made for another model", "run `qtool search` again");
    }
    QuantPlan plan = uniform_plan(sites, {8, 8});
    plan.model_fingerprint = fingerprint;
    plan.source = json.value("source", std::string("edited"));
    plan.style.range_method = json.value("range_method", std::string("mse"));
    plan.style.signed_codes = json.value("signed_activations", false);
    plan.style.power_of_two_scales = json.value("power_of_two_scales", false);
    plan.style.equal_around = json.value("equal_around", std::vector<std::string>{});
    check_shared_types(plan.style.equal_around);
    plan.export_style = json.value("export", std::string("qdq"));
    plan.most_bytes = json.value("most_bytes", int64_t{0});
    const Json activations = json.value("activations", Json::object()),
               layers = json.value("layers", Json::array());
    for (const auto& [name, bits] : activations.items()) {
      if (!sites.activation(name))
        bad(path, cat("activation '", printable(name), "' is not in the model"));
      plan.activation_bits[name] =
          bits_of(path, bits, 1, 16, cat("activation '", printable(name), "'"));
    }
    for (const Json& item : layers) read_layer(path, item, sites, plan);
    for (const Json& item : json.value("stored", Json::array()))
      read_stored(path, item, sites, plan);
    plan.style.narrow_branches = json.value("narrow_branches", false);
    if (!plan.style.narrow_branches) widen_branches(plan, sites);
    return plan;
  } catch (const Json::exception& e) {
    bad(path, cat("a value has the wrong type: ", printable(e.what())));
  }
}

}  // namespace qtool
