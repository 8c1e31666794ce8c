// SYQ: symmetric codebooks of one or two bits with scales by place in the kernel.
#include "format/formats/records.hpp"

namespace qtool {
namespace {

constexpr std::string_view kLevels[] = {"auto", "ternary", "binary"};
constexpr std::string_view kSubgroups[] = {"pixel", "row", "layer", "channel"};
constexpr std::string_view kThresholds[] = {"fitted", "published"};
constexpr FormatOption kOptions[] = {{"levels", "auto", kLevels},
                                     {"subgroup", "pixel", kSubgroups},
                                     {"threshold", "fitted", kThresholds}};

bool is_binary(const WeightFormat& format, int bits) {
  const std::string& levels = format.options.at("levels");
  return levels == "auto" ? bits == 1 : levels == "binary";
}

Codebook codebook(const CodebookRequest& request) {
  constexpr int kOne[] = {1};
  return symmetric_codebook(kOne, !is_binary(request.format, request.bits));
}

// The authors' eta: 0 for binary codes, 0.05 of the largest magnitude for ternary ones.
float threshold(const WeightFormat& format, int bits) {
  if (format.options.at("threshold") == "fitted") return -1;
  return is_binary(format, bits) ? 0.f : 0.05f;
}

Subgroup subgroup(const WeightFormat& format) {
  const std::string& name = format.options.at("subgroup");
  return name == "pixel"   ? Subgroup::kPixel
         : name == "row"   ? Subgroup::kRow
         : name == "layer" ? Subgroup::kLayer
                           : Subgroup::kChannel;
}

}  // namespace

extern const FormatDef kSyq = {
    .name = "syq",
    .summary = "binary or ternary weights, one scale for each place in the kernel",
    .levels = "-1, 1 or -1, 0, 1",
    .paper = "arXiv 1807.00301",
    .min_bits = 1,
    .max_bits = 2,
    .options = kOptions,
    .of = CodebookOf::kFixed,
    .codebook = codebook,
    .error_bound = [](const WeightFormat&, int, double) { return 1.0; },
    .mac = MacKind::kAdd,
    .least_bits =
        [](const WeightFormat& format) { return format.options.at("levels") == "ternary" ? 2 : 1; },
    .subgroup = subgroup,
    .threshold = threshold};

}  // namespace qtool
