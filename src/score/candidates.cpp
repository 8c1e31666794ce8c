#include "qtool/candidates.hpp"

#include <algorithm>

#include "quantize/fit/moments.hpp"
#include "quantize/internal.hpp"
#include "score/float_walk.hpp"
#include "score/score_methods.hpp"

namespace qtool {
namespace {

// Fewer than the optimising walk takes: prices are averages over many rows and columns.
constexpr int64_t kPositions = 4096, kGroupedPositions = 1024;
// Coordinate descent over wide layers takes longer than all else and changes their prices by about as much
// as everybody's: from this many rows · columns² on, what it starts from is priced.
constexpr int64_t kWide = int64_t{1} << 25;

// Small gains over another optimiser's solution leave its prices what they are.
CandidateOptions priced(CandidateOptions options) {
  const OptimizerDef& optimizer = find_optimizer(options.optimizer);
  if (!optimizer.after.empty()) options.optimizer = optimizer.after;
  return options;
}

// Grids of all layers at every width that is not plain: codebooks may be theirs together.
std::vector<std::map<std::string, WeightGrid>> grids_of(const Model& model, const Sites& sites,
                                                        const CalibrationTable& table,
                                                        const CandidateOptions& options) {
  const std::vector<Width>& widths = options.widths;
  std::vector<std::map<std::string, WeightGrid>> grids(widths.size());
  for (size_t i = 0; i < widths.size(); ++i) {
    const bool plain = widths[i].format == "uniform" && !options.power_of_two_scales;
    if (widths[i].bits == kFloatBits || plain) continue;
    QuantPlan plan = uniform_plan(sites, {widths[i].bits, 8});
    plan.style.power_of_two_scales = options.power_of_two_scales;
    set_format(plan, parse_format(widths[i].format));
    grids[i] = weight_grids(model, sites, plan, table);
  }
  return grids;
}

class Optimized {
 public:
  Optimized(const Model& model, const Sites& sites, const CalibrationTable& table,
            const CandidateOptions& options)
      : model_(model),
        table_(table),
        options_(priced(options)),
        grids_(grids_of(model, sites, table, options)) {}

  LayerCandidates candidates(const LayerSite& site, const FloatWalk* walk) {
    const Tensor& weight = *model_.graph.constant(model_.graph.find(site.weight));
    LayerCandidates found;
    found.codes.resize(options_.widths.size());
    if (std::ranges::all_of(options_.widths,
                            [](const Width& width) { return width.bits == kFloatBits; })) {
      const std::vector<float> none(static_cast<size_t>(site.channels), 0);
      if (walk && site.takes_bias) found.bias_shift.assign(options_.widths.size(), none);
      return found;
    }
    if (walk && site.column_product && optimizer_of(weight, site).needs_moments) {
      const qdq::ColumnReader reader(node_of(model_, site), site, weight);
      const InputMoments& moments = moments_of(site, reader, *walk);
      solve_together(site, weight, moments, found);
      for (size_t i = 0; i < options_.widths.size(); ++i)
        if (!grids_[i].empty()) found.codes[i] = solve(site, weight, moments, i);
      if (site.takes_bias) found.bias_shift = shifts(site, weight, found, moments);
      return found;
    }
    for (size_t i = 0; i < options_.widths.size(); ++i) {
      const Width& width = options_.widths[i];
      if (width.bits == kFloatBits) continue;
      const LayerChoice choice = layer_choice(site.name, width, options_.optimizer);
      found.codes[i] =
          qdq::through_widths(choice, grids_[i].empty() ? WeightGrid() : grids_[i].at(site.name),
                              [&](const LayerChoice& one, const WeightGrid& grid) {
                                return optimize_layer(weight, site, one, table_, grid);
                              });
    }
    return found;
  }

