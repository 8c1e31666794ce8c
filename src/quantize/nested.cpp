// Nested codes: each width's are those of the width below, doubled, and one more or less.
#include <algorithm>

#include "quantize/internal.hpp"

namespace qtool::qdq {
namespace {

// What one bit more adds to a cell's middle, in units of the new codes.
std::shared_ptr<const Codebook> halves(std::vector<float> levels) {
  Codebook book;
  book.levels = std::move(levels);
  return std::make_shared<const Codebook>(std::move(book));
}

// The plan with nested codes of `width` bits, as far as they have so few or so many.
QuantPlan at_width(QuantPlan plan, int width) {
  for (LayerChoice& layer : plan.layers) {
    if (layer.weight_bits == kFloatBits) continue;
    const WeightFormat format = parse_format(layer.format);
    if (format.def->nests)
      layer.weight_bits = std::clamp(width, least_bits(format), layer.weight_bits);
  }
  return plan;
}

}  // namespace

WeightCodes halve_cells(const OptimizerInput& input,
                        const std::function<WeightCodes(const OptimizerInput&)>& solve) {
  static const auto kOdd = halves({-1, 1}), kWhole = halves({-1, 0});
  // Odd numbers, or all where int8 has no room for those: then codes keep the unit of the cells.
  const bool odd = input.grid.codebook->levels[1] - input.grid.codebook->levels[0] == 2;
  OptimizerInput inside = input;
  inside.grid.codebook = odd ? kOdd : kWhole;
  inside.grid.cell_scale = odd ? 0.5f : 1;
  WeightCodes result = solve(inside);
  auto codes = result.codes.mutable_data<int8_t>();
  const auto cells = input.grid.narrower->codes.data<int8_t>();
  for (size_t i = 0; i < codes.size(); ++i)
    codes[i] = static_cast<int8_t>((odd ? 2 : 1) * cells[i] + codes[i]);
  result.codebook = input.grid.codebook;
  return result;
}

WeightCodes through_widths(
    LayerChoice choice, WeightGrid grid,
    const std::function<WeightCodes(const LayerChoice&, const WeightGrid&)>& solve) {
  const WeightFormat format = parse_format(choice.format);
  if (!format.def->nests) return solve(choice, grid);
  const int most = choice.weight_bits;
  for (choice.weight_bits = least_bits(format);; ++choice.weight_bits) {
    grid.codebook = std::make_shared<const Codebook>(
        format.def->codebook({format, choice.weight_bits, FormatSamples()}));
    WeightCodes codes = solve(choice, grid);
    if (choice.weight_bits == most) return codes;
    grid.narrower = std::make_shared<const WeightCodes>(std::move(codes));
  }
}

void stay_in_cells(std::map<std::string, WeightGrid>& grids, const QuantizeOptions& options) {
  for (const auto& [name, codes] : options.narrower)
    if (const auto at = grids.find(name); at != grids.end()) at->second.narrower = codes;
}

LayerResults fit_widths(const QuantPlan& plan, const QuantizeOptions& options,
                        const FitPlan& fit_narrow, const FitPlan& fit) {
  int least = kFloatBits, most = 0;
  for (const LayerChoice& layer : plan.layers) {
    if (layer.weight_bits == kFloatBits) continue;
    const WeightFormat format = parse_format(layer.format);
    if (spare_bits(format, layer.weight_bits) == 0) continue;
    least = std::min(least, least_bits(format));
    most = std::max(most, layer.weight_bits);
  }
  QuantizeOptions within = options;
  if (most > 0) {
    // Steps and tuning would move scales, which all widths have, for one of them.
    within.tuning_rounds = 0;
    if (within.until > 0 || within.most_steps > 0)
      log(LogLevel::kWarning, "nested codes are fitted width by width: no further steps are taken");
    within.until = 0;
    within.most_steps = 0;
  }
  std::map<std::string, std::vector<std::vector<float>>> biases;  // the narrowest last
  for (int width = least; width < most; ++width) {
    const QuantPlan step = at_width(plan, width), next = at_width(plan, width + 1);
    const LayerResults layers = fit_narrow(step, within);
    for (const LayerChoice& choice : next.layers) {
      if (choice.weight_bits <= step.layer(choice.name)->weight_bits) continue;
      const auto layer = layers.find(choice.name);
      if (layer == layers.end()) continue;
      within.narrower[choice.name] = std::make_shared<const WeightCodes>(layer->second.weight);
      auto& kept = biases[choice.name];
      kept.insert(kept.begin(), layer->second.bias);
    }
  }
  LayerResults layers = fit(plan, within);
  for (auto& [name, narrow] : biases) {
    LayerResult& layer = layers.at(name);
    if (!layer.bias.empty()) layer.narrow_biases = std::move(narrow);
  }
  return layers;
}

}  // namespace qtool::qdq
