// Embedding tables whose rows are picked as codes.
#pragma once

#include "quantize/internal.hpp"

namespace qtool::qdq {

// Lets a node that picks rows of a float table pick rows of its codes and the rows' scales, and makes real only
// what was picked: runtimes compute a DequantizeLinear of the whole table at every run. Codes of 4 and 2 bits
// share bytes, each of which is looked up among the 256 groups of codes that a byte can hold.
class TableNodes {
 public:
  explicit TableNodes(Graph& graph) : g_(graph) {}
  void replace(const StoredSite& site, const LayerResult& layer);

 private:
  ValueId append(const std::string& name, const char* type, std::vector<ValueId> inputs,
                 DType dtype);
  // Rows of codes, or of bytes that hold several of them.
  ValueId picked_codes(const StoredSite& site, const LayerResult& layer, Node& reader);

  Graph& g_;
};

}  // namespace qtool::qdq
