// Attention: softmax(Q·Kᵀ + bias)·V over heads, with caches, masks and windows.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/dispatch.hpp"
#include "ops/loops.hpp"

namespace qtool {
namespace {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

// Shapes of one call, with the past in front of the new keys.
struct Geometry {
  int64_t batch, heads, kv_heads, queries, keys, past, total, head_size, value_size;
  bool flat;  // inputs are [batch, sequence, heads · size]
};

// One of Q, K and V: rank 4, or rank 3 with its heads told by an attribute.
struct Heads {
  int64_t heads, length, size;
};
Heads split_heads(const Call& call, size_t i, std::string_view attribute) {
  const Tensor& t = call.in(i);
  require(t.rank() == 3 || t.rank() == 4, call, "input ", i, " is ", shape_text(t.shape()),
          ", expected rank 3 or 4");
  if (t.rank() == 4) return {t.dim(1), t.dim(2), t.dim(3)};
  const int64_t heads = call.integer(attribute, 0);
  require(heads >= 1 && t.dim(2) % heads == 0, call, t.dim(2), " features in ", heads, " heads");
  return {heads, t.dim(1), t.dim(2) / heads};
}

Geometry resolve(const Call& call) {
  const Heads q = split_heads(call, 0, "q_num_heads"), k = split_heads(call, 1, "kv_num_heads"),
              v = split_heads(call, 2, "kv_num_heads");
  const Tensor& query = call.in(0);
  for (size_t i : {1, 2}) {
    require(call.in(i).rank() == query.rank() && call.in(i).dim(0) == query.dim(0), call, "input ",
            i, " is ", shape_text(call.in(i).shape()), " beside Q ", shape_text(query.shape()));
  }
  require(k.heads == v.heads && k.length == v.length && k.size == q.size && k.heads >= 1 &&
              q.heads % k.heads == 0,
          call, "Q ", shape_text(query.shape()), ", K ", shape_text(call.in(1).shape()), " and V ",
          shape_text(call.in(2).shape()), " do not fit");
  Geometry g{query.dim(0), q.heads, k.heads, q.length,         k.length, 0,
             k.length,     q.size,  v.size,  query.rank() == 3};
  require(call.has(4) == call.has(5), call, "past_key and past_value go together");
  require(!call.has(4) || !call.has(6), call, "nonpad_kv_seqlen cannot go with a past");
  if (call.has(4)) {
    require(call.in(4).rank() == 4, call, "past_key is ", shape_text(call.in(4).shape()));
    g.past = call.in(4).dim(2);
    g.total += g.past;
    require(call.in(4).shape() == Shape{g.batch, g.kv_heads, g.past, g.head_size} &&
                call.in(5).shape() == Shape{g.batch, g.kv_heads, g.past, g.value_size},
            call, "past ", shape_text(call.in(4).shape()), " and ", shape_text(call.in(5).shape()),
            " do not fit K and V");
  }
  return g;
}

// Element 0 of a vector of Q, K, V or Y.
int64_t vector_at(bool flat, int64_t b, int64_t h, int64_t s, int64_t heads, int64_t length,
                  int64_t size) {
  return (flat ? (b * length + s) * heads + h : (b * heads + h) * length + s) * size;
}

// Past and new keys (or values) as one [batch, heads, total, size] tensor.
template <typename T>
Tensor present(const Call& call, const Geometry& g, size_t now, size_t past, int64_t size) {
  Tensor out = Tensor::uninitialized(dtype_of<T>(), {g.batch, g.kv_heads, g.total, size});
  T* to = out.mutable_data<T>().data();
  const T* fresh = input_data<T>(call, now).data();
  const T* old = call.has(past) ? input_data<T>(call, past).data() : nullptr;
  for (int64_t b = 0; b < g.batch; ++b) {
    for (int64_t h = 0; h < g.kv_heads; ++h) {
      to = std::copy_n(old, old ? g.past * size : 0, to);
      if (old) old += g.past * size;
      for (int64_t s = 0; s < g.keys; ++s) {
        to = std::copy_n(fresh + vector_at(g.flat, b, h, s, g.kv_heads, g.keys, size), size, to);
      }
    }
  }
  return out;
}

// What is added to a score: 0, a mask's value, or −∞ where a key must not be seen.
class Bias {
 public:
  Bias(const Call& call, const Geometry& g)
      : causal_(call.integer("is_causal", 0) != 0),
        left_(call.integer("left_window_size", -1)),
        right_(call.integer("right_window_size", -1)),
        past_(g.past),
        queries_(g.queries) {
    require(left_ >= -1 && right_ >= -1, call, "a window size is negative");
    if (call.has(6)) {
      require(call.in(6).shape() == Shape{g.batch} && call.in(6).dtype() == DType::kInt64, call,
              "nonpad_kv_seqlen must be one int64 a sample");
      valid_ = call.in(6).to_int64s();
    }
    if (call.has(3)) read_mask(call, g);
  }

