// LSTM, GRU and RNN of floats with the functions that exporters use: Sigmoid and Tanh, without peepholes,
// clipping, coupled gates or lengths of their own. Everything else is the reference's.
#include <cstring>

#include "exec/floats/kernels.hpp"
#include "exec/floats/tanh.hpp"

namespace qtool::floats {
namespace {

typedef float Float8 __attribute__((vector_size(32)));

inline __attribute__((always_inline)) void add_product(Float8& sums, const float* a,
                                                       const float* b) {
  Float8 u, v;
  std::memcpy(&u, a, sizeof u);
  std::memcpy(&v, b, sizeof v);
  sums += u * v;
}

inline __attribute__((always_inline)) float dot(const float* a, const float* b, int64_t count) {
  Float8 sums[4] = {};
  int64_t i = 0;
  for (; i + 32 <= count; i += 32) {
    add_product(sums[0], a + i, b + i);
    add_product(sums[1], a + i + 8, b + i + 8);
    add_product(sums[2], a + i + 16, b + i + 16);
    add_product(sums[3], a + i + 24, b + i + 24);
  }
  for (; i + 8 <= count; i += 8) add_product(sums[0], a + i, b + i);
  float rest = 0;
  for (; i < count; ++i) rest += a[i] * b[i];
  const Float8 all = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  return rest + (((all[0] + all[4]) + (all[2] + all[6])) + ((all[1] + all[5]) + (all[3] + all[7])));
}

// y [count][stride], of which `rows` are used, += x [count][columns] · matrixᵀ [columns][rows]. Every result
// has the same bits whatever `count` is.
QTOOL_FLOAT_CLONES void add_products(const float* matrix, int64_t rows, int64_t columns,
                                     const float* x, int64_t count, float* y, int64_t stride) {
  for (int64_t r = 0; r < rows; ++r, matrix += columns)
    for (int64_t n = 0; n < count; ++n) y[n * stride + r] += dot(matrix, x + n * columns, columns);
}

// One step of one sequence: `sums` are W·x + R·h + biases, gate after gate.
QTOOL_FLOAT_CLONES void lstm_step(const float* sums, int64_t n, float* hidden, float* cell) {
  for (int64_t k = 0; k < n; ++k) {
    const float input = sigmoid_of(sums[k]), forget = sigmoid_of(sums[2 * n + k]);
    cell[k] = forget * cell[k] + input * tanh_of(sums[3 * n + k]);
    hidden[k] = sigmoid_of(sums[n + k]) * tanh_of(cell[k]);
  }
}

QTOOL_FLOAT_CLONES void rnn_step(const float* sums, int64_t n, float* hidden) {
  for (int64_t k = 0; k < n; ++k) hidden[k] = tanh_of(sums[k]);
}

// z and r in place of their sums; `gated` is what the candidate's product reads: r · h.
QTOOL_FLOAT_CLONES void gru_gates(float* sums, int64_t n, const float* hidden, float* gated) {
  for (int64_t k = 0; k < 2 * n; ++k) sums[k] = sigmoid_of(sums[k]);
  for (int64_t k = 0; k < n; ++k) gated[k] = sums[n + k] * hidden[k];
}

// `product` is R·(r · h), or r's own factor times (R·h + bias) when `after`: linear_before_reset.
QTOOL_FLOAT_CLONES void gru_step(const float* sums, int64_t n, const float* product, bool after,
                                 float* hidden) {
  const float *z = sums, *r = sums + n, *candidate = sums + 2 * n;
  for (int64_t k = 0; k < n; ++k) {
    const float h = tanh_of(candidate[k] + (after ? r[k] * product[k] : product[k]));
    hidden[k] = (1 - z[k]) * h + z[k] * hidden[k];
  }
}

enum class Cell { kLstm, kGru, kRnn };

struct Dimensions {
  int64_t steps, batch, input, hidden, directions, gates;
  bool reverse;
  int64_t rows() const { return gates * hidden; }
};

class RecurrentKernel : public Kernel {
 public:
  RecurrentKernel(Cell cell, Dimensions size, bool linear_before_reset)
      : cell_(cell), size_(size), linear_before_reset_(linear_before_reset) {}

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    const auto& [steps, batch, input, hidden, directions, gates, reverse] = size_;
    const Tensor x = inputs[0].plain(), w = inputs[1].plain(), r = inputs[2].plain();
    const Shape state{directions, batch, hidden};
    const Tensor bias = optional(inputs, 3, {directions, 2 * size_.rows()});
    Tensor y = Tensor::uninitialized(DType::kFloat, {steps, directions, batch, hidden});
    Tensor h = copy(optional(inputs, 5, state)), c = copy(optional(inputs, 6, state));
    for (int64_t d = 0; d < directions; ++d) {
      const int64_t rows = size_.rows();
      const Direction direction{w.data<float>().data() + d * rows * input,
                                r.data<float>().data() + d * rows * hidden,
                                bias.data<float>().data() + d * 2 * rows,
                                h.mutable_data<float>().data() + d * batch * hidden,
                                c.mutable_data<float>().data() + d * batch * hidden,
                                y.mutable_data<float>().data() + d * batch * hidden,
                                d == 1 || reverse};
      walk(x.data<float>().data(), direction);
    }
    Tensor results[] = {std::move(y), std::move(h), std::move(c)};
    for (size_t i = 0; i < outputs.size() && i < 3; ++i) outputs[i] = Array(std::move(results[i]));
  }
  std::string name() const override { return "float:recurrent"; }

