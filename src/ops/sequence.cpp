// Sequences of tensors.
#include "ops/movable.hpp"

namespace qtool {
namespace {

std::vector<Tensor> elements_of(const Call& call, size_t i) {
  const Tensor& t = call.in(i);
  require(t.dtype() == DType::kSequence, call, "input ", i, " is a ", dtype_name(t.dtype()),
          " tensor, expected a sequence");
  return t.sequence_data();
}

// Position in a sequence of `count` elements, negative ones from the end; `slots`: how many there are.
size_t position(const Call& call, size_t input, size_t slots) {
  return static_cast<size_t>(
      checked_index(index_scalar(call, input), static_cast<int64_t>(slots), call));
}

void check_element(const Call& call, const std::vector<Tensor>& elements, const Tensor& t) {
  require(!is_container(t.dtype()), call, "an element is a value of type ", dtype_name(t.dtype()));
  require(elements.empty() || elements[0].dtype() == t.dtype(), call, "a sequence of ",
          elements.empty() ? "" : dtype_name(elements[0].dtype()), " gets an element of ",
          dtype_name(t.dtype()));
}

std::vector<Tensor> eval_construct(const Call& call) {
  std::vector<Tensor> elements;
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    check_element(call, elements, call.in(i));
    elements.push_back(call.in(i));
  }
  return {Tensor::sequence(std::move(elements))};
}

std::vector<Tensor> eval_empty(const Call&) { return {Tensor::sequence({})}; }

std::vector<Tensor> eval_insert(const Call& call) {
  std::vector<Tensor> elements = elements_of(call, 0);
  check_element(call, elements, call.in(1));
  // One place more than there are elements; −1 is before the last element, as in Python's insert.
  size_t at = elements.size();
  if (call.has(2)) {
    const int64_t wanted = index_scalar(call, 2);
    at = wanted == static_cast<int64_t>(at) ? at : position(call, 2, elements.size());
  }
  elements.insert(elements.begin() + static_cast<std::ptrdiff_t>(at), call.in(1));
  return {Tensor::sequence(std::move(elements))};
}

std::vector<Tensor> eval_erase(const Call& call) {
  std::vector<Tensor> elements = elements_of(call, 0);
  require(!elements.empty(), call, "the sequence is empty");
  const size_t at = call.has(1) ? position(call, 1, elements.size()) : elements.size() - 1;
  elements.erase(elements.begin() + static_cast<std::ptrdiff_t>(at));
  return {Tensor::sequence(std::move(elements))};
}

std::vector<Tensor> eval_at(const Call& call) {
  std::vector<Tensor> elements = elements_of(call, 0);
  return {elements[position(call, 1, elements.size())]};
}

std::vector<Tensor> eval_length(const Call& call) {
  return {Tensor::scalar(static_cast<int64_t>(elements_of(call, 0).size()))};
}

std::vector<Tensor> eval_concat_from_sequence(const Call& call) {
  std::vector<Tensor> elements = elements_of(call, 0);
  require(!elements.empty(), call, "the sequence is empty");
  const bool fresh = call.integer("new_axis", 0) != 0;
  require(find_attribute(call.node, "axis") != nullptr, call, "no axis is given");
  const int64_t axis =
      normalize_axis(call.integer("axis", 0), elements[0].rank() + (fresh ? 1 : 0), call.node);
  if (fresh) {
    for (Tensor& t : elements) {
      Shape shape = t.shape();
      require(t.rank() >= axis, call, "an element of shape ", shape_text(shape), " has no axis ",
              axis);
      shape.insert(shape.begin() + axis, 1);
      t = t.reshaped(std::move(shape));
    }
  }
  Node concat = call.node;
  concat.type = "Concat";
  concat.attributes.clear();
  set_attribute(concat, "axis", axis);
  return eval_node(concat, call.opset, elements);
}

// The parts' lengths: given, or as many of `split` (1 by default) as fit with a smaller last one.
std::vector<int64_t> part_lengths(const Call& call, int64_t length) {
  if (call.has(1) && call.in(1).rank() == 1) {
    std::vector<int64_t> lengths = index_data(call, 1);
    require_parts(call, lengths, length);
    return lengths;
  }
  const int64_t part = call.has(1) ? index_scalar(call, 1) : 1;
  require(part > 0, call, "a part of ", part);
  std::vector<int64_t> lengths(static_cast<size_t>(length / part), part);
  if (length % part != 0) lengths.push_back(length % part);
  return lengths;
}

std::vector<Tensor> eval_split_to_sequence(const Call& call) {
  const Tensor& x = call.in(0);
  const int64_t axis = normalize_axis(call.integer("axis", 0), x.rank(), call.node);
  const bool keep = call.has(1) || call.integer("keepdims", 1) != 0;
  const Movable m(call, {x});
  const Shape strides = strides_of(x.shape());
  std::vector<Tensor> parts;
  int64_t first = 0;
  for (const int64_t length : part_lengths(call, x.dim(axis))) {
    Shape shape = x.shape();
    shape[static_cast<size_t>(axis)] = length;
    Tensor part = m.restore(strided(m[0], shape, strides, first));
    if (!keep) {
      shape.erase(shape.begin() + axis);
      part = part.reshaped(std::move(shape));
    }
    parts.push_back(std::move(part));
    first += length * strides[static_cast<size_t>(axis)];
  }
  return {Tensor::sequence(std::move(parts))};
}

constexpr QuantRule kNoTensor{.reason = "a sequence of tensors, not a tensor"};

}  // namespace

extern const OpDef kSequenceConstruct{
    .type = "SequenceConstruct", .since = 11, .eval = eval_construct, .quant = kNoTensor};
extern const OpDef kSequenceEmpty{
    .type = "SequenceEmpty", .since = 11, .eval = eval_empty, .quant = kNoTensor};
extern const OpDef kSequenceInsert{.type = "SequenceInsert",
                                   .since = 11,
                                   .eval = eval_insert,
                                   .quant = kNoTensor,
                                   .containers = true};
extern const OpDef kSequenceErase{.type = "SequenceErase",
                                  .since = 11,
                                  .eval = eval_erase,
                                  .quant = kNoTensor,
                                  .containers = true};
extern const OpDef kSequenceAt{
    .type = "SequenceAt", .since = 11, .eval = eval_at, .quant = kNoTensor, .containers = true};
extern const OpDef kSequenceLength{.type = "SequenceLength",
                                   .since = 11,
                                   .eval = eval_length,
                                   .quant = kNoTensor,
                                   .containers = true};
extern const OpDef kConcatFromSequence{.type = "ConcatFromSequence",
                                       .since = 11,
                                       .eval = eval_concat_from_sequence,
                                       .quant = kNoTensor,
                                       .containers = true};
extern const OpDef kSplitToSequence{
    .type = "SplitToSequence", .since = 11, .eval = eval_split_to_sequence, .quant = kNoTensor};

}  // namespace qtool
