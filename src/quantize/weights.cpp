#include <algorithm>
#include <cmath>

#include "quantize/internal.hpp"

namespace qtool::qdq {

std::vector<double> input_mean_square(const LayerSite& site, const CalibrationTable& table) {
  auto it = table.values.find(site.input);
  if (it == table.values.end()) return {};
  const ValueStats& stats = it->second;
  // Statistics per channel are along axis 1: the columns of Conv, and of a matrix's rows.
  if (stats.channel_sum_squares.empty() || (site.dense && stats.shape.size() != 2)) return {};
  const double each =
      static_cast<double>(stats.count) / static_cast<double>(stats.channel_sum_squares.size());
  std::vector<double> mean;
  for (double s : stats.channel_sum_squares) mean.push_back(s / std::max(each, 1.0));
  return mean;
}

int64_t groups_of(const Tensor& weight, const LayerSite& site, const CalibrationTable& table) {
  const auto it = table.values.find(site.input);
  if (weight.rank() <= 2 || it == table.values.end()) return 1;
  const Shape& input = it->second.shape;
  return input.size() > 1 && weight.dim(1) > 0 ? std::max<int64_t>(1, input[1] / weight.dim(1)) : 1;
}

int64_t repair_bias_overflow(LayerResult& layer, const LayerSite& site, const QParams& input) {
  // A bias stays float where codes have scales by place, or are levels that cannot shrink.
  if (layer.weight.block > 0 || layer.weight.codebook) return 0;
  constexpr double kRoom = 2147483647.0 * 0.5;  // half for the bias, half for the sum of products
  std::vector<float> shrink(layer.bias.size(), 1.f);
  int64_t changed = 0;
  for (size_t c = 0; c < layer.bias.size(); ++c) {
    const double needed = std::fabs(layer.bias[c]) / (kRoom * input.scale[0]);
    float& scale = layer.weight.scales[c];
    if (needed <= scale) continue;
    const auto wider = static_cast<float>(layer.weight.power_of_two_scales
                                              ? std::exp2(std::ceil(std::log2(needed)))
                                              : needed * (1 + 1e-6));
    shrink[c] = scale / wider;
    scale = wider;
    ++changed;
  }
  if (changed == 0) return 0;
  Tensor codes = layer.weight.codes;
  auto code = codes.mutable_data<int8_t>();
  row_layout(codes.shape(), site.channel_axis).for_each([&](int64_t r, int64_t, int64_t i) {
    const float was = code[static_cast<size_t>(i)];
    code[static_cast<size_t>(i)] =
        static_cast<int8_t>(round_half_even(was * shrink[static_cast<size_t>(r)]));
  });
  layer.weight.codes = std::move(codes);
  layer.note = cat(changed, changed == 1 ? " channel's scale" : " channels' scales",
                   " raised: the bias would overflow int32");
  return changed;
}

bool same_codes(const LayerChoice& a, const LayerChoice& b) {
  return a.weight_bits == b.weight_bits && a.filter_bits == b.filter_bits && a.scale == b.scale &&
         a.format == b.format &&
         (a.activation_bits == kFloatBits) == (b.activation_bits == kFloatBits);
}

LayerResults quantize_stored(const Model& model, const Sites& sites, const QuantPlan& plan,
                             const CalibrationTable& table, const QuantizeOptions& options) {
  std::vector<LayerResult> results(plan.stored.size());
  parallel_for(options.threads, static_cast<int64_t>(results.size()), [&](int64_t i, int) {
    const LayerChoice& choice = plan.stored[static_cast<size_t>(i)];
    if (choice.weight_bits == kFloatBits) return;
    const StoredSite& site = *sites.stored_weight(choice.name);
    LayerResult& result = results[static_cast<size_t>(i)];
    result.bits = choice.weight_bits;
    const Tensor& weight = *model.graph.constant(model.graph.find(site.weight));
    result.weight = optimize_layer(weight, site, choice, table);
    weight.drop_pages();
  });
  LayerResults by_name;
  for (size_t i = 0; i < results.size(); ++i) {
    if (plan.stored[i].weight_bits != kFloatBits)
      by_name[plan.stored[i].name] = std::move(results[i]);
  }
  return by_name;
}

LayerResults quantize_weights(const Model& model, const Sites& sites, const QuantPlan& plan,
                              const CalibrationTable& table, const ActivationParams& activations,
                              const QuantizeOptions& options) {
  std::vector<const LayerSite*> chosen;
  for (const LayerSite& site : sites.layers) {
    const LayerChoice* choice = plan.layer(site.name);
    if (choice && site.reason.empty() && choice->weight_bits != kFloatBits) chosen.push_back(&site);
  }
  std::vector<LayerResult> results(chosen.size());
  std::map<std::string, WeightGrid> grids = weight_grids(model, sites, plan, table);
  stay_in_cells(grids, options);
  parallel_for(options.threads, static_cast<int64_t>(chosen.size()), [&](int64_t i, int) {
    const LayerSite& site = *chosen[static_cast<size_t>(i)];
    const LayerChoice& choice = *plan.layer(site.name);
    const Graph& g = model.graph;
    const Tensor& weight = *g.constant(g.find(site.weight));
    LayerResult& result = results[static_cast<size_t>(i)];
    result.bits = choice.weight_bits;
    result.mode = choice.mode;
    result.weight = optimize_layer(weight, site, choice, table, grids.at(site.name));
    weight.drop_pages();
    if (!site.inside.empty() && find_optimizer(choice.method).needs_moments)
      result.note = cat("rounded: ", choice.method, " does not reach into bodies");
    if (!site.bias.empty()) {
      const auto bias = g.constant(g.find(site.bias))->data<float>();
      result.bias.assign(bias.begin(), bias.end());
    }
    if (const QParams* input = input_params(site, activations))
      repair_bias_overflow(result, site, *input);
  });
  LayerResults by_name;
  std::map<std::string, size_t> first;  // of the layers that share a weight
  for (size_t i = 0; i < chosen.size(); ++i) {
    const auto [same, fresh] = first.emplace(chosen[i]->weight, i);
    const LayerSite& other = *chosen[same->second];
    if (!fresh && other.channel_axis == chosen[i]->channel_axis &&
        same_codes(*plan.layer(other.name), *plan.layer(chosen[i]->name)))
      results[i].weight = by_name[other.name].weight;
    by_name[chosen[i]->name] = std::move(results[i]);
  }
  return by_name;
}

}  // namespace qtool::qdq

