// Sums of integers to codes, by integer operators of ONNX alone.
#pragma once

#include "qtool/dyadic.hpp"
#include "qtool/graph.hpp"

namespace qtool::passes {

// A tensor of integers minus `zero`, times the ratio of its scale to the result's.
struct Term {
  ValueId integers = ValueId::kNone;
  int64_t zero = 0;
  std::vector<double> ratios;    // one, or one a channel
  std::vector<int64_t> largest;  // magnitude without `zero`; as many
};

struct CodeResult {
  ValueId codes = ValueId::kNone;
  DType type = DType::kUint8;
  int64_t zero_point = 0, lowest = 0, highest = 255;
};

class Requantizer {
 public:
  explicit Requantizer(Graph& graph) : g_(graph) {}
  // Appends the nodes from the terms to result.codes. `by_channel`: what the ratios are shaped as where there
  // are several. Throws Refusal where 63 bits do not hold the scaled sums.
  void append(const std::vector<Term>& terms, const Shape& by_channel, const CodeResult& result);
  double largest_error() const { return largest_error_; }

  // A node with one output, behind all others.
  ValueId node(const std::string& name, const char* type, std::vector<ValueId> inputs, DType dtype);
  ValueId cast(const std::string& name, ValueId value, DType to);

 private:
  ValueId scaled(const std::string& name, const Term& term, const std::vector<int64_t>& multipliers,
                 const Shape& shape);

  Graph& g_;
  double largest_error_ = 0;
};

}  // namespace qtool::passes
