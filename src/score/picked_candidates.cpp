// Parts of candidates, and candidates put together.
#include <algorithm>

#include "qtool/candidates.hpp"
#include "quantize/internal.hpp"

namespace qtool {
namespace {

size_t index_of(const WeightCandidates& candidates, const Width& width) {
  return static_cast<size_t>(std::ranges::find(candidates.widths, width) -
                             candidates.widths.begin());
}

}  // namespace

WeightCandidates some_widths(const WeightCandidates& candidates, const std::vector<Width>& widths) {
  WeightCandidates some{widths, {}};
  for (const auto& [name, layer] : candidates.layers) {
    LayerCandidates& to = some.layers[name];
    for (const Width& width : widths) {
      const size_t at = index_of(candidates, width);
      to.codes.push_back(layer.codes.at(at));
      if (!layer.bias_shift.empty()) to.bias_shift.push_back(layer.bias_shift.at(at));
    }
  }
  return some;
}

ChosenWeight chosen_weight(const WeightCandidates& candidates, const LayerSite& site,
                           const LayerChoice& choice) {
  const LayerCandidates& layer = candidates.layers.at(site.name);
  const auto index_at = [&](int bits) {
    const size_t at = index_of(candidates, {bits, choice.format});
    if (at == candidates.widths.size() || bits == kFloatBits) {
      throw Error(ErrorKind::kUsage, "QT-E131",
                  cat("layer '", printable(site.name), "': ", bits, " bits (", choice.format,
                      ") are no candidate"))
          .hint("name the width with --weights");
    }
    return at;
  };
  const std::vector<int>& bits = choice.filter_bits;
  const size_t first = index_at(bits.empty() ? choice.weight_bits : bits[0]);
  ChosenWeight chosen;
  chosen.codes = layer.codes[first];
  if (!layer.bias_shift.empty()) chosen.bias_shift = layer.bias_shift[first];
  if (bits.empty()) return chosen;
  auto codes = chosen.codes.codes.mutable_data<int8_t>();
  qdq::row_layout(chosen.codes.codes.shape(), site.channel_axis)
      .for_each([&](int64_t r, int64_t c, int64_t i) {
        const size_t from = index_at(bits[static_cast<size_t>(r)]), row = static_cast<size_t>(r);
        if (c == 0) {
          chosen.codes.scales[row] = layer.codes[from].scales[row];
          if (!chosen.bias_shift.empty()) chosen.bias_shift[row] = layer.bias_shift[from][row];
        }
        codes[static_cast<size_t>(i)] =
            layer.codes[from].codes.data<int8_t>()[static_cast<size_t>(i)];
      });
  return chosen;
}

WeightCandidates joined_candidates(const WeightCandidates& first, const WeightCandidates& second,
                                   const std::vector<Width>& widths) {
  WeightCandidates joined{widths, {}};
  const auto has = [](const WeightCandidates& candidates, const Width& width) {
    return std::ranges::find(candidates.widths, width) != candidates.widths.end();
  };
  for (const Width& width : widths) {
    const WeightCandidates one = some_widths(has(first, width) ? first : second, {width});
    for (const auto& [name, layer] : one.layers) {
      LayerCandidates& to = joined.layers[name];
      to.codes.push_back(layer.codes[0]);
      if (!layer.bias_shift.empty()) to.bias_shift.push_back(layer.bias_shift[0]);
    }
  }
  return joined;
}

}  // namespace qtool
