// Parts of the quantize stage.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>

#include "qtool/quantize.hpp"

namespace qtool::qdq {

// Parameters of an activation, and where they are narrow for layers alone those that a branch has.
struct ActivationCodes : QParams {
  ActivationCodes(QParams read = {}) : QParams(std::move(read)) {}
  std::optional<QParams> branch;
};
// Of every quantized activation, by value name; sharing resolved.
using ActivationParams = std::map<std::string, ActivationCodes>;
// `known`: quantizers of the same sites, style and statistics by owner and width, which are added to; nullptr: none.
using KnownQuantizers = std::map<std::pair<std::string, int>, QParams>;
ActivationParams activation_params(const Sites& sites, const QuantPlan& plan,
                                   const CalibrationTable& table, int threads = 1,
                                   KnownQuantizers* known = nullptr);
// Of an activation that owns its parameters.
QParams activation_quantizer(const Sites& sites, const ActivationSite& site, int bits,
                             const ActivationStyle& style, const CalibrationTable& table);

// Values that no layer reads narrow codes of while one does of another with the same owner: their parameters are those of
// the branch, which stay as calibration has them.
std::set<std::string> branch_values(const Sites& sites, const ActivationParams& activations);

// Of what a layer reads; nullptr where it reads floats.
inline const QParams* input_params(const LayerSite& site, const ActivationParams& activations) {
  const auto it = activations.find(site.input);
  return it == activations.end() || !site.float_input.empty() ? nullptr : &it->second;
}

// What becomes of one layer: codes, scales and the float bias before it is quantized.
struct LayerResult {
  WeightCodes weight;
  int bits = 8;
  ActivationMode mode = ActivationMode::kStatic;
  std::vector<float> bias;  // empty: the layer has none
  // Of nested codes: those that go with codes without one bit, without two, ….
  std::vector<std::vector<float>> narrow_biases = {};
  std::string note;
  bool dynamic() const { return mode != ActivationMode::kStatic; }
};
using LayerResults = std::map<std::string, LayerResult>;  // by layer name
// Whether no integer kernel takes its codes, although one scale a channel serves them.
inline bool computes_in_float(const LayerResult& layer) {
  return layer.weight.codebook && layer.weight.codebook->overflows_pairs;
}
// Every layer by itself, from the calibration table alone: what optimisers without moments do.
LayerResults quantize_weights(const Model& model, const Sites& sites, const QuantPlan& plan,
                              const CalibrationTable& table, const ActivationParams& activations,
                              const QuantizeOptions& options);
// The weights of Sites::stored, by their names, each rounded by itself.
LayerResults quantize_stored(const Model& model, const Sites& sites, const QuantPlan& plan,
                             const CalibrationTable& table, const QuantizeOptions& options);
// Layer by layer over the first `chunks` chunks of data, each on the inputs that the quantized layers
// before it leave, and on `stored` weights; with bias correction when `options` ask for it. `layers`: each
// rounded by itself.
LayerResults optimize_in_sequence(const Model& model, const Sites& sites, const QuantPlan& plan,
                                  const CalibrationTable& table,
                                  const ActivationParams& activations, const LayerResults& stored,
                                  LayerResults layers, const SampleSource& source, int64_t chunks,
                                  const QuantizeOptions& options);

struct Fitted {
  LayerResults layers;
  std::set<std::string> kept;  // layers that a fit was kept for
  std::vector<FitStep> steps = {};
};
// What optimize_in_sequence makes on most chunks of data, kept for the layers with which the outputs of
// held-out chunks are closer to float than when each is rounded by itself; then improved in the steps that the plan and
// `options` ask for, `activations` too. `stored`: what else becomes codes.
Fitted fit_network(const Model& model, const Sites& sites, const QuantPlan& plan,
                   const CalibrationTable& table, ActivationParams& activations,
                   const LayerResults& stored, const SampleSource& source,
                   const QuantizeOptions& options);

// Mean square of the layer's input by input channel, from the calibration table; empty when unknown.
std::vector<double> input_mean_square(const LayerSite& site, const CalibrationTable& table);

// Of a convolution, as far as calibration knows its input; 1 otherwise.
int64_t groups_of(const Tensor& weight, const LayerSite& site, const CalibrationTable& table);

// The scale is raised for channels whose int32 bias, or whose sum, would overflow, and their codes
// shrink with it, so that they stay inside their widths. Returns channels changed.
int64_t repair_bias_overflow(LayerResult& layer, const LayerSite& site, const QParams& input);

// Whether fitting so many rows of a group, of so many columns, has to be sparing.
bool is_large(int64_t rows, int64_t columns);
// The optimiser that a layer of so many rows and columns gets: one whose work is beyond what its result is worth is
// stood in for by the next cheaper one. Depends on shapes alone.
const OptimizerDef& affordable(const OptimizerDef& wanted, int64_t rows, int64_t columns);

// Codes by `input.grid.threshold`, scales of least output error.
WeightCodes by_threshold(const OptimizerInput& input);
// Codes in the cells of `input.grid.narrower`: `solve` tells for each weight in which half.
WeightCodes halve_cells(const OptimizerInput& input,
                        const std::function<WeightCodes(const OptimizerInput&)>& solve);
// The codes of a choice as the fit makes them: those of nested formats width by width from the narrowest, each in the
// cells of the one before, others by one solve.
WeightCodes through_widths(
    LayerChoice choice, WeightGrid grid,
    const std::function<WeightCodes(const LayerChoice&, const WeightGrid&)>& solve);
// Lets nested layers stay in the cells that `options` name.
void stay_in_cells(std::map<std::string, WeightGrid>& grids, const QuantizeOptions& options);
// The plan's layers, those with nested codes width by width from the narrowest: each width is fitted to the inputs
// that itself leaves, and gets biases of its own. `fit`: all layers of a plan.
using FitPlan = std::function<LayerResults(const QuantPlan& plan, const QuantizeOptions& options)>;
LayerResults fit_widths(const QuantPlan& plan, const QuantizeOptions& options,
                        const FitPlan& fit_narrow, const FitPlan& fit);

// By an optimiser that knows no pruned rows: those of 0 bits get codes of 0.
WeightCodes optimize_rows(const OptimizerDef& optimizer, OptimizerInput input);

// Whether two layers that share a weight also share its codes.
bool same_codes(const LayerChoice& a, const LayerChoice& b);

// Where the elements of a weight's rows lie. Rows are output channels, columns are in (kernel
// position, input channel) order; the position of a stack of matrices is the matrix.
struct RowLayout {
  int64_t rows = 0, positions = 1, channels = 1;
  int64_t row_stride = 0, position_stride = 0, channel_stride = 0;
  int64_t columns() const { return positions * channels; }
  // A matrix whose columns are the rows.
  bool is_transposed() const { return row_stride == 1 && positions == 1; }
  // Visits (row, column, element index), row by row.
  template <typename Visit>
  void for_each(Visit visit) const {
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t p = 0; p < positions; ++p) {
        for (int64_t c = 0; c < channels; ++c)
          visit(r, p * channels + c, r * row_stride + p * position_stride + c * channel_stride);
      }
    }
  }
  // The same, but in the order in which a transposed matrix's elements lie; a row's columns still come in order.
  template <typename Visit>
  void for_each_in_any_row(Visit visit) const {
    if (!is_transposed()) return for_each(visit);
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t r = 0; r < rows; ++r) visit(r, c, c * rows + r);
    }
  }
};
RowLayout row_layout(const Shape& shape, int64_t channel_axis);

