// A multiplication is a shift.
#include <algorithm>
#include <cmath>

#include "format/formats/records.hpp"

namespace qtool {

extern const FormatDef kPowerOfTwo = {
    .name = "power-of-two",
    .summary = "zero and powers of two, so that a product is a shift",
    .levels = "0, +-1, +-2, +-4 ... +-2^(2^(b-1)-2)",
    .paper = "arXiv 1702.03044, 1603.01025",
    .min_bits = 2,
    .max_bits = 4,  // 2^6 is the largest power of two that levels may be
    .of = CodebookOf::kFixed,
    .codebook =
        [](const CodebookRequest& request) {
          std::vector<int> powers;
          for (int k = 0; k < (1 << (request.bits - 1)) - 1; ++k) powers.push_back(1 << k);
          return symmetric_codebook(powers, true);
        },
    .error_bound = [](const WeightFormat&, int,
                      double value) { return std::max(0.5, std::fabs(value) / 3); },
    .mac = MacKind::kShift};

}  // namespace qtool
