// Solved candidates kept in a file: an .npz whose array "about" lists, each ended by a zero, the key, the widths and
// the layers by name and method; LAYER.WIDTH.codes, .scales and .shift are what its entries have.
#include <algorithm>
#include <charconv>

#include "qtool/candidates.hpp"
#include "qtool/data.hpp"

namespace qtool {
namespace {

// Larger ones are solved again: reading them would take as long.
constexpr int64_t kMostBytes = int64_t{1} << 30;
constexpr size_t kMostArrays = 0xffff;  // of an archive

Tensor floats_of(const std::vector<float>& values) {
  Tensor tensor(DType::kFloat, {static_cast<int64_t>(values.size())});
  std::ranges::copy(values, tensor.mutable_data<float>().begin());
  return tensor;
}

std::vector<float> floats(const Tensor& tensor) {
  const auto data = tensor.data<float>();
  return {data.begin(), data.end()};
}

Tensor list_of(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all.append(text).push_back('\0');
  Tensor bytes(DType::kUint8, {static_cast<int64_t>(all.size())});
  std::ranges::copy(all, bytes.mutable_data<uint8_t>().begin());
  return bytes;
}

std::vector<std::string> texts_in(const Tensor& list) {
  std::vector<std::string> texts(1);
  for (const uint8_t c : list.data<uint8_t>()) {
    if (c == 0)
      texts.emplace_back();
    else
      texts.back() += static_cast<char>(c);
  }
  texts.pop_back();
  return texts;
}

std::string array_name(size_t layer, size_t width, std::string_view what) {
  return cat(layer, ".", width, ".", what);
}

std::string widths_text(const std::vector<Width>& widths) {
  std::string text;
  for (const Width& width : widths) text += cat(text.empty() ? "" : ",", width.bits);
  return text;
}

std::vector<Width> widths_in(const std::string& text) {
  std::vector<Width> widths;
  for (const std::string& part : split(text, ',')) {
    widths.emplace_back();
    std::from_chars(part.data(), part.data() + part.size(), widths.back().bits);
  }
  return widths;
}

}  // namespace

void save_candidates(const WeightCandidates& candidates, const std::string& key,
                     const std::filesystem::path& path) {
  std::vector<std::string> about = {key, widths_text(candidates.widths)};
  std::map<std::string, Tensor> arrays;
  int64_t bytes = 0;
  size_t index = 0;
  for (const auto& [name, layer] : candidates.layers) {
    about.push_back(name);
    about.emplace_back();
    for (size_t c = 0; c < candidates.widths.size(); ++c) {
      if (!layer.codes[c].codes.defined()) continue;
      about.back() = layer.codes[c].method;
      arrays[array_name(index, c, "codes")] = layer.codes[c].codes;
      arrays[array_name(index, c, "scales")] = floats_of(layer.codes[c].scales);
      bytes += layer.codes[c].codes.bytes();
    }
    for (size_t c = 0; c < layer.bias_shift.size(); ++c)
      arrays[array_name(index, c, "shift")] = floats_of(layer.bias_shift[c]);
    ++index;
  }
  arrays["about"] = list_of(about);
  if (bytes <= kMostBytes && arrays.size() <= kMostArrays) write_npz(path, arrays);
}

std::optional<WeightCandidates> load_candidates(const std::string& key,
                                                const std::filesystem::path& path) {
  if (!std::filesystem::exists(path)) return std::nullopt;
  std::map<std::string, Tensor> arrays;
  try {
    arrays = read_npz(path);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kData) throw;
    log(LogLevel::kWarning, cat("weights are solved again: ", error.message()));
    return std::nullopt;
  }
  const auto described = arrays.find("about");
  if (described == arrays.end() || described->second.dtype() != DType::kUint8) return std::nullopt;
  const std::vector<std::string> about = texts_in(described->second);
  if (about.size() < 2 || about[0] != key) return std::nullopt;
  WeightCandidates candidates{widths_in(about[1]), {}};
  for (size_t at = 2, index = 0; at + 1 < about.size(); at += 2, ++index) {
    LayerCandidates& layer = candidates.layers[about[at]];
    for (size_t c = 0; c < candidates.widths.size(); ++c) {
      WeightCodes& codes = layer.codes.emplace_back();
      const auto found = arrays.find(array_name(index, c, "codes")),
                 scales = arrays.find(array_name(index, c, "scales")),
                 shift = arrays.find(array_name(index, c, "shift"));
      if (found != arrays.end() && scales != arrays.end()) {
        codes.codes = found->second;
        codes.scales = floats(scales->second);
        codes.method = about[at + 1];
      }
      if (shift != arrays.end()) layer.bias_shift.push_back(floats(shift->second));
    }
  }
  return candidates;
}

}  // namespace qtool