namespace qtool {

Tensor dequantized(const WeightCodes& weight, int64_t channel_axis) {
  Tensor real = cast(weight.codes, DType::kFloat);
  auto out = real.mutable_data<float>();
  const qdq::RowLayout layout = qdq::row_layout(weight.codes.shape(), channel_axis);
  const int64_t columns = layout.columns();
  layout.for_each_in_any_row([&](int64_t r, int64_t c, int64_t i) {
    out[static_cast<size_t>(i)] *= weight.scales[weight.scale_index(r, c, columns)];
  });
  return real;
}

std::vector<double> row_errors(const Tensor& weight, const LayerSite& site,
                               const WeightCodes& codes, const CalibrationTable& table) {
  const std::vector<double> mean_square = qdq::input_mean_square(site, table);
  const qdq::RowLayout layout = qdq::row_layout(weight.shape(), site.channel_axis);
  const int64_t each = std::max<int64_t>(1, layout.rows / qdq::groups_of(weight, site, table));
  const Tensor back = dequantized(codes, site.channel_axis);
  const auto want = weight.data<float>(), have = back.data<float>();
  std::vector<double> errors(static_cast<size_t>(layout.rows), 0);
  layout.for_each_in_any_row([&](int64_t r, int64_t c, int64_t i) {
    const double d =
        static_cast<double>(want[static_cast<size_t>(i)]) - have[static_cast<size_t>(i)];
    const int64_t channel = r / each * layout.channels + c % layout.channels;
    errors[static_cast<size_t>(r)] +=
        (mean_square.empty() ? 1.0 : mean_square[static_cast<size_t>(channel)]) * d * d;
  });
  return errors;
}

WeightCodes optimize_layer(const Tensor& weight, const LayerSite& site, const LayerChoice& choice,
                           const CalibrationTable& table, const WeightGrid& grid) {
  const OptimizerDef& wanted = find_optimizer(choice.method);
  const OptimizerDef& optimizer = wanted.needs_moments ? find_optimizer("rtn") : wanted;
  const OptimizerInput input{.weight = weight,
                             .channel_axis = site.channel_axis,
                             .bits = choice.weight_bits,
                             .input_mean_square = qdq::input_mean_square(site, table),
                             .groups = qdq::groups_of(weight, site, table),
                             .exact_pairs = choice.activation_bits != kFloatBits,
                             .scale = choice.scale,
                             .row_bits = choice.filter_bits,
                             .grid = grid};
  const bool plain = !grid.codebook && !grid.power_of_two_scales;
  WeightCodes result = plain                 ? qdq::optimize_rows(optimizer, input)
                       : grid.threshold >= 0 ? qdq::by_threshold(input)
                       : grid.narrower       ? qdq::halve_cells(input, qdq::round_to_grid)
                                             : qdq::round_to_grid(input);
  result.method = optimizer.name;
  return result;
}

}  // namespace qtool
