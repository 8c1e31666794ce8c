// Sums of products of codes, as ConvInteger and MatMulInteger make them, and how large they can be.
#pragma once

#include "passes/requantize.hpp"

namespace qtool::passes {

// Codes and their constant parameters.
struct Operand {
  ValueId codes = ValueId::kNone, zero_value = ValueId::kNone;
  const Tensor* constant = nullptr;  // the codes, of weights
  DType type = DType::kUint8;
  double scale = 1;            // the first of
  std::vector<double> scales;  // one, or one a channel
  std::vector<int64_t> zeros;  // as many
  int64_t zero = 0, lowest = 0, highest = 255;
};

struct IntegerSum {
  ValueId value = ValueId::kNone;  // int32
  Shape by_channel;                // what a constant for every channel is shaped as
  int64_t zero = 0;                // to be taken off every sum
  int64_t lowest = 0, highest = 0;
  std::vector<int64_t> largest;  // magnitudes, one or one a channel
};

// All throw Refusal.
class IntegerSums {
 public:
  IntegerSums(Graph& graph, Requantizer& out) : g_(graph), out_(out) {}

  // Inputs first … first + 2 of a node: codes, scale, zero point.
  Operand operand(const Node& node, size_t first) const;
  Operand parameters(const Node& node, ValueId scale, ValueId zero, ValueId codes) const;

  IntegerSum convolution(const Node& node, const Operand& x, const Operand& w, ValueId bias);
  IntegerSum product(const Node& node, const Operand& a, const Operand& b, ValueId bias);
  IntegerSum elementwise_product(const Node& node, const Operand& a, const Operand& b);
  // Over windows that never leave the input, and over all positions.
  IntegerSum window(const Node& node, const Operand& x, int64_t& positions);
  IntegerSum plane(const Node& node, const Operand& x, int64_t& positions);

  Term term(const Operand& x) const;
  Term term(const IntegerSum& sum, double scale, const std::vector<double>& scales) const;

 private:
  struct Range {
    int64_t lowest = 0, highest = 0;
  };
  // Range of the sums of each row of weights with codes of x, in any order.
  void bound(IntegerSum& sum, const Operand& x, const std::vector<Range>& rows, ValueId bias) const;
  ValueId biased(const Node& node, ValueId sum, ValueId bias, const Shape& by_channel);
  // Codes and their zero point as uint8: onnxruntime's ConvInteger takes no others.
  std::pair<ValueId, ValueId> unsigned_codes(const Node& node, const Operand& x);
  const Value& shaped(const Node& node, const Operand& x) const;

  Graph& g_;
  Requantizer& out_;
};

}  // namespace qtool::passes
