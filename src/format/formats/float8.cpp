// Floats of eight bits, as ONNX and accelerators have them.
#include <algorithm>
#include <cmath>

#include "format/formats/records.hpp"

namespace qtool {
namespace {

constexpr std::string_view kTypes[] = {"e4m3", "e5m2"};
constexpr FormatOption kOptions[] = {{"type", "e4m3", kTypes}};
// Root mean squares of weights to the largest number: none is cut off, and few are subnormal.
constexpr float kReach = 16;

Codebook codebook(const CodebookRequest& request) {
  Codebook book;
  book.type =
      request.format.options.at("type") == "e5m2" ? DType::kFloat8E5M2 : DType::kFloat8E4M3FN;
  Tensor all(book.type, {256});
  for (int code = 0; code < 256; ++code)
    static_cast<uint8_t*>(all.mutable_raw())[code] = static_cast<uint8_t>(code);
  const Tensor numbers = cast(all, DType::kFloat);
  for (float number : numbers.data<float>())
    if (std::isfinite(number)) book.levels.push_back(number + 0.f);  // one zero
  sort_levels(book);
  book.unit = kReach / book.largest();
  return book;
}

// Half of the last place, or of the smallest number.
double half_place(const WeightFormat& format, int, double value) {
  const bool wide = format.options.at("type") == "e5m2";
  return std::max(std::exp2(wide ? -17 : -10), std::fabs(value) * std::exp2(wide ? -3 : -4));
}

}  // namespace

extern const FormatDef kFloat8 = {
    .name = "float8",
    .summary = "floats with 4 bits of exponent and 3 of mantissa, or 5 and 2",
    .levels = "the finite numbers of float8e4m3fn, float8e5m2",
    .paper = "arXiv 2209.05433; ONNX float8",
    .min_bits = 8,
    .max_bits = 8,
    .options = kOptions,
    .of = CodebookOf::kType,
    .codebook = codebook,
    .error_bound = half_place};

}  // namespace qtool
