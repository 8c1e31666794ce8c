// The levels of least error for a layer's weights, as whole numbers.
#include "format/formats/records.hpp"

namespace qtool {

extern const FormatDef kKmeans = {
    .name = "kmeans",
    .summary = "levels fitted to each layer's weights, exactly, by importance",
    .levels = "2^b of a layer's own",
    .paper = "arXiv 1510.00149; Ckmeans.1d.dp (Wang and Song, 2011)",
    .min_bits = 1,
    .max_bits = 6,
    .of = CodebookOf::kLayer,
    .codebook =
        [](const CodebookRequest& request) {
          return rounded_codebook(kmeans_1d(request.samples, 1 << request.bits));
        },
    .free_levels = true,
    .mac = MacKind::kLookup};

}  // namespace qtool