 private:
  const OptimizerDef& optimizer_of(const Tensor& weight, const LayerSite& site) const {
    const qdq::RowLayout l = qdq::row_layout(weight.shape(), site.channel_axis);
    const bool wide = l.rows * l.columns() * l.columns() > kWide && options_.optimizer == "cd";
    return qdq::affordable(find_optimizer(wide ? "gptq" : options_.optimizer), l.rows, l.columns());
  }

  WeightCodes solve(const LayerSite& site, const Tensor& weight, const InputMoments& moments,
                    size_t width) {
    const OptimizerDef& optimizer = optimizer_of(weight, site);
    return qdq::through_widths(
        layer_choice(site.name, options_.widths[width]), grids_[width].at(site.name),
        [&](const LayerChoice& choice, const WeightGrid& grid) {
          return qdq::optimize_rows(optimizer, {.weight = weight,
                                                .channel_axis = site.channel_axis,
                                                .bits = choice.weight_bits,
                                                .input_mean_square = {},
                                                .scale = choice.scale,
                                                .moments = &moments,
                                                .threads = options_.threads,
                                                .grid = grid});
        });
  }

  // The rows of all uniform widths as one layer: [group][width][row], so that they share what is made of the
  // Gram matrix.
  void solve_together(const LayerSite& site, const Tensor& weight, const InputMoments& moments,
                      LayerCandidates& found) {
    std::vector<size_t> widths;
    for (size_t i = 0; i < options_.widths.size(); ++i)
      if (options_.widths[i].bits != kFloatBits && grids_[i].empty()) widths.push_back(i);
    if (widths.empty()) return;
    const qdq::RowLayout layout = qdq::row_layout(weight.shape(), site.channel_axis);
    const std::vector<float> rows = qdq::rows_of(weight, site.channel_axis);
    const auto groups = static_cast<int64_t>(moments.groups.size());
    const int64_t each = layout.rows / groups, k = layout.columns();
    const auto copies = static_cast<int64_t>(widths.size());
    // As [rows][channels][positions], which the optimiser takes apart again.
    Tensor stacked(DType::kFloat, {layout.rows * copies, layout.channels, layout.positions});
    std::vector<int> row_bits;
    auto out = stacked.mutable_data<float>();
    for (int64_t at = 0; at < layout.rows * copies; ++at) {
      const int64_t g = at / (each * copies), copy = at / each % copies, r = at % each;
      row_bits.push_back(options_.widths[widths[static_cast<size_t>(copy)]].bits);
      for (int64_t c = 0; c < k; ++c) {
        out[static_cast<size_t>(at * k + c % layout.channels * layout.positions +
                                c / layout.channels)] =
            rows[static_cast<size_t>((g * each + r) * k + c)];
      }
    }
    const WeightCodes all =
        qdq::optimize_rows(optimizer_of(weight, site), {.weight = stacked,
                                                        .channel_axis = 0,
                                                        .bits = 8,
                                                        .input_mean_square = {},
                                                        .row_bits = row_bits,
                                                        .part_rows = each,
                                                        .moments = &moments,
                                                        .threads = options_.threads});
    take_apart(site, weight, all, each, widths, found);
  }

  void take_apart(const LayerSite& site, const Tensor& weight, const WeightCodes& all, int64_t each,
                  const std::vector<size_t>& widths, LayerCandidates& found) const {
    const qdq::RowLayout layout = qdq::row_layout(weight.shape(), site.channel_axis);
    const int64_t k = layout.columns(), copies = static_cast<int64_t>(widths.size());
    const auto codes = all.codes.data<int8_t>();
    for (int64_t copy = 0; copy < copies; ++copy) {
      WeightCodes& width = found.codes[widths[static_cast<size_t>(copy)]];
      std::vector<int8_t> rows(static_cast<size_t>(layout.rows * k));
      for (int64_t r = 0; r < layout.rows; ++r) {
        const int64_t at = (r / each * copies + copy) * each + r % each;
        width.scales.push_back(all.scales[static_cast<size_t>(at)]);
        for (int64_t c = 0; c < k; ++c) {
          rows[static_cast<size_t>(r * k + c)] = codes[static_cast<size_t>(
              at * k + c % layout.channels * layout.positions + c / layout.channels)];
        }
      }
      width.codes = qdq::from_rows(rows, weight.shape(), site.channel_axis);
      width.method = options_.optimizer;
    }
  }

