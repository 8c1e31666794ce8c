#include "report/text.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <map>

namespace qtool::report {

std::string facts_text(const Facts& facts) {
  size_t width = 0;
  for (const auto& fact : facts) width = std::max(width, fact.first.size());
  std::string text;
  for (const auto& [label, value] : facts)
    text += label + std::string(width - label.size() + 2, ' ') + value + "\n";
  return text;
}

std::string counted(size_t count, const std::string& noun) {
  return cat(count, " ", noun, count == 1 ? "" : "s");
}

std::string percent(double fraction, int digits) { return fixed(100 * fraction, digits) + " %"; }

std::string decibels(double db) {
  return (std::isfinite(db) ? fixed(db, 2) : db > 0 ? "inf" : "-inf") + " dB";
}

std::string human_count(double count) {
  constexpr std::array kUnits = {"", " k", " M", " G", " T"};
  size_t unit = 0;
  while (count >= 999.95 && unit + 1 < kUnits.size()) {
    count /= 1000;
    ++unit;
  }
  return fixed(count, unit == 0 ? 0 : 1) + kUnits[unit];
}

std::string bits_text(int bits) { return bits == kFloatBits ? "float" : std::to_string(bits); }

std::string number_text(double value) {
  if (!std::isfinite(value)) return value > 0 ? "inf" : value < 0 ? "-inf" : "nan";
  std::array<char, 32> buffer;
  std::snprintf(buffer.data(), buffer.size(), "%.4g", value);
  return buffer.data();
}

std::string reasons_text(const std::string& title, const Reasons& reasons) {
  constexpr size_t kShown = 10;
  std::map<std::string, std::vector<std::string>> by_reason;
  std::vector<std::string> order;
  for (const auto& [name, reason] : reasons) {
    if (!by_reason.contains(reason)) order.push_back(reason);
    by_reason[reason].push_back(name);
  }
  std::string text = reasons.empty() ? "" : title + "\n";
  for (const std::string& reason : order) {
    const std::vector<std::string>& names = by_reason[reason];
    text += cat("  ", printable(reason), ": ");
    for (size_t i = 0; i < std::min(names.size(), kShown); ++i)
      text += (i ? ", " : "") + printable(names[i], 60);
    if (names.size() > kShown) text += cat(" and ", names.size() - kShown, " more");
    text += "\n";
  }
  return text;
}

std::string width_text(const LayerChoice& layer) {
  if (layer.filter_bits.empty()) return bits_text(layer.weight_bits);
  const auto [low, high] = std::minmax_element(layer.filter_bits.begin(), layer.filter_bits.end());
  return cat(*low, "–", *high, ", mean ", fixed(mean_bits(layer), 2));
}

std::string bits_histogram(const std::vector<LayerChoice>& choices) {
  std::map<int, int> layers;
  int64_t per_filter = 0;
  for (const LayerChoice& layer : choices) {
    if (layer.filter_bits.empty())
      ++layers[layer.weight_bits];
    else
      ++per_filter;
  }
  std::string text;
  if (per_filter > 0) text = cat(per_filter, " × per filter");
  for (const auto& [bits, count] : layers) {
    text += cat(text.empty() ? "" : ", ", count, " × ",
                bits == kFloatBits ? "float" : cat(bits, " bits"));
  }
  return text.empty() ? "none" : text;
}

}  // namespace qtool::report
