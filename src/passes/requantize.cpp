#include "passes/requantize.hpp"

#include <algorithm>

#include "graph/append_node.hpp"
#include "passes/lower_qdq.hpp"

namespace qtool::passes {
namespace {

// Added before the shift and taken off behind it, so that ONNX's BitShift, which has no signed types, shifts
// numbers that are not negative.
constexpr int64_t kPositiveBit = 62;
constexpr int64_t kPositive = int64_t{1} << kPositiveBit;

template <typename T>
T at(const std::vector<T>& values, size_t channel) {
  return values.size() == 1 ? values[0] : values[channel];
}

}  // namespace

ValueId Requantizer::node(const std::string& name, const char* type, std::vector<ValueId> inputs,
                          DType dtype) {
  return append_node(g_, name, type, std::move(inputs), dtype);
}

ValueId Requantizer::cast(const std::string& name, ValueId value, DType to) {
  const ValueId out = node(name, "Cast", {value}, to);
  set_attribute(g_.nodes.back(), "to", static_cast<int64_t>(to));
  return out;
}

ValueId Requantizer::scaled(const std::string& name, const Term& term,
                            const std::vector<int64_t>& multipliers, const Shape& shape) {
  const ValueId wide = cast(name + "_wide", term.integers, DType::kInt64);
  if (std::ranges::all_of(multipliers, [](int64_t m) { return m == 1; })) return wide;
  const ValueId factor = add_initializer(g_, name + "_multiplier", Tensor::of(shape, multipliers));
  return node(name + "_scaled", "Mul", {wide, factor}, DType::kInt64);
}

void Requantizer::append(const std::vector<Term>& terms, const Shape& by_channel,
                         const CodeResult& result) {
  size_t channels = 1;
  for (const Term& term : terms) channels = std::max(channels, term.ratios.size());
  const Shape shape = channels == 1 ? Shape{} : by_channel;
  std::vector<std::vector<int64_t>> multipliers(terms.size());
  std::vector<int64_t> offsets, ends;
  std::vector<uint64_t> shifts;
  for (size_t c = 0; c < channels; ++c) {
    std::vector<double> ratios;
    for (const Term& term : terms) ratios.push_back(at(term.ratios, c));
    const Dyadic d = dyadic(ratios);
    largest_error_ = std::max(largest_error_, d.error);
    const int64_t half = int64_t{1} << (d.shift - 1);
    int64_t offset = kPositive + half, room = kPositive - half;
    for (size_t t = 0; t < terms.size(); ++t) {
      multipliers[t].push_back(d.multipliers[t]);
      offset -= d.multipliers[t] * terms[t].zero;
      room -= d.multipliers[t] * at(terms[t].largest, c);
    }
    if (room <= 0) throw Refusal{"its sums times their multipliers leave 63 bits"};
    offsets.push_back(offset);
    shifts.push_back(static_cast<uint64_t>(d.shift));
    ends.push_back(result.zero_point - (int64_t{1} << (kPositiveBit - d.shift)));
  }
  const std::string name = g_.value(result.codes).name;
  const auto constant = [&](const char* what, auto values) {
    return add_initializer(g_, cat(name, "_", what), Tensor::of(shape, values));
  };
  const auto bound = [&](const char* what, int64_t code) {
    return add_initializer(g_, cat(name, "_", what), Tensor::scalar(code));
  };
  ValueId sum = ValueId::kNone;
  for (size_t t = 0; t < terms.size(); ++t) {
    const std::string part = terms.size() == 1 ? name : cat(name, "_", t);
    const ValueId term = scaled(part, terms[t], multipliers[t], shape);
    sum = t == 0 ? term : node(part + "_sum", "Add", {sum, term}, DType::kInt64);
  }
  sum = node(name + "_rounding", "Add", {sum, constant("offset", offsets)}, DType::kInt64);
  sum = cast(name + "_positive", sum, DType::kUint64);
  sum = node(name + "_shifted", "BitShift", {sum, constant("shift", shifts)}, DType::kUint64);
  set_attribute(g_.nodes.back(), "direction", std::string("RIGHT"));
  sum = cast(name + "_signed", sum, DType::kInt64);
  sum = node(name + "_moved", "Add", {sum, constant("end", ends)}, DType::kInt64);
  sum =
      node(name + "_clipped", "Clip",
           {sum, bound("lowest", result.lowest), bound("highest", result.highest)}, DType::kInt64);
  g_.nodes.push_back(make_node(g_, name + "_Cast", "Cast", {sum}, {result.codes}));
  set_attribute(g_.nodes.back(), "to", static_cast<int64_t>(result.type));
}

}  // namespace qtool::passes
