// Quantize layer: weights and activations to codes by a plan, and the graph rewritten with Q/DQ.
//
//   Quantized q = quantize_model(prepared, sites, plan, table, *source, {.threads = 2});
//   save_model(q.model, "net.q.onnx");
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "qtool/calibrate.hpp"
#include "qtool/plan.hpp"

namespace qtool {

struct WeightCodes;
struct QuantizeOptions {
  int threads = 1;
  std::string target = "ort-cpu";
  std::string optimizer = "cd";  // used where the plan's layer does not name one
  std::string export_style = "qdq";
  int tuning_rounds = 0;  // over the data, of row scales, biases and activation scales (distill)
  bool bias_correction = true;  // tried on held-out samples, kept where it helps
  std::string provenance;       // resolved options, written to the model's metadata
  // Codes of one bit less than the plan's, by layer: those of nested formats stay in their cells.
  std::map<std::string, std::shared_ptr<const WeightCodes>> narrower = {};
  // Fitted weights are improved in further steps, of one fixed order, while held-out outputs come closer: until
  // now_seconds() is this, or as many steps are done; 0: no such limit. Both 0: only the steps that the plan and
  // `tuning_rounds` ask for.
  double until = 0;
  int64_t most_steps = 0;
  // Keeps what steps made, so that a later run with the same key begins behind them; empty: nothing is kept.
  std::filesystem::path steps_file = {};
  std::string steps_key = {};  // all that the steps depend on
};

// A step of fitting, taken where held-out outputs come closer to the float model's.
struct FitStep {
  std::string name;              // the optimiser, or "tuning"
  std::string block = {};        // its first layer; empty: the whole network
  double before = 0, after = 0;  // held-out noise, relative to the outputs' power
  int64_t taken = 0;             // layers and activations that changed
  double seconds = 0;            // 0: kept from an earlier run
};

// How a quantized model is written.
struct ExportStyle {
  std::string_view name, summary;
  // What holds codes and indices; kWidths: none are stored.
  Storage storage = Storage::kWidths;
  bool clips_codes = false;  // Clip on codes behind Q and weights, not on reals in front of Q
  bool looks_up = false;     // whole numbers, too, are indices into a codebook
  // What the graph with Q/DQ pairs is made into; nullptr: it is written as it is.
  Model (*rewrite)(const Model& quantized) = nullptr;
  bool describes = false;  // the float model, and the parameters in a JSON file beside it
  bool packs() const { return storage == Storage::kPacked || storage == Storage::kSplit; }
};
std::span<const ExportStyle* const> export_styles();
// Throws Error{kUsage, QT-E122}.
const ExportStyle& find_export_style(std::string_view name);

// What became of one layer.
struct QuantizedLayer {
  std::string name, type, method;
  int weight_bits = 0, activation_bits = 0;
  double sqnr_db = 0;  // of the weights against float
  bool bias_corrected = false;
  std::string note;  // "3 channels' scales raised: bias would overflow int32"
};

struct Quantized {
  Model model;  // with Q/DQ, linted
  std::vector<QuantizedLayer> layers;
  std::vector<std::pair<std::string, std::string>> float_layers;  // name, reason
  int64_t fused_nodes = 0;  // that the target is predicted to run on codes
  double mean_weight_bits = 0, bits_per_weight = 0;
  int64_t stored_bytes = 0;    // of all constants in `model`
  std::string encodings;       // JSON that goes beside the model; empty: none
  std::vector<FitStep> steps;  // of fitting
};

// What the codes of a layer may be, and which of them share a scale.
struct WeightGrid {
  std::shared_ptr<const Codebook> codebook;  // nullptr: all integers of the width
  bool own_codebook = false;                 // its levels may still move
  bool power_of_two_scales = false;
  // Columns of a row that share a factor besides the row's scale (SYQ); 0: none.
  int64_t place_columns = 0;
  // Not negative: codes are signs of the weights beyond this part of the layer's largest, 0 for others, channels taken
  // at one size; optimisers choose scales alone.
  float threshold = -1;
  // Given: codes are in the cells of these, at `cell_scale` times their scales (see halve_cells).
  std::shared_ptr<const WeightCodes> narrower = {};
  float cell_scale = 0.5f;
};

// Weight codes of one layer for a width: the price that search asks about. Rows are output channels,
// columns are in (kernel position, input channel) order.
struct WeightCodes {
  Tensor codes;                  // the weight's shape; int8, or the type of the codebook's levels
  std::vector<float> scales;     // [rows × blocks], row-major; one block a row unless `block` > 0
  int64_t block = 0;             // weights of a row that share a scale; 0: all
  int64_t channels_a_scale = 1;  // whose scales are equal; as WeightScale::channels
  std::string method = {};       // the optimiser that made them
  std::shared_ptr<const Codebook> codebook = {};  // that the codes are levels of; nullptr: integers
  // Where scales are products of one a row and one a place: the factors; else empty.
  std::vector<float> row_scales = {}, place_scales = {};
  bool power_of_two_scales = false;
  size_t scale_index(int64_t row, int64_t column, int64_t columns) const {
    const int64_t blocks = block > 0 ? (columns + block - 1) / block : 1;
    return static_cast<size_t>(row * blocks + (block > 0 ? column / block : 0));
  }
};
// The real weights that codes stand for.
Tensor dequantized(const WeightCodes& weight, int64_t channel_axis);

// `source` is the calibration data (bias correction); nullptr: none. Throws Error{kInfeasible, QT-E504} when the
// constants take more than the plan's most_bytes in the style asked for.
Quantized quantize_model(const Model& model, const Sites& sites, const QuantPlan& plan,
                         const CalibrationTable& table, const SampleSource* source,
                         const QuantizeOptions& options);

// An activation whose quantizer alone makes at least a share of the noise that all quantizers of activations
// (but those found before) make at the outputs, where that is over −40 dB (for a half, else in proportion).
struct LoudActivation {
  std::string name;            // with it go all values that share its parameters
  double noise = 0, rest = 0;  // relative noise power: it alone, and all others without it
};
// By halving, with real runs over `source`, weights in float: a few runs where there is none.
std::vector<LoudActivation> loud_activations(const Model& model, const Sites& sites,
                                             const QuantPlan& plan, const CalibrationTable& table,
                                             const SampleSource& source, int threads, double share);

// Second moments of a layer's inputs over output positions, x̂ in the quantized network, x in the
// float network; columns as the weight's rows have them, in (kernel position, input channel) order.
struct GroupMoments {
  std::vector<float> h;      // E[x̂ x̂ᵀ], [columns][columns]
  std::vector<float> shift;  // E[(x − x̂) x̂ᵀ], the same shape; empty: zero, or in `residual`
  // E[(r − r̂) x̂ᵀ], [output channels][columns], r what is added to the layer's output, and where the shift is
  // not by itself, W x, too; or empty.
  std::vector<float> residual;
  std::vector<float> mean = {};  // E[x̂]
};
struct InputMoments {
  int64_t columns = 0, positions = 0;
  std::vector<GroupMoments> groups;  // of a convolution; one otherwise
};

// Weight optimisers: src/quantize/optimizers/<m>.cpp.
struct OptimizerInput {
  const Tensor& weight;  // float, any layout
  int64_t channel_axis;
  int bits;
  // Mean square of each input that a weight multiplies, by the weight's input-channel index
  // (conv: axis 1 within the group; gemm: the other axis); empty: unknown, taken as equal.
  std::vector<double> input_mean_square;
  int64_t groups = 1;
  bool exact_pairs = true;  // 8 bits: no two neighbouring codes may overflow int16 with u8 inputs
  WeightScale scale = {};
  std::span<const int> row_bits = {};  // one an output channel; empty: `bits` for all
  // Rows of a group that are solved apart from those behind them, so that these change none of their bits; 0: all
  // of a group may be solved together.
  int64_t part_rows = 0;
  const InputMoments* moments = nullptr;  // given to optimisers that need them
  int threads = 1;
  WeightGrid grid = {};
};
// How the layers of a block are fitted together.
struct BlockFit {
  double mixed =
      0;  // share of the block's input elements that are the float network's while it is learned
  bool weighted = false;  // channels of its output by the squares of the network outputs' gradients
};
struct OptimizerDef {
  std::string_view name, summary;
  WeightCodes (*optimize)(const OptimizerInput& input);
  // Runs layer by layer on the inputs that the quantized network really has.
  bool needs_moments = false;
  // The optimiser whose layers are fitted before, and kept where these are no better; "": plain rounding.
  std::string_view after = "";
  // Given: layers are fitted by `after`, whose prices `optimize` gives, then those of each block together.
  std::optional<BlockFit> blocks = {};
};
std::span<const OptimizerDef* const> optimizers();
// One layer by the optimiser of its choice, with what calibration knows of its input: the price of
// the choice. Optimisers that need moments are stood in for by rounding, which they start from.
WeightCodes optimize_layer(const Tensor& weight, const LayerSite& site, const LayerChoice& choice,
                           const CalibrationTable& table);
// With a codebook that layers share; `grid` is one of weight_grids().
WeightCodes optimize_layer(const Tensor& weight, const LayerSite& site, const LayerChoice& choice,
                           const CalibrationTable& table, const WeightGrid& grid);
// The grids of all layers of a plan whose weights become codes, by layer name.
std::map<std::string, WeightGrid> weight_grids(const Model& model, const Sites& sites,
                                               const QuantPlan& plan,
                                               const CalibrationTable& table);
const OptimizerDef& find_optimizer(std::string_view name);
// Each row's output error, its inputs taken as uncorrelated: Σ_j E[x_j²] (w_j − ŵ_j)².
std::vector<double> row_errors(const Tensor& weight, const LayerSite& site,
                               const WeightCodes& codes, const CalibrationTable& table);

// Throws Error{kInternal} naming rule and node when an export breaks a rule of docs/export.md.
// `source`: what was quantized.
void lint_export(const Model& model, const Model& source, const std::string& target);

}  // namespace qtool