// Mean |w| of each place (so many columns) over rows of size 1, 1 on average.
std::vector<float> place_means(std::span<const float> rows, int64_t columns, int64_t place_columns);
// Scales of rows become products with those of places.
void multiply_scales(WeightCodes& weight, std::span<const float> places, int64_t place_columns);

// Codes and scales by rounding to the nearest level, each row's scale by output error; for grids with a
// codebook or with scales that are powers of two.
WeightCodes round_to_grid(const OptimizerInput& input);
// Mean square of what each column of a row multiplies; ones when unknown.
std::vector<float> column_importance(const OptimizerInput& input, const RowLayout& layout,
                                     int64_t row);

// The weight as [channels][columns], columns in (kernel position, input channel) order; and back.
std::vector<float> rows_of(const Tensor& weight, int64_t channel_axis);
Tensor from_rows(const std::vector<int8_t>& rows, const Shape& shape, int64_t channel_axis);
// The same in the type that holds the numbers.
Tensor from_rows(const std::vector<float>& rows, const Shape& shape, int64_t channel_axis,
                 DType type);

// A weight as it is stored behind DequantizeLinear: scales of rank 0 for the tensor, 1 for channels,
// the weight's rank for blocks along `axis`.
struct QuantizedWeight {
  Tensor codes, scale;
  int64_t axis = 0, block = 0;
};
QuantizedWeight quantized_weight(const LayerSite& site, const LayerResult& layer, DType type);
// The type that its codes, or the indices into its codebook, are stored in. int4 where 4 bits are read
// by no integer kernel that wants bytes, or where the style packs.
DType stored_type(const LayerSite& site, const LayerResult& layer, const QParams* input,
                  const ExportStyle& style);
// Codes or indices in another type that holds them.
Tensor stored_as(const Tensor& codes, DType type);

// The graph with Q/DQ pairs. `layers`: those of Sites::stored, too.
Model insert_qdq(const Model& model, const Sites& sites, const ActivationParams& activations,
                 const LayerResults& layers, const ExportStyle& style = find_export_style("qdq"));

// The same graph in quantized operators. Throws Error{kUsage, QT-E132} naming a node that has none.
Model to_operators(const Model& quantized);
// The same graph without scales between its codes, see integer_only().
Model to_integers(const Model& quantized);

struct Described {
  Model model;       // in float, weights and biases as their codes say
  std::string json;  // the parameters of all grids
};
// Throws Error{kUsage, QT-E132} for weights with several scales a channel.
Described describe_float(const Model& model, const Sites& sites,
                         const ActivationParams& activations, const LayerResults& layers);

// How far apart float outputs are, summed over outputs: relative noise power; kAnswers: of class scores the geometric
// mean of that and the KL of their distributions, which a few samples near a decision make.
enum class Distance { kNoise, kAnswers };

// Sum over outputs of noise power relative to the output's power.
double relative_noise(const std::vector<Tensor>& want, const std::vector<Tensor>& have);

// A network's outputs over chunks [first, last), to hold others against; `source` must outlive it.
class OutputReference {
 public:
  OutputReference(const Model& reference, const SampleSource& source, int64_t first, int64_t last,
                  int threads);
  double distance(const Model& model, Distance kind) const;

 private:
  // The outputs of every chunk.
  std::vector<std::vector<Tensor>> run(const Model& model, int64_t count) const;

  const SampleSource& source_;
  int64_t first_;
  int threads_;
  std::vector<Feed> feeds_;  // by chunk; empty: read from the source each time
  std::vector<std::vector<Tensor>> chunks_;
};

// Nodes that the target will run on codes, predicted from the written graph.
int64_t predict_fused(const Model& model, const std::string& target);

}  // namespace qtool::qdq