 private:
  struct Direction {
    const float *w, *r, *bias;
    float *hidden, *cell, *y;
    bool backwards;
  };

  static Tensor optional(std::span<Array> inputs, size_t i, const Shape& shape) {
    if (i < inputs.size() && inputs[i].defined()) return inputs[i].plain();
    return Tensor(DType::kFloat, shape);
  }
  static Tensor copy(const Tensor& tensor) {
    Tensor own = Tensor::uninitialized(DType::kFloat, tensor.shape());
    std::memcpy(own.mutable_raw(), tensor.raw(), static_cast<size_t>(tensor.bytes()));
    return own;
  }

  // R's part of the bias goes with W's, but for the candidate of a GRU that resets behind the product.
  bool keeps_bias_apart() const { return cell_ == Cell::kGru && linear_before_reset_; }

  void walk(const float* x, const Direction& d) const {
    const int64_t batch = size_.batch, n = size_.hidden, rows = size_.rows();
    std::vector<float> sums(static_cast<size_t>(size_.steps * batch * rows));
    const int64_t joined = keeps_bias_apart() ? 2 * n : rows;
    for (int64_t s = 0; s < size_.steps * batch; ++s)
      for (int64_t k = 0; k < rows; ++k)
        sums[static_cast<size_t>(s * rows + k)] = d.bias[k] + (k < joined ? d.bias[rows + k] : 0.f);
    add_products(d.w, rows, size_.input, x, size_.steps * batch, sums.data(), rows);
    std::vector<float> gated(static_cast<size_t>(batch * n)), product(gated.size());
    for (int64_t i = 0; i < size_.steps; ++i) {
      const int64_t t = d.backwards ? size_.steps - 1 - i : i;
      float* now = sums.data() + t * batch * rows;
      if (cell_ == Cell::kGru) {
        gru(d, now, gated.data(), product.data());
      } else {
        add_products(d.r, rows, n, d.hidden, batch, now, rows);
        for (int64_t b = 0; b < batch; ++b, now += rows) {
          if (cell_ == Cell::kLstm)
            lstm_step(now, n, d.hidden + b * n, d.cell + b * n);
          else
            rnn_step(now, n, d.hidden + b * n);
        }
      }
      std::copy_n(d.hidden, batch * n, d.y + t * size_.directions * batch * n);
    }
  }

