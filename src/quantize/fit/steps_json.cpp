// An .npz with everything of a state that is numbers by layer, and an array "about" with the rest as JSON.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "qtool/data.hpp"
#include "quantize/fit/steps.hpp"

namespace qtool::qdq {
namespace {

using Json = nlohmann::json;
using Arrays = std::map<std::string, Tensor>;

// Of a file that is worth writing after every step, and that an archive holds.
constexpr int64_t kMostBytes = int64_t{1} << 30;
constexpr size_t kMostArrays = 0xffff;

Tensor floats_of(const std::vector<float>& values) {
  Tensor tensor = Tensor::uninitialized(DType::kFloat, {static_cast<int64_t>(values.size())});
  std::ranges::copy(values, tensor.mutable_data<float>().begin());
  return tensor;
}

std::vector<float> floats(const Tensor& tensor) {
  const auto data = tensor.data<float>();
  return {data.begin(), data.end()};
}

Json steps_json(const std::vector<FitStep>& steps) {
  Json list = Json::array();
  for (const FitStep& step : steps)
    list.push_back({{"name", step.name},
                    {"block", step.block},
                    {"before", step.before},
                    {"after", step.after},
                    {"taken", step.taken}});
  return list;
}

std::vector<FitStep> steps_of(const Json& list) {
  std::vector<FitStep> steps;
  for (const Json& step : list)
    steps.push_back({.name = step.at("name"),
                     .block = step.at("block"),
                     .before = step.at("before"),
                     .after = step.at("after"),
                     .taken = step.at("taken")});
  return steps;
}

Json add_layer(const LayerResult& layer, const std::string& at, Arrays& arrays) {
  const WeightCodes& w = layer.weight;
  arrays[at + "codes"] = w.codes;
  arrays[at + "scales"] = floats_of(w.scales);
  arrays[at + "row_scales"] = floats_of(w.row_scales);
  arrays[at + "place_scales"] = floats_of(w.place_scales);
  arrays[at + "bias"] = floats_of(layer.bias);
  Json json = {{"block", w.block},
               {"channels_a_scale", w.channels_a_scale},
               {"method", w.method},
               {"power_of_two_scales", w.power_of_two_scales},
               {"note", layer.note}};
  if (w.codebook) {
    arrays[at + "levels"] = floats_of(w.codebook->levels);
    json["unit"] = w.codebook->unit;
  }
  return json;
}

void take_layer(const Json& json, const std::string& at, const Arrays& arrays, LayerResult& layer) {
  WeightCodes& w = layer.weight;
  const Tensor& codes = arrays.at(at + "codes");
  if (codes.shape() != w.codes.shape()) throw_data("QT-E451", "codes of another shape");
  w.codes = cast(codes, w.codes.dtype());
  w.scales = floats(arrays.at(at + "scales"));
  w.row_scales = floats(arrays.at(at + "row_scales"));
  w.place_scales = floats(arrays.at(at + "place_scales"));
  layer.bias = floats(arrays.at(at + "bias"));
  w.block = json.at("block");
  w.channels_a_scale = json.at("channels_a_scale");
  w.method = json.at("method");
  w.power_of_two_scales = json.at("power_of_two_scales");
  layer.note = json.at("note");
  if (!w.codebook) return;
  // Its levels may have moved.
  Codebook book = *w.codebook;
  book.levels = floats(arrays.at(at + "levels"));
  book.unit = json.at("unit");
  w.codebook = std::make_shared<Codebook>(std::move(book));
}

FitState state_of(const Json& about, const Arrays& arrays, const Candidate& start) {
  FitState state{.best = start,
                 .kept = about.at("kept"),
                 .noise = about.at("noise"),
                 .fitted = true,
                 .done = steps_of(about.at("done")),
                 .next = steps_of(about.at("next")),
                 .rounds = about.at("rounds"),
                 .round_noise = about.at("round_noise")};
  size_t index = 0;
  for (auto& [name, layer] : state.best.layers)
    take_layer(about.at("layers").at(name), cat(index++, "."), arrays, layer);
  for (auto& [name, p] : state.best.activations)
    p.scale = about.at("activations").at(name).get<std::vector<float>>();
  return state;
}

}  // namespace

void save_steps(const FitState& state, const std::string& key, const std::filesystem::path& path) {
  Arrays arrays;
  Json about = {{"key", key},
                {"kept", state.kept},
                {"noise", state.noise},
                {"done", steps_json(state.done)},
                {"next", steps_json(state.next)},
                {"rounds", state.rounds},
                {"round_noise", state.round_noise}};
  size_t index = 0;
  for (const auto& [name, layer] : state.best.layers)
    about["layers"][name] = add_layer(layer, cat(index++, "."), arrays);
  for (const auto& [name, p] : state.best.activations) about["activations"][name] = p.scale;
  int64_t bytes_of_codes = 0;
  for (const auto& [name, layer] : state.best.layers) bytes_of_codes += layer.weight.codes.bytes();
  if (bytes_of_codes > kMostBytes || arrays.size() >= kMostArrays) {
    log(LogLevel::kInfo, "steps are not kept: the network is too large for it");
    return;
  }
  const std::string text = about.dump();
  Tensor bytes = Tensor::uninitialized(DType::kUint8, {static_cast<int64_t>(text.size())});
  std::ranges::copy(text, bytes.mutable_data<uint8_t>().begin());
  arrays["about"] = bytes;
  write_npz(path, arrays);
}

std::optional<FitState> load_steps(const std::string& key, const std::filesystem::path& path,
                                   const Candidate& start) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  const auto damaged = [&](std::string_view why) {
    log(LogLevel::kWarning, cat("kept steps are taken again: ", printable(path.string()),
                                " is damaged: ", printable(why)));
    return std::nullopt;
  };
  try {
    const Arrays arrays = read_npz(path);
    const auto text = arrays.at("about").data<uint8_t>();
    const Json about = Json::parse(text.begin(), text.end());
    if (about.at("key") != key) return std::nullopt;
    return state_of(about, arrays, start);
  } catch (const Error& error) {
    return damaged(error.message());
  } catch (const Json::exception& error) {
    return damaged(error.what());
  } catch (const std::out_of_range&) {
    return damaged("arrays are missing");
  }
}

}  // namespace qtool::qdq