  double at(int64_t b, int64_t h, int64_t i, int64_t j) const {
    const auto sample = static_cast<size_t>(b);
    if (!valid_.empty() && j >= valid_[sample]) return kMinusInfinity;
    const int64_t position = i + (valid_.empty() ? past_ : valid_[sample] - queries_);
    if (causal_ && j > position) return kMinusInfinity;
    if (left_ >= 0 && j < position - left_) return kMinusInfinity;
    if (right_ >= 0 && j > position + right_) return kMinusInfinity;
    if (mask_.empty()) return 0;
    if (j >= mask_length_) return kMinusInfinity;
    return mask_[static_cast<size_t>(b * strides_[0] + h * strides_[1] + i * strides_[2] +
                                     j * strides_[3])];
  }

 private:
  void read_mask(const Call& call, const Geometry& g) {
    const Tensor& mask = call.in(3);
    require(mask.rank() >= 1 && mask.dim(-1) <= g.total, call, "attn_mask is ",
            shape_text(mask.shape()));
    mask_length_ = mask.dim(-1);
    const Shape full{g.batch, g.heads, g.queries, mask_length_};
    require(broadcast(mask.shape(), full) == full, call, "attn_mask is ", shape_text(mask.shape()),
            ", expected to broadcast to ", shape_text(full));
    strides_ = broadcast_strides(mask.shape(), full);
    const bool truth = mask.dtype() == DType::kBool;
    require(truth || mask.dtype() == call.in(0).dtype(), call, "attn_mask is ",
            dtype_name(mask.dtype()));
    const Tensor wide = cast(mask, DType::kDouble);
    for (double v : wide.data<double>()) mask_.push_back(truth ? (v != 0 ? 0 : kMinusInfinity) : v);
  }

