// Pieces that several texts are made of.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "qtool/report.hpp"

namespace qtool::report {

using Facts = std::vector<std::pair<std::string, std::string>>;
using Rows = std::vector<std::vector<std::string>>;
using Reasons = std::vector<std::pair<std::string, std::string>>;  // name, reason

// Labels in one column, values in the next.
std::string facts_text(const Facts& facts);
// "1 layer", "3 layers".
std::string counted(size_t count, const std::string& noun);
std::string percent(double fraction, int digits = 2);  // "98.73 %"
std::string decibels(double db);                       // "25.31 dB", "inf dB"
std::string human_count(double count);                 // "1.2 M"
std::string bits_text(int bits);                       // "4", "float"
std::string number_text(double value);                 // four digits, "1.23e-05"
// Names grouped by reason, ten of each: one line a reason; "" when empty.
std::string reasons_text(const std::string& title, const Reasons& reasons);
// "3 layers with 4 bits, 7 with 8": weights of a plan's layers.
std::string width_text(const LayerChoice& layer);  // "4", or "2–8, mean 3.41" per filter
std::string bits_histogram(const std::vector<LayerChoice>& layers);
// Loss against cost as a plot of characters; "" without points.
std::string frontier_text(const Frontier& frontier, bool in_noise);
inline constexpr const char* kRandomNote =
    "random data: these numbers say nothing about real inputs";

}  // namespace qtool::report
