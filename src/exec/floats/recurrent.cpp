// LSTM, GRU and RNN of floats with the functions that exporters use: Sigmoid and Tanh, without peepholes,
// clipping, coupled gates or lengths of their own. Everything else is the reference's.
#include <cstring>

#include "exec/floats/kernels.hpp"
#include "exec/floats/tanh.hpp"

namespace qtool::floats {
namespace {

typedef float Float8 __attribute__((vector_size(32)));

// y [64] += matrix [columns][64]ᵀ · x [columns].
constexpr int64_t kBlock = 64;
QTOOL_CLONES void add_block(const float* matrix, int64_t columns, const float* x, float* y) {
  constexpr size_t kLanes = 8, kSums = kBlock / kLanes;
  Float8 sums[kSums];
  std::memcpy(sums, y, sizeof sums);
  for (int64_t k = 0; k < columns; ++k, matrix += kBlock) {
    for (size_t i = 0; i < kSums; ++i) {
      Float8 row;
      std::memcpy(&row, matrix + i * kLanes, sizeof row);
      sums[i] += row * x[k];
    }
  }
  std::memcpy(y, sums, sizeof sums);
}

// A matrix [rows][columns] as blocks of 64 rows, column by column, which need no sums across lanes.
class PackedMatrix {
 public:
  PackedMatrix(const float* matrix, int64_t rows, int64_t columns)
      : rows_(rows),
        columns_(columns),
        blocks_(static_cast<size_t>((rows + kBlock - 1) / kBlock * kBlock * columns)) {
    for (int64_t r = 0; r < rows; ++r) {
      float* block = blocks_.data() + r / kBlock * kBlock * columns + r % kBlock;
      for (int64_t k = 0; k < columns; ++k) block[k * kBlock] = matrix[r * columns + k];
    }
  }

  // y [count][stride], of which `rows` are used, += x [count][columns] · matrixᵀ. Every result has the same bits
  // whatever `count` is.
  void add_products(const float* x, int64_t count, float* y, int64_t stride) const {
    for (int64_t r = 0; r < rows_; r += kBlock) {
      const float* block = blocks_.data() + r * columns_;
      for (int64_t n = 0; n < count; ++n) {
        float* to = y + n * stride + r;
        if (r + kBlock <= rows_) {
          add_block(block, columns_, x + n * columns_, to);
          continue;
        }
        float sums[kBlock] = {};
        std::copy_n(to, rows_ - r, sums);
        add_block(block, columns_, x + n * columns_, sums);
        std::copy_n(sums, rows_ - r, to);
      }
    }
  }

 private:
  int64_t rows_, columns_;
  std::vector<float> blocks_;
};

// One step of one sequence: `sums` are W·x + R·h + biases, gate after gate.
QTOOL_CLONES void lstm_step(const float* sums, int64_t n, float* hidden, float* cell) {
  for (int64_t k = 0; k < n; ++k) {
    const float input = sigmoid_of(sums[k]), forget = sigmoid_of(sums[2 * n + k]);
    cell[k] = forget * cell[k] + input * tanh_of(sums[3 * n + k]);
    hidden[k] = sigmoid_of(sums[n + k]) * tanh_of(cell[k]);
  }
}

QTOOL_CLONES void rnn_step(const float* sums, int64_t n, float* hidden) {
  for (int64_t k = 0; k < n; ++k) hidden[k] = tanh_of(sums[k]);
}

// z and r in place of their sums; `gated` is what the candidate's product reads: r · h.
QTOOL_CLONES void gru_gates(float* sums, int64_t n, const float* hidden, float* gated) {
  for (int64_t k = 0; k < 2 * n; ++k) sums[k] = sigmoid_of(sums[k]);
  for (int64_t k = 0; k < n; ++k) gated[k] = sums[n + k] * hidden[k];
}

// `product` is R·(r · h), or r's own factor times (R·h + bias) when `after`: linear_before_reset.
QTOOL_CLONES void gru_step(const float* sums, int64_t n, const float* product, bool after,
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

// Of one direction: W, and R, whose candidate a GRU multiplies by something else.
struct Weights {
  PackedMatrix w, r, candidate;
};

std::vector<Weights> pack(const Tensor& w, const Tensor& r, const Dimensions& size, Cell cell) {
  std::vector<Weights> packed;
  const int64_t n = size.hidden, rows = size.rows(), apart = cell == Cell::kGru ? n : 0;
  for (int64_t d = 0; d < size.directions; ++d) {
    const float* recurrent = r.data<float>().data() + d * rows * n;
    packed.push_back(
        {PackedMatrix(w.data<float>().data() + d * rows * size.input, rows, size.input),
         PackedMatrix(recurrent, rows - apart, n),
         PackedMatrix(recurrent + (rows - apart) * n, apart, n)});
  }
  return packed;
}

class RecurrentKernel : public Kernel {
 public:
  // Weights that are constant are packed once.
  RecurrentKernel(Cell cell, Dimensions size, bool linear_before_reset, const Tensor* w,
                  const Tensor* r)
      : cell_(cell), size_(size), linear_before_reset_(linear_before_reset) {
    if (w && r) weights_ = pack(*w, *r, size, cell);
  }

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    const auto& [steps, batch, input, hidden, directions, gates, reverse] = size_;
    const Tensor x = inputs[0].plain();
    std::vector<Weights> fresh;
    if (weights_.empty()) fresh = pack(inputs[1].plain(), inputs[2].plain(), size_, cell_);
    const std::vector<Weights>& weights = weights_.empty() ? fresh : weights_;
    const Shape state{directions, batch, hidden};
    const Tensor bias = optional(inputs, 3, {directions, 2 * size_.rows()});
    Tensor y = Tensor::uninitialized(DType::kFloat, {steps, directions, batch, hidden});
    Tensor h = copy(optional(inputs, 5, state)), c = copy(optional(inputs, 6, state));
    for (int64_t d = 0; d < directions; ++d) {
      const int64_t rows = size_.rows();
      const Direction direction{weights[static_cast<size_t>(d)],
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
    const Weights& weights;
    const float* bias;
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
    d.weights.w.add_products(x, size_.steps * batch, sums.data(), rows);
    std::vector<float> gated(static_cast<size_t>(batch * n)), product(gated.size());
    for (int64_t i = 0; i < size_.steps; ++i) {
      const int64_t t = d.backwards ? size_.steps - 1 - i : i;
      float* now = sums.data() + t * batch * rows;
      if (cell_ == Cell::kGru) {
        gru(d, now, gated.data(), product.data());
      } else {
        d.weights.r.add_products(d.hidden, batch, now, rows);
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
    d.weights.r.add_products(d.hidden, batch, sums, rows);
    for (int64_t b = 0; b < batch; ++b) {
      gru_gates(sums + b * rows, n, d.hidden + b * n, gated + b * n);
      for (int64_t k = 0; k < n; ++k)
        product[b * n + k] = linear_before_reset_ ? d.bias[rows + 2 * n + k] : 0.f;
    }
    d.weights.candidate.add_products(linear_before_reset_ ? d.hidden : gated, batch, product, n);
    for (int64_t b = 0; b < batch; ++b)
      gru_step(sums + b * rows, n, product + b * n, linear_before_reset_, d.hidden + b * n);
  }

  Cell cell_;
  Dimensions size_;
  bool linear_before_reset_;
  std::vector<Weights> weights_;  // by direction; empty: not constant
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
                                           attr_int(node, "linear_before_reset", 0) != 0,
                                           request.constant(1), request.constant(2));
}

}  // namespace qtool::floats
