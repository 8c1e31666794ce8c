// Signs, and signs with zero, times the scale of the output channel.
#include "format/formats/records.hpp"

namespace qtool {
namespace {

constexpr int kOne[] = {1};

}  // namespace

extern const FormatDef kBinary = {
    .name = "binary",
    .summary = "signs times the scale of the channel",
    .levels = "-1, 1",
    .paper = "arXiv 1603.05279",
    .min_bits = 1,
    .max_bits = 1,
    .of = CodebookOf::kFixed,
    .codebook = [](const CodebookRequest&) { return symmetric_codebook(kOne, false); },
    .error_bound = [](const WeightFormat&, int, double) { return 1.0; },
    .mac = MacKind::kAdd};

extern const FormatDef kTernary = {
    .name = "ternary",
    .summary = "signs and zero times the scale of the channel",
    .levels = "-1, 0, 1",
    .paper = "arXiv 1605.04711",
    .min_bits = 2,
    .max_bits = 2,
    .of = CodebookOf::kFixed,
    .codebook = [](const CodebookRequest&) { return symmetric_codebook(kOne, true); },
    .error_bound = [](const WeightFormat&, int, double) { return 0.5; },
    .mac = MacKind::kAdd};

}  // namespace qtool
