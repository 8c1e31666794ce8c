#include "quantize/best_format.hpp"

#include <limits>
#include <numeric>

namespace qtool {
namespace {

bool has_width(const WeightFormat& format, int bits) {
  try {
    check_format_bits(format, bits);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::string best_format(const Tensor& weight, const LayerSite& site, LayerChoice choice,
                        const std::vector<std::string>& formats, const CalibrationTable& table) {
  std::vector<std::string> fitting;
  for (const std::string& text : formats)
    if (has_width(parse_format(text), choice.weight_bits)) fitting.push_back(text);
  if (fitting.empty()) check_format_bits(parse_format(formats.at(0)), choice.weight_bits);
  if (fitting.size() == 1) return fitting[0];
  double least = std::numeric_limits<double>::infinity();
  std::string best = fitting[0];
  for (const std::string& text : fitting) {
    choice.format = text;
    choice.scale_block = parse_format(text).def->scale_block;
    const auto errors =
        row_errors(weight, site, optimize_layer(weight, site, choice, table), table);
    const double error = std::accumulate(errors.begin(), errors.end(), 0.0);
    if (error >= least) continue;
    least = error;
    best = text;
  }
  return best;
}

std::vector<int> widths_of(const std::vector<std::string>& formats, const std::vector<int>& bits) {
  std::vector<int> widths;
  for (int width : bits) {
    bool any = width == kFloatBits;
    for (const std::string& text : formats) any |= has_width(parse_format(text), width);
    if (any) widths.push_back(width);
  }
  return widths;
}

}  // namespace qtool