  void gru(const Direction& d, float* sums, float* gated, float* product) const {
    const int64_t batch = size_.batch, n = size_.hidden, rows = size_.rows();
    add_products(d.r, 2 * n, n, d.hidden, batch, sums, rows);
    for (int64_t b = 0; b < batch; ++b) {
      gru_gates(sums + b * rows, n, d.hidden + b * n, gated + b * n);
      for (int64_t k = 0; k < n; ++k)
        product[b * n + k] = linear_before_reset_ ? d.bias[rows + 2 * n + k] : 0.f;
    }
    add_products(d.r + 2 * n * n, n, n, linear_before_reset_ ? d.hidden : gated, batch, product, n);
    for (int64_t b = 0; b < batch; ++b)
      gru_step(sums + b * rows, n, product + b * n, linear_before_reset_, d.hidden + b * n);
  }

  Cell cell_;
  Dimensions size_;
  bool linear_before_reset_;
};

bool has_plain_functions(const Node& node, Cell cell, int64_t directions) {
  using Names = std::vector<std::string>;
  const Names once = cell == Cell::kLstm  ? Names{"Sigmoid", "Tanh", "Tanh"}
                     : cell == Cell::kGru ? Names{"Sigmoid", "Tanh"}
                                          : Names{"Tanh"};
  Names all;
  for (int64_t d = 0; d < directions; ++d) all.insert(all.end(), once.begin(), once.end());
  if (const Attribute* a = find_attribute(node, "activations")) {
    const auto* names = std::get_if<Names>(&a->value);
    if (!names || *names != all) return false;
  }
  return !find_attribute(node, "clip") && attr_int(node, "input_forget", 0) == 0 &&
         attr_int(node, "layout", 0) == 0;
}

}  // namespace

std::unique_ptr<Kernel> make_recurrent(const KernelRequest& request) {
  const Node& node = request.node;
  const Cell cell = node.type == "LSTM"  ? Cell::kLstm
                    : node.type == "GRU" ? Cell::kGru
                                         : Cell::kRnn;
  constexpr size_t kLengths = 4, kPeepholes = 7;
  if (request.has(kLengths) || request.has(kPeepholes)) return nullptr;
  for (const InputInfo& input : request.inputs)
    if (input.dtype != DType::kFloat && input.dtype != DType::kUndefined) return nullptr;
  const Shape &x = request.inputs[0].shape, &w = request.inputs[1].shape,
              &r = request.inputs[2].shape;
  if (x.size() != 3 || w.size() != 3 || r.size() != 3 || element_count(x) == 0 ||
      element_count(r) == 0)
    return nullptr;
  const std::string direction = attr_string(node, "direction", "forward");
  const Dimensions size{x[0],
                        x[1],
                        x[2],
                        r[2],
                        direction == "bidirectional" ? 2 : 1,
                        cell == Cell::kLstm  ? 4
                        : cell == Cell::kGru ? 3
                                             : 1,
                        direction == "reverse"};
  // What does not fit is the reference's to refuse.
  const Shape state{size.directions, size.batch, size.hidden};
  const Shape wanted[] = {x,
                          {size.directions, size.rows(), size.input},
                          {size.directions, size.rows(), size.hidden},
                          {size.directions, 2 * size.rows()},
                          {},
                          state,
                          state};
  for (size_t i = 1; i < std::size(wanted); ++i)
    if (request.has(i) && request.inputs[i].shape != wanted[i]) return nullptr;
  if (!has_plain_functions(node, cell, size.directions) ||
      attr_int(node, "hidden_size", size.hidden) != size.hidden ||
      (direction != "forward" && direction != "reverse" && direction != "bidirectional"))
    return nullptr;
  return std::make_unique<RecurrentKernel>(cell, size,
                                           attr_int(node, "linear_before_reset", 0) != 0);
}

}  // namespace qtool::floats
