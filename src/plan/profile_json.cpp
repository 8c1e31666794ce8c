#include <algorithm>
#include <nlohmann/json.hpp>

#include "plan/built_in_profiles.hpp"
#include "qtool/budget.hpp"
#include "qtool/profile.hpp"

namespace qtool {

using Json = nlohmann::json;

namespace {

[[noreturn]] void bad(const std::string& origin, const std::string& message) {
  throw Error(ErrorKind::kUsage, "QT-E119",
              cat("device profile ", printable(origin), ": ", message))
      .hint("docs/search.md describes profiles; tools/profiles/ holds examples");
}

void check_keys(const std::string& origin, const Json& json, const std::vector<std::string>& known,
                const std::string& where) {
  if (!json.is_object()) bad(origin, cat(where, " is no object"));
  for (const auto& [key, value] : json.items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    const std::string near = nearest(key, known);
    bad(origin, cat("unknown key '", printable(key), "' in ", where,
                    near.empty() ? std::string() : cat("; did you mean '", near, "'?")));
  }
}

int width_of(const std::string& origin, const Json& json) {
  if (json.is_string() && json.get<std::string>() == "float") return kFloatBits;
  if (json.is_number_integer() && json.get<int>() >= 1 && json.get<int>() <= 16)
    return json.get<int>();
  bad(origin, cat("a width is ", printable(json.dump()), ", expected 1 to 16 or \"float\""));
}

Json width_json(int bits) { return bits == kFloatBits ? Json("float") : Json(bits); }

std::vector<int> widths_of(const std::string& origin, const Json& json) {
  std::vector<int> widths;
  for (const Json& width : json) widths.push_back(width_of(origin, width));
  return widths;
}

MacKind mac_of(const std::string& origin, const Json& json) {
  const std::optional<MacKind> mac = find_mac(json.get<std::string>());
  if (!mac)
    bad(origin, cat("'", printable(json.get<std::string>()),
                    "' is neither multiply, shift, add nor lookup"));
  return *mac;
}

// What a weight takes; floats and whole numbers are multiplied.
MacKind mac_of(const Width& weights) {
  return weights.bits == kFloatBits ? MacKind::kMultiply : parse_format(weights.format).def->mac;
}

double positive(const std::string& origin, const Json& json, const std::string& key) {
  const double value = json.get<double>();
  if (!(value >= 0 && value < 1e15)) bad(origin, cat("'", key, "' is not at least 0"));
  return value;
}

DeviceProfile profile_of(const Json& json, const std::string& origin) {
  check_keys(origin, json,
             {"schema", "name", "summary", "target", "allowed", "symmetric_activations",
              "power_of_two_scales", "weight_scale", "equal_around", "conversion_ns_per_element",
              "costs", "measured"},
             "the profile");
  DeviceProfile p;
  p.name = json.value("name", origin);
  p.summary = json.value("summary", std::string());
  p.target = json.value("target", p.target);
  p.symmetric_activations = json.value("symmetric_activations", false);
  p.power_of_two_scales = json.value("power_of_two_scales", false);
  p.equal_around = json.value("equal_around", p.equal_around);
  check_shared_types(p.equal_around);
  p.weight_scale = json.value("weight_scale", p.weight_scale);
  if (p.weight_scale != "channel" && p.weight_scale != "tensor")
    bad(origin, "'weight_scale' is neither \"channel\" nor \"tensor\"");
  p.conversion_ns = positive(origin, json.value("conversion_ns_per_element", Json(0)),
                             "conversion_ns_per_element");
  for (const Json& row : json.value("allowed", Json::array())) {
    check_keys(origin, row, {"ops", "weights", "activations", "macs"}, "'allowed'");
    p.allowed.push_back({row.at("ops"), widths_of(origin, row.at("weights")),
                         widths_of(origin, row.at("activations"))});
    for (const Json& mac : row.value("macs", Json::array()))
      p.allowed.back().macs.push_back(mac_of(origin, mac));
  }
  for (const Json& row : json.value("costs", Json::array())) {
    check_keys(origin, row,
               {"op", "weights", "activations", "gmacs_per_second", "overhead_us", "mac"},
               "'costs'");
    p.costs.push_back({row.at("op"), width_of(origin, row.at("weights")),
                       width_of(origin, row.at("activations")),
                       positive(origin, row.at("gmacs_per_second"), "gmacs_per_second"),
                       positive(origin, row.value("overhead_us", Json(0)), "overhead_us")});
    if (p.costs.back().gmacs_per_second <= 0) bad(origin, "'gmacs_per_second' is 0");
    if (const auto mac = row.find("mac"); mac != row.end())
      p.costs.back().mac = mac_of(origin, *mac);
  }
  if (const auto measured = json.find("measured"); measured != json.end()) {
    check_keys(origin, *measured,
               {"model_fingerprint", "layers", "other_float_ms", "other_integer_ms"}, "'measured'");
    p.model_fingerprint = measured->at("model_fingerprint");
    p.other_float_ms = positive(origin, measured->at("other_float_ms"), "other_float_ms");
    p.other_integer_ms = positive(origin, measured->at("other_integer_ms"), "other_integer_ms");
    for (const Json& row : measured->at("layers")) {
      check_keys(origin, row, {"layer", "float_ms", "integer_ms", "conversion_ms"}, "'layers'");
      p.layers.push_back({row.at("layer"), positive(origin, row.at("float_ms"), "float_ms"),
                          positive(origin, row.at("integer_ms"), "integer_ms"),
                          positive(origin, row.at("conversion_ms"), "conversion_ms")});
    }
  }
  return p;
}

bool contains(const std::vector<int>& widths, int bits) {
  return std::find(widths.begin(), widths.end(), bits) != widths.end();
}

}  // namespace

bool DeviceProfile::allows(std::string_view op, const Width& weights, int activations) const {
  if (allowed.empty()) return true;
  const MacKind mac = mac_of(weights);
  return std::any_of(allowed.begin(), allowed.end(), [&](const Allowed& row) {
    const bool named = std::any_of(row.ops.begin(), row.ops.end(), [&](const std::string& name) {
      return name == "*" || name == op;
    });
    return named && contains(row.weights, weights.bits) && contains(row.activations, activations) &&
           (row.macs.empty() || std::ranges::find(row.macs, mac) != row.macs.end());
  });
}

bool DeviceProfile::allows_weights(const Width& weights) const {
  const MacKind mac = mac_of(weights);
  return allowed.empty() || std::ranges::any_of(allowed, [&](const Allowed& row) {
           return contains(row.weights, weights.bits) &&
                  (row.macs.empty() || std::ranges::find(row.macs, mac) != row.macs.end());
         });
}

std::vector<std::string> DeviceProfile::formats() const {
  std::vector<std::string> names;
  for (const FormatDef* def : qtool::formats()) {
    const std::string name(def->name);
    if (def->subgroup || def->scale_block > 0) continue;
    for (int bits = def->min_bits; bits <= def->max_bits; ++bits) {
      if (!allows_weights({bits, name})) continue;
      names.push_back(name);
      break;
    }
  }
  return names;
}

double DeviceProfile::conversion_ms(const LayerSite& site, int64_t elements) const {
  const auto row = std::ranges::find(layers, site.name, &Measured::layer);
  return row != layers.end() ? row->conversion_ms
                             : 1e-6 * conversion_ns * static_cast<double>(elements);
}

double DeviceProfile::layer_ms(const LayerSite& site, const Width& weights, int activations) const {
  const bool in_float = weights.bits == kFloatBits || activations > 8;
  const MacKind mac = mac_of(weights);
  for (const Measured& row : layers)
    if (row.layer == site.name) return in_float ? row.float_ms : row.integer_ms;
  const Cost* best = nullptr;
  for (const Cost& row : costs) {
    if ((row.op != "*" && row.op != site.type) || row.weights < weights.bits ||
        row.activations < activations || (row.mac && *row.mac != mac))
      continue;
    const auto rank = [](const Cost& c) {
      return std::make_tuple(c.op == "*", !c.mac, c.weights + c.activations);
    };
    if (!best || rank(row) < rank(*best)) best = &row;
  }
  if (!best) {
    throw Error(
        ErrorKind::kUsage, "QT-E118",
        cat("the profile '", printable(name), "' has no cost for '", printable(site.name), "' (",
            site.type, ") at ", weights.bits, " × ", activations, " bits, ", mac_name(mac)))
        .hint("measure one with `qtool profile MODEL`, or add a row to its \"costs\"");
  }
  const int times = best->mac ? macs_of(parse_format(weights.format), weights.bits) : 1;
  return best->overhead_us * 1e-3 +
         times * static_cast<double>(site.macs) / (best->gmacs_per_second * 1e9) * 1e3;
}

DeviceProfile parse_profile(std::string_view text, const std::string& origin) {
  try {
    return profile_of(Json::parse(text), origin);
  } catch (const Json::exception& e) {
    bad(origin, printable(e.what()));
  }
}

std::string profile_json(const DeviceProfile& p) {
  Json allowed = Json::array(), costs = Json::array(), layers = Json::array();
  const auto widths = [](const std::vector<int>& all) {
    Json list = Json::array();
    for (int bits : all) list.push_back(width_json(bits));
    return list;
  };
  for (const auto& row : p.allowed) {
    allowed.push_back({{"ops", row.ops},
                       {"weights", widths(row.weights)},
                       {"activations", widths(row.activations)}});
    for (const MacKind mac : row.macs) allowed.back()["macs"].push_back(mac_name(mac));
  }
  for (const auto& row : p.costs) {
    costs.push_back({{"op", row.op},
                     {"weights", width_json(row.weights)},
                     {"activations", width_json(row.activations)},
                     {"gmacs_per_second", row.gmacs_per_second},
                     {"overhead_us", row.overhead_us}});
    if (row.mac) costs.back()["mac"] = mac_name(*row.mac);
  }
  for (const auto& row : p.layers) {
    layers.push_back({{"layer", row.layer},
                      {"float_ms", row.float_ms},
                      {"integer_ms", row.integer_ms},
                      {"conversion_ms", row.conversion_ms}});
  }
  Json json = {{"schema", "qtool.profile/1"},
               {"name", p.name},
               {"summary", p.summary},
               {"target", p.target},
               {"allowed", allowed},
               {"symmetric_activations", p.symmetric_activations},
               {"power_of_two_scales", p.power_of_two_scales},
               {"equal_around", p.equal_around},
               {"weight_scale", p.weight_scale},
               {"conversion_ns_per_element", p.conversion_ns},
               {"costs", costs}};
  if (!p.layers.empty()) {
    json["measured"] = {{"model_fingerprint", p.model_fingerprint},
                        {"layers", layers},
                        {"other_float_ms", p.other_float_ms},
                        {"other_integer_ms", p.other_integer_ms}};
  }
  return json.dump(1) + "\n";
}

DeviceProfile load_profile(const std::string& name_or_file) {
  std::vector<std::string> names;
  for (const BuiltInProfile& profile : kBuiltInProfiles) {
    if (profile.name == name_or_file) return parse_profile(profile.json, name_or_file);
    names.emplace_back(profile.name);
  }
  if (name_or_file.ends_with(".json")) {
    if (!std::filesystem::exists(name_or_file)) {
      throw Error(ErrorKind::kUsage, "QT-E118",
                  cat("there is no device profile ", printable(name_or_file)));
    }
    return parse_profile(read_file(name_or_file, ErrorKind::kUsage), name_or_file);
  }
  const std::string near = nearest(name_or_file, names);
  throw Error(ErrorKind::kUsage, "QT-E118",
              cat("unknown device profile '", printable(name_or_file), "'"))
      .hint(near.empty() ? "`qtool list profiles` shows them; a file ends in .json"
                         : cat("did you mean '", near, "'?"));
}

std::vector<std::pair<std::string, std::string>> built_in_profiles() {
  std::vector<std::pair<std::string, std::string>> all;
  for (const BuiltInProfile& profile : kBuiltInProfiles) {
    all.emplace_back(profile.name, parse_profile(profile.json, std::string(profile.name)).summary);
  }
  return all;
}

bool is_profile(const std::string& name_or_file) {
  return name_or_file.ends_with(".json") ||
         std::any_of(std::begin(kBuiltInProfiles), std::end(kBuiltInProfiles),
                     [&](const BuiltInProfile& p) { return p.name == name_or_file; });
}

}  // namespace qtool
