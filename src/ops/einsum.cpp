// Einsum: operands are contracted from left to right, each time over the labels that nothing after
// them needs.
#include <algorithm>
#include <map>

#include "ops/dispatch.hpp"
#include "ops/loops.hpp"

namespace qtool {
namespace {

// Dimensions by label. An ellipsis stands for the labels '\1', '\2' …, counted from its last
// dimension, so that operands of different rank broadcast.
struct Equation {
  std::vector<std::string> operands;
  std::string output;
  std::map<char, int64_t> sizes;
};

std::string expand(const Call& call, const std::string& term, size_t ellipsis_rank) {
  std::string labels;
  for (size_t i = 0; i < term.size(); ++i) {
    if (term.compare(i, 3, "...") == 0) {
      for (size_t d = ellipsis_rank; d > 0; --d) labels += static_cast<char>(d);
      i += 2;
    } else {
      require((term[i] >= 'a' && term[i] <= 'z') || (term[i] >= 'A' && term[i] <= 'Z'), call,
              "equation has the character '", printable(term.substr(i, 1)), "'");
      labels += term[i];
    }
  }
  return labels;
}

// Labels that occur once, in order, behind those of the ellipsis.
std::string implicit_output(const std::vector<std::string>& operands, size_t ellipsis_rank) {
  std::map<char, int> uses;
  for (const std::string& labels : operands) {
    for (char c : labels) ++uses[c];
  }
  std::string output;
  for (size_t d = ellipsis_rank; d > 0; --d) output += static_cast<char>(d);
  for (const auto& [label, count] : uses) {
    if (count == 1 && label >= 'A') output += label;
  }
  return output;
}

void check_output(const Call& call, const Equation& e) {
  for (size_t i = 0; i < e.output.size(); ++i) {
    require(e.sizes.count(e.output[i]) && e.output.find(e.output[i], i + 1) == std::string::npos,
            call, "the output's label '", printable(e.output.substr(i, 1)),
            "' is repeated or unknown");
  }
}

Equation parse(const Call& call) {
  std::string text = call.text("equation", "");
  std::erase(text, ' ');
  const size_t arrow = text.find("->");
  const std::vector<std::string> terms = split(text.substr(0, arrow), ',');
  require(terms.size() == call.inputs.size() && !call.inputs.empty(), call, "equation '",
          printable(text), "' has ", terms.size(), " terms for ", call.inputs.size(), " inputs");
  Equation e;
  size_t widest = 0;
  for (size_t i = 0; i < terms.size(); ++i) {
    const auto rank = static_cast<size_t>(call.in(i).rank());
    const bool dots = terms[i].find("...") != std::string::npos;
    const size_t named = terms[i].size() - (dots ? 3 : 0);
    require(dots ? named <= rank : named == rank, call, "term '", printable(terms[i]),
            "' for an input of rank ", rank);
    require(rank - named < 'A', call, "an ellipsis of rank ", rank - named);
    widest = std::max(widest, rank - named);
    e.operands.push_back(expand(call, terms[i], rank - named));
    for (size_t d = 0; d < rank; ++d) {
      int64_t& size = e.sizes.try_emplace(e.operands[i][d], 1).first->second;
      const int64_t dim = call.in(i).shape()[d];
      require(size == 1 || dim == 1 || size == dim, call, "sizes ", size, " and ", dim,
              " of one label");
      if (dim != 1) size = dim;
    }
  }
  e.output = arrow == std::string::npos ? implicit_output(e.operands, widest)
                                        : expand(call, text.substr(arrow + 2), widest);
  check_output(call, e);
  return e;
}

// An operand while contracting: A is double, or uint64 for whole numbers, which wrap.
template <typename A>
struct Operand {
  std::string labels;
  Shape shape;
  std::vector<A> data;
};

// Steps of an operand along the loop's labels; a label that occurs twice walks the diagonal.
template <typename A>
Shape steps(const Operand<A>& operand, const std::string& loop) {
  const Shape dense = strides_of(operand.shape);
  Shape out(loop.size(), 0);
  for (size_t d = 0; d < operand.labels.size(); ++d) {
    if (operand.shape[d] != 1) out[loop.find(operand.labels[d])] += dense[d];
  }
  return out;
}

template <typename A>
Operand<A> contract(const Operand<A>& a, const Operand<A>& b, const std::string& kept,
                    const Equation& e) {
  Operand<A> out{kept, {}, {}};
  for (char c : kept) out.shape.push_back(e.sizes.at(c));
  std::string loop = kept;
  for (char c : a.labels + b.labels) {
    if (loop.find(c) == std::string::npos) loop += c;
  }
  Shape shape;
  for (char c : loop) shape.push_back(e.sizes.at(c));
  // The same limit as for a tensor's memory.
  out.data.resize(static_cast<size_t>(Tensor(DType::kDouble, out.shape).size()), A(0));
  const LoopNest<3> nest{shape, {steps(out, loop), steps(a, loop), steps(b, loop)}};
  for_each_run(simplified(nest), [&](const auto& at, int64_t count, const auto& step) {
    A* y = out.data.data() + at[0];
    const A *p = a.data.data() + at[1], *q = b.data.data() + at[2];
    for (int64_t i = 0; i < count; ++i) y[i * step[0]] += p[i * step[1]] * q[i * step[2]];
  });
  return out;
}

// Labels of `labels` that the output or an operand from `next` on still needs.
std::string still_needed(const std::string& labels, const Equation& e, size_t next) {
  std::string kept;
  for (char c : labels) {
    bool needed = e.output.find(c) != std::string::npos;
    for (size_t i = next; i < e.operands.size(); ++i)
      needed |= e.operands[i].find(c) != std::string::npos;
    if (needed && kept.find(c) == std::string::npos) kept += c;
  }
  return kept;
}

template <typename T>
Tensor einsum(const Call& call, const Equation& e) {
  using A = std::conditional_t<std::is_integral_v<T>, uint64_t, double>;
  Operand<A> total{"", {}, {A(1)}};
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    const auto data = input_data<T>(call, i);
    const Operand<A> next{e.operands[i], call.in(i).shape(), {data.begin(), data.end()}};
    const bool last = i + 1 == call.inputs.size();
    total = contract(total, next,
                     last ? e.output : still_needed(total.labels + next.labels, e, i + 1), e);
  }
  Tensor out = Tensor::uninitialized(dtype_of<T>(), total.shape);
  std::ranges::transform(total.data, out.mutable_data<T>().begin(),
                         [](A v) { return static_cast<T>(v); });
  return out;
}

std::vector<Tensor> eval_einsum(const Call& call) {
  const Equation equation = parse(call);
  return {with_number(call, call.in(0).dtype(),
                      [&](auto zero) { return einsum<decltype(zero)>(call, equation); })};
}

}  // namespace

extern const OpDef kEinsum{
    .type = "Einsum",
    .since = 12,
    .eval = half_as_float<eval_einsum>,
    .quant = {.reason = "no integer kernel for general contractions: rewrite it as MatMul"}};

}  // namespace qtool