  bool causal_;
  int64_t left_, right_, past_, queries_;
  std::vector<int64_t> valid_;
  std::vector<double> mask_;
  int64_t mask_length_ = 0;
  Shape strides_;
};

struct Settings {
  double scale, softcap;
  int64_t exposed;  // which intermediate the fourth output shows
};

// Scores of one query turned into weights in place; `shown` gets the intermediate that was asked
// for.
void attend(const Settings& s, const std::vector<double>& bias, std::vector<double>& scores,
            double* shown) {
  const auto show = [&](int64_t mode) {
    if (shown && mode == s.exposed) std::ranges::copy(scores, shown);
  };
  show(0);
  if (s.softcap > 0) {
    for (double& v : scores) v = s.softcap * std::tanh(v / s.softcap);
  }
  show(1);
  for (size_t j = 0; j < scores.size(); ++j) scores[j] += bias[j];
  show(2);
  // A query that may see no key attends to nothing.
  if (std::ranges::all_of(bias, [](double v) { return v == kMinusInfinity; })) {
    std::ranges::fill(scores, 0.0);
  } else {
    const double peak = *std::ranges::max_element(scores);
    double sum = 0;
    for (double& v : scores) sum += v = std::exp(v - peak);
    for (double& v : scores) v /= sum;
  }
  show(3);
}

template <typename T>
std::vector<Tensor> attention(const Call& call, const Geometry& g, const Settings& s) {
  const Tensor keys = present<T>(call, g, 1, 4, g.head_size),
               values = present<T>(call, g, 2, 5, g.value_size);
  const Bias bias(call, g);
  Tensor y = Tensor::uninitialized(dtype_of<T>(),
                                   g.flat ? Shape{g.batch, g.queries, g.heads * g.value_size}
                                          : Shape{g.batch, g.heads, g.queries, g.value_size});
  const bool expose = call.outputs() > 3;
  Tensor shown(DType::kDouble, expose ? Shape{g.batch, g.heads, g.queries, g.total} : Shape{0});
  double* show = expose ? shown.mutable_data<double>().data() : nullptr;
  const T *query = input_data<T>(call, 0).data(), *key = keys.data<T>().data(),
          *value = values.data<T>().data();
  T* out = y.mutable_data<T>().data();
  std::vector<double> scores(static_cast<size_t>(g.total)), added(scores.size()),
      sums(static_cast<size_t>(g.value_size));
  for (int64_t b = 0; b < g.batch; ++b) {
    for (int64_t h = 0; h < g.heads; ++h) {
      const int64_t first = (b * g.kv_heads + h / (g.heads / g.kv_heads)) * g.total;
      for (int64_t i = 0; i < g.queries; ++i) {
        const T* q = query + vector_at(g.flat, b, h, i, g.heads, g.queries, g.head_size);
        for (int64_t j = 0; j < g.total; ++j) {
          const T* k = key + (first + j) * g.head_size;
          double sum = 0;
          for (int64_t d = 0; d < g.head_size; ++d) sum += static_cast<double>(q[d]) * k[d];
          scores[static_cast<size_t>(j)] = sum * s.scale;
          added[static_cast<size_t>(j)] = bias.at(b, h, i, j);
        }
        attend(s, added, scores, show);
        if (show) show += g.total;
        std::ranges::fill(sums, 0.0);
        for (int64_t j = 0; j < g.total; ++j) {
          const T* v = value + (first + j) * g.value_size;
          const double weight = scores[static_cast<size_t>(j)];
          if (weight == 0) continue;
          for (int64_t d = 0; d < g.value_size; ++d) sums[static_cast<size_t>(d)] += weight * v[d];
        }
        std::ranges::transform(sums,
                               out + vector_at(g.flat, b, h, i, g.heads, g.queries, g.value_size),
                               [](double v) { return static_cast<T>(v); });
      }
    }
  }
  return {y, keys, values, cast(shown, dtype_of<T>())};
}

std::vector<Tensor> eval_attention(const Call& call) {
  const Geometry g = resolve(call);
  Settings s{
      call.real("scale", static_cast<float>(1 / std::sqrt(static_cast<double>(g.head_size)))),
      call.real("softcap", 0), call.integer("qk_matmul_output_mode", 0)};
  require(s.exposed >= 0 && s.exposed <= 3, call, "qk_matmul_output_mode is ", s.exposed);
  return with_float(call, call.in(0).dtype(),
                    [&](auto zero) { return attention<decltype(zero)>(call, g, s); });
}

int64_t attention_macs(const Node&, std::span<const Shape> inputs, std::span<const Shape> outputs) {
  if (inputs.size() < 3 || inputs[0].size() != 4 || inputs[1].size() != 4 || outputs.empty() ||
      !is_static(inputs[0]) || !is_static(inputs[1]) || !is_static(outputs[0])) {
    return 0;
  }
  return (element_count(inputs[0]) + element_count(outputs[0])) * inputs[1][2];
}

}  // namespace

extern const OpDef kAttention{
    .type = "Attention",
    .since = 23,
    .eval = half_as_float<eval_attention>,
    .macs = attention_macs,
    .quant = {.reason =
                  "both factors are activations and a softmax lies between: no integer kernel"}};

}  // namespace qtool
