// SYQ: symmetric codebooks of one or two bits with scales by place in the kernel.
#include "format/formats/records.hpp"

namespace qtool {
namespace {

constexpr std::string_view kLevels[] = {"auto", "ternary", "binary"};
constexpr std::string_view kSubgroups[] = {"pixel", "row", "layer", "channel"};
constexpr FormatOption kOptions[] = {{"levels", "auto", kLevels},
                                     {"subgroup", "pixel", kSubgroups}};

Codebook codebook(const CodebookRequest& request) {
  const std::string& levels = request.format.options.at("levels");
  const bool binary = levels == "auto" ? request.bits == 1 : levels == "binary";
  constexpr int kOne[] = {1};
  return symmetric_codebook(kOne, !binary);
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
    .subgroup = subgroup};

}  // namespace qtool
