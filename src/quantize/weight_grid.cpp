// Grids of a plan's layers: codebooks are made here, from the weights and what calibration says about
// their inputs.
#include <algorithm>
#include <cmath>

#include "quantize/internal.hpp"

namespace qtool {
namespace {

using namespace qdq;

// Rows of size 1; an error costs what it does at the layer's output.
void add_samples(const Tensor& weight, const LayerSite& site, const CalibrationTable& table,
                 int64_t dim, FormatSamples& samples) {
  const RowLayout layout = row_layout(weight.shape(), site.channel_axis);
  const std::vector<float> rows = rows_of(weight, site.channel_axis);
  const OptimizerInput input{.weight = weight,
                             .channel_axis = site.channel_axis,
                             .bits = 8,
                             .input_mean_square = input_mean_square(site, table),
                             .groups = groups_of(weight, site, table)};
  const auto columns = static_cast<size_t>(layout.columns());
  const size_t padded = (columns + static_cast<size_t>(dim) - 1) / static_cast<size_t>(dim) *
                        static_cast<size_t>(dim);
  const bool first = samples.values.empty();
  samples.columns =
      first || samples.columns == static_cast<int64_t>(padded) ? static_cast<int64_t>(padded) : 0;
  for (int64_t r = 0; r < layout.rows; ++r) {
    const auto row = std::span(rows).subspan(static_cast<size_t>(r) * columns, columns);
    const std::vector<float> importance = column_importance(input, layout, r);
    double squares = 0, mean = 0;
    for (size_t j = 0; j < columns; ++j) {
      squares += static_cast<double>(row[j]) * row[j];
      mean += importance[j];
    }
    if (!(squares > 0) || !(mean > 0)) continue;
    const double size = std::sqrt(squares / static_cast<double>(columns));
    mean /= static_cast<double>(columns);
    for (size_t j = 0; j < padded; ++j) {
      const bool inside = j < columns;
      samples.values.push_back(inside ? static_cast<float>(row[j] / size) : 0.f);
      samples.importance.push_back(inside ? static_cast<float>(importance[j] / mean) : 0.f);
    }
  }
}

// Columns of a row that share a scale besides the row's own.
int64_t place_columns(const Tensor& weight, const LayerSite& site, Subgroup subgroup) {
  const RowLayout layout = row_layout(weight.shape(), site.channel_axis);
  if (subgroup == Subgroup::kChannel) return 0;
  if (subgroup == Subgroup::kLayer || weight.rank() < 3) return layout.columns();
  if (subgroup == Subgroup::kPixel) return layout.channels;
  return layout.channels * weight.dim(-1);
}

WeightGrid grid_of(const Tensor& weight, const LayerSite& site, const WeightFormat& format,
                   int bits, bool power_of_two_scales) {
  WeightGrid grid;
  if (format.def->threshold) grid.threshold = format.def->threshold(format, bits);
  grid.power_of_two_scales = power_of_two_scales || format.def->power_of_two_scales;
  grid.own_codebook = format.def->free_levels;
  grid.place_columns = place_columns(weight, site, subgroup_of(format));
  return grid;
}

bool is_fitted(const WeightFormat& format) {
  return format.def->of == CodebookOf::kLayer || format.def->of == CodebookOf::kModel;
}

std::shared_ptr<const Codebook> make_codebook(const WeightFormat& format, int bits,
                                              const FormatSamples& samples) {
  return std::make_shared<const Codebook>(format.def->codebook({format, bits, samples}));
}

}  // namespace

std::map<std::string, WeightGrid> weight_grids(const Model& model, const Sites& sites,
                                               const QuantPlan& plan,
                                               const CalibrationTable& table) {
  struct Pool {
    WeightFormat format;
    int bits;
    FormatSamples samples;
    std::vector<std::string> layers;
  };
  std::map<std::string, Pool> pools;  // layers with one codebook
  std::map<std::string, WeightGrid> grids;
  for (const LayerSite& site : sites.layers) {
    const LayerChoice* choice = plan.layer(site.name);
    if (!choice || !site.reason.empty() || choice->weight_bits == kFloatBits) continue;
    const Tensor& weight = *model.graph.constant(model.graph.find(site.weight));
    const WeightFormat format = parse_format(choice->format);
    grids[site.name] =
        grid_of(weight, site, format, choice->weight_bits, plan.style.power_of_two_scales);
    if (!format.def->codebook) continue;
    const bool own = format.def->of == CodebookOf::kLayer;
    const std::string key =
        cat(choice->format, '\n', choice->weight_bits, own ? '\n' + site.name : "");
    Pool& pool = pools.try_emplace(key, Pool{format, choice->weight_bits, {}, {}}).first->second;
    pool.layers.push_back(site.name);
    if (is_fitted(format)) add_samples(weight, site, table, dim_of(format), pool.samples);
  }
  for (auto& [key, pool] : pools) {
    const auto book = make_codebook(pool.format, pool.bits, pool.samples);
    for (const std::string& layer : pool.layers) grids[layer].codebook = book;
  }
  return grids;
}

WeightCodes optimize_layer(const Tensor& weight, const LayerSite& site, const LayerChoice& choice,
                           const CalibrationTable& table) {
  const WeightFormat format = parse_format(choice.format);
  WeightGrid grid = grid_of(weight, site, format, choice.weight_bits, false);
  if (format.def->codebook) {
    FormatSamples samples;
    if (is_fitted(format)) add_samples(weight, site, table, dim_of(format), samples);
    grid.codebook = make_codebook(format, choice.weight_bits, samples);
  }
  return optimize_layer(weight, site, choice, table, grid);
}

}  // namespace qtool
