// Attention and embeddings of com.microsoft, as onnxruntime's optimizer for transformers writes them.
#include <cmath>

#include "passes/contrib_functions.hpp"

namespace qtool::passes::contrib {
namespace {

constexpr int64_t kAxesAreInputs = 13;  // of Unsqueeze and ReduceSum

// What is added to the scores (batch, 1, 1, keys) where a mask says so: of 0 and 1 for every key, or the number of
// keys that EmbedLayerNormalization counted. "" without a mask; nullopt: a form that is not taken.
std::optional<std::string> masked(const Context& c) {
  constexpr size_t kMask = 3;
  if (!c.has(kMask)) return "u = Identity(s) ";
  const auto& shape = c.shape(kMask);
  const std::string add = "o = Where(z, none, filter) e = Unsqueeze(o, within) u = Add(s, e) ";
  if (shape && shape->size() == 2) return cat("z = Greater(mask, zero) ", add);
  const Uses uses = uses_of(c.model.graph);
  const int32_t n = uses.producer[index(c.node.inputs[kMask])];
  if (n < 0 ||
      !is(c.model.graph.nodes[static_cast<size_t>(n)], "EmbedLayerNormalization", "com.microsoft"))
    return std::nullopt;
  return cat(
      "xs = Shape(x) n = Gather(xs, i1) keys = Range(i0, n, i1) each = Cast <to = 7> (mask) "
      "length = Unsqueeze(each, last) z = Less(keys, length) ",
      add);
}

// q, k, v → s and, behind the mask, u → y.
constexpr const char* kProducts =
    "kt = Transpose <perm = [0, 1, 3, 2]> (k) d = MatMul(q, kt) s = Mul(d, scale) ";
constexpr const char* kResults =
    "f = Softmax <axis = -1> (u) m = MatMul(f, v) mt = Transpose <perm = [0, 2, 1, 3]> (m) "
    "y = Reshape(mt, join)";

// What scores, masks and results need.
std::string constants(const Context& c, int64_t width) {
  const float given = attr_float(c.node, "scale", 0);
  return cat(
      "int64[3] join = {0, 0, -1}, int32 zero = {0}, float none = {0.0}, int64[2] within = {1, 2}, "
      "float scale = {",
      exact(given != 0 ? given : 1 / std::sqrt(static_cast<float>(width))), "}, float filter = {",
      exact(attr_float(c.node, "mask_filter_value", -10000.f)), "}");
}

}  // namespace

std::optional<Graph> attention(const Context& c) {
  const int64_t heads = attr_int(c.node, "num_heads", 0);
  const auto& weight = c.shape(1);
  for (const char* other : {"unidirectional", "do_rotary", "past_present_share_buffer"})
    if (attr_int(c.node, other, 0)) return std::nullopt;
  for (size_t slot = 4; slot < c.node.inputs.size(); ++slot)
    if (c.has(slot)) return std::nullopt;
  if (c.model.opset() < kAxesAreInputs || heads <= 0 || !weight || weight->size() != 2 ||
      (*weight)[1] <= 0 || (*weight)[1] % (3 * heads) != 0 || c.makes(1) ||
      find_attribute(c.node, "qkv_hidden_sizes"))
    return std::nullopt;
  const auto mask = masked(c);
  if (!mask) return std::nullopt;
  return graph_of(
      c, "x, w, b, mask", "y",
      cat("int64[5] split = {0, 0, 3, ", heads, ", -1}, int64 i0 = {0}, int64 i1 = {1}, ",
          "int64 i2 = {2}, int64[1] last = {-1}, ", constants(c, (*weight)[1] / 3 / heads)),
      cat("p = MatMul(x, w) ", c.has(2) ? "a = Add(p, b) " : "a = Identity(p) ",
          "r = Reshape(a, split) t = Transpose <perm = [2, 0, 3, 1, 4]> (r) "
          "q = Gather(t, i0) k = Gather(t, i1) v = Gather(t, i2) ",
          kProducts, *mask, kResults));
}

// Query, key and value of three dimensions, a bias of all, a mask of 0 and 1 for every key, a bias of the scores.
std::optional<Graph> multi_head_attention(const Context& c) {
  constexpr size_t kBias = 3, kMask = 4, kScores = 5;
  const int64_t heads = attr_int(c.node, "num_heads", 0);
  if (c.model.opset() < kAxesAreInputs || heads <= 0 || attr_int(c.node, "unidirectional", 0) ||
      c.makes(1) || c.makes(2))
    return std::nullopt;
  for (size_t slot = 0; slot < c.node.inputs.size(); ++slot) {
    const auto* shape = c.has(slot) ? &c.shape(slot) : nullptr;
    const size_t rank = slot == kMask ? 2 : 3;
    if (slot < kBias
            ? !shape || !*shape || (*shape)->size() != rank || (**shape)[2] <= 0
            : shape && (slot > kScores || (slot == kMask && (!*shape || (*shape)->size() != rank))))
      return std::nullopt;
  }
  const int64_t keys = (*c.shape(1))[2], values = (*c.shape(2))[2];
  const auto operand = [&](const std::string& x, int64_t begin, int64_t end) {
    const std::string biased =
        c.has(kBias) ? cat(x, "f = Constant <value_ints = [", begin, "]> () ", x,
                           "e = Constant <value_ints = [", end, "]> () ", x, "b = Slice(b, ", x,
                           "f, ", x, "e) ", x, "a = Add(", x, "i, ", x, "b) ")
                     : cat(x, "a = Identity(", x, "i) ");
    return cat(biased, x, "r = Reshape(", x, "a, split) ", x,
               " = Transpose <perm = [0, 2, 1, 3]> (", x, "r) ");
  };
  return graph_of(
      c, "qi, ki, vi, b, mask, more", "y",
      cat("int64[4] split = {0, 0, ", heads, ", -1}, ", constants(c, keys / heads)),
      cat(operand("q", 0, keys), operand("k", keys, 2 * keys),
          operand("v", 2 * keys, 2 * keys + values), kProducts,
          c.has(kScores) ? "sb = Add(s, more) " : "sb = Identity(s) ",
          c.has(kMask)
              ? "z = Greater(mask, zero) o = Where(z, none, filter) e = Unsqueeze(o, within) "
                "u = Add(sb, e) "
              : "u = Identity(sb) ",
          kResults));
}

// Word, position and segment embeddings, normalized: → output, keys under the mask, the sum.
std::optional<Graph> embeddings(const Context& c) {
  const bool segments = c.has(1), masked = c.has(7), positions = c.has(8);
  if (c.model.opset() < kAxesAreInputs || segments != c.has(4)) return std::nullopt;
  return graph_of(
      c, "ids, types, word, position, type, gamma, beta, mask, places",
      c.makes(2) ? "y, count, s" : "y, count",
      cat(normalization_constants(c, 1e-12f),
          ", int64 i0 = {0}, int64 i1 = {1}, int64[1] keys = {1}, int64[1] first = {0}"),
      cat("a = Gather(word, ids) ",
          positions ? "pe = Gather(position, places) "
                    : "is = Shape(ids) length = Gather(is, i1) at = Range(i0, length, i1) "
                      "pe = Gather(position, at) ",
          segments ? "b = Add(a, pe) te = Gather(type, types) s = Add(b, te) " : "s = Add(a, pe) ",
          normalized(c, true), "g = Mul(n, gamma) y = Add(g, beta) ",
          masked ? "count = ReduceSum <keepdims = 0> (mask, keys)"
                 : "ws = Shape(ids) w = Gather(ws, first) "
                   "count = ConstantOfShape <value: tensor = int32[1] {0}> (w)"));
}

}  // namespace qtool::passes::contrib
