// The nodes that make a layer's weight of stored codes.
#pragma once

#include <tuple>

#include "quantize/internal.hpp"

namespace qtool::qdq {

// The initializer that says at how many bits nested codes are read.
inline constexpr const char* kWeightBits = "weight_bits";

// The rows of a layer that 2, 4 and 8 bits hold, by those bits.
using RowClasses = std::map<int, std::vector<int64_t>>;
// Empty where the style does not split, or where `stored` takes less than parts and their nodes.
RowClasses row_classes(const LayerSite& site, const LayerResult& layer, DType stored,
                       const ExportStyle& style);

// Appends nodes to a graph; what layers share (codebooks) is written once.
class WeightNodes {
 public:
  // Gives the value of a codebook that is read at several widths. Of bodies: the main graph's, captured.
  using SharedCodebooks = std::function<ValueId(const Codebook&)>;
  WeightNodes(Graph& graph, const ExportStyle& style, SharedCodebooks around)
      : g_(graph), style_(style), around_(std::move(around)) {}

  // The real weight. `input`: parameters of what the layer reads; nullptr where it reads floats.
  ValueId append(const LayerSite& site, const LayerResult& layer, const QParams* input);

  // The layer's bias as one initializer; where narrower codes have others, the row of it that weight_bits chooses.
  // `shape` of one row; `values`: of each width, the layer's own first.
  ValueId bias(const std::string& name, const LayerResult& layer, const Shape& shape,
               const std::function<Tensor(std::span<const float>)>& values);

  // The int8 codes alone, in the weight's shape; for layers with a scale by channel.
  ValueId byte_codes(const LayerSite& site, const LayerResult& layer);

  // The levels, one for each index; of nested codes those of the width that weight_bits says.
  ValueId codebook(const Codebook& book);

 private:
  ValueId node(const std::string& name, std::string type, std::vector<ValueId> inputs, DType dtype,
               const Shape& shape);
  ValueId dequantize(const std::string& name, std::vector<ValueId> inputs, const Shape& shape,
                     int64_t axis, int64_t block);
  ValueId integers(const std::string& name, std::span<const int64_t> values);
  // Codes of the weight's shape, looked up.
  ValueId looked_up(const LayerSite& site, const WeightCodes& weight, DType type);
  ValueId vectors(const LayerSite& site, const WeightCodes& weight, DType type);
  // How many bits of such indices are left out: all but those that the initializer weight_bits says.
  ValueId left_out(const Codebook& book);
  // Codes stored by classes of rows, in the weight's order.
  ValueId joined_rows(const LayerSite& site, const Tensor& codes, const RowClasses& classes);
  // Narrower codes as int8.
  ValueId as_bytes(const LayerSite& site, ValueId codes, const Shape& shape);
  // [rows, positions, channels] as the weight has them.
  ValueId in_place(const LayerSite& site, ValueId rows, DType dtype, const Shape& shape);
  ValueId with_places(const LayerSite& site, const WeightCodes& weight, DType type);
  // Scales by blocks of rows, of weights that are no matrices.
  ValueId with_blocks(const LayerSite& site, const WeightCodes& weight, DType type);
  // Codes of any shape as they are stored: themselves, or looked up.
  ValueId stored_codes(const LayerSite& site, const WeightCodes& weight, const Tensor& codes,
                       DType type);
  // Stored codes, clipped to their width where the style wants that seen.
  ValueId codes_of(const LayerSite& site, const LayerResult& layer, const Tensor& codes);

  Graph& g_;
  const ExportStyle& style_;
  SharedCodebooks around_;  // empty: this is the main graph
  std::map<std::tuple<int64_t, int, std::vector<float>>, ValueId>
      codebooks_;  // dim, spare bits, levels
  ValueId weight_bits_ = ValueId::kNone;
  std::map<std::pair<int64_t, int>, ValueId> left_out_;  // by entries and spare bits
};

}  // namespace qtool::qdq