  // −(ŵ − w) · E[x] of every row.
  std::vector<std::vector<float>> shifts(const LayerSite& site, const Tensor& weight,
                                         const LayerCandidates& found,
                                         const InputMoments& moments) const {
    const qdq::RowLayout layout = qdq::row_layout(weight.shape(), site.channel_axis);
    const int64_t each = layout.rows / static_cast<int64_t>(moments.groups.size());
    const auto want = weight.data<float>();
    std::vector<std::vector<float>> all;
    for (const WeightCodes& codes : found.codes) {
      std::vector<double> shift(static_cast<size_t>(layout.rows), 0);
      if (codes.codes.defined()) {
        const Tensor real = dequantized(codes, site.channel_axis);
        const auto have = real.data<float>();
        layout.for_each([&](int64_t r, int64_t c, int64_t i) {
          const auto at = static_cast<size_t>(i);
          shift[static_cast<size_t>(r)] +=
              (double{want[at]} - have[at]) *
              moments.groups[static_cast<size_t>(r / each)].mean[static_cast<size_t>(c)];
        });
      }
      all.emplace_back(shift.begin(), shift.end());
    }
    return all;
  }

  // Dense layers that read one value share its moments.
  const InputMoments& moments_of(const LayerSite& site, const qdq::ColumnReader& reader,
                                 const FloatWalk& walk) {
    const std::string key = site.dense ? cat(walk.input(site), '\n', site.takes_bias) : "";
    if (site.dense && key == key_) return moments_;
    qdq::MomentOptions options;
    options.positions = kPositions;
    options.grouped_positions = kGroupedPositions;
    options.centred = site.takes_bias;
    options.threads = options_.threads;
    moments_ = qdq::input_moments(
        reader, walk.chunks_held(),
        [&](qdq::LayerValue what, int64_t chunk) {
          return what == qdq::LayerValue::kQuantizedInput ? walk.value(site, chunk)
                                                          : ChannelBlocks();
        },
        options);
    key_ = key;
    return moments_;
  }

  const Model& model_;
  const CalibrationTable& table_;
  CandidateOptions options_;
  std::vector<std::map<std::string, WeightGrid>> grids_;  // [width]; empty where it is plain
  std::string key_;
  InputMoments moments_;
};

}  // namespace

WeightCandidates weight_candidates(const Model& model, const Sites& sites,
                                   const CalibrationTable& table, const SampleSource& source,
                                   const CandidateOptions& options) {
  const bool fitted = find_optimizer(options.optimizer).needs_moments;
  std::vector<const LayerSite*> layers;  // that the walk passes
  WeightCandidates all{options.widths, {}};
  Optimized optimized(model, sites, table, options);
  for (const LayerSite& site : sites.layers) {
    if (!site.reason.empty()) continue;
    if (fitted && site.inside.empty())
      layers.push_back(&site);
    else
      all.layers[site.name] = optimized.candidates(site, nullptr);
  }
  if (layers.empty()) return all;
  FloatWalk walk(model, layers, source, scored_chunks(source, options.samples).chunks,
                 options.threads);
  std::stable_sort(layers.begin(), layers.end(), [&](const LayerSite* a, const LayerSite* b) {
    return walk.step_of(*a) < walk.step_of(*b);
  });
  Progress progress("pricing", static_cast<int64_t>(layers.size()), "layers");
  for (const LayerSite* site : layers) {
    walk.advance_to(*site);
    all.layers[site->name] = optimized.candidates(*site, &walk);
    progress.advance(1);
  }
  return all;
}

}  // namespace qtool
