// LayerNormalization and RMSNormalization of floats with a scale, and maybe a bias, of the normalised shape.
#include "exec/floats/kernels.hpp"
#include "exec/floats/row_statistics.hpp"
#include "exec/parallel_blocks.hpp"
#include "qtool/ops.hpp"

namespace qtool::floats {
namespace {

struct Row {
  int64_t length;
  bool centered;
  double epsilon;
};

QTOOL_CLONES void normalize(const float* x, const float* scale, const float* bias, float* y,
                            int64_t rows, Row row) {
  for (int64_t r = 0; r < rows; ++r, x += row.length, y += row.length) {
    const auto [m, f] = row_statistics(x, row.length, row.centered, row.epsilon);
    if (bias) {
      for (int64_t i = 0; i < row.length; ++i) y[i] = (x[i] - m) * f * scale[i] + bias[i];
    } else {
      for (int64_t i = 0; i < row.length; ++i) y[i] = (x[i] - m) * f * scale[i];
    }
  }
}

class NormalizationKernel : public Kernel {
 public:
  NormalizationKernel(int64_t rows, Row row) : rows_(rows), row_(row) {}

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    const Tensor x = inputs[0].plain(), scale = inputs[1].plain();
    const Tensor bias = inputs.size() > 2 && inputs[2].defined() ? inputs[2].plain() : Tensor();
    Tensor y = Tensor::uninitialized(DType::kFloat, x.shape());
    const float *from = x.data<float>().data(), *s = scale.data<float>().data(),
                *b = bias.defined() ? bias.data<float>().data() : nullptr;
    float* to = y.mutable_data<float>().data();
    constexpr int64_t kElements = 1 << 12;
    parallel_blocks(rows_, std::max<int64_t>(1, kElements / row_.length),
                    [&](int64_t begin, int64_t rows) {
                      const int64_t at = begin * row_.length;
                      normalize(from + at, s, b, to + at, rows, row_);
                    });
    outputs[0] = Array(std::move(y));
  }
  std::string name() const override { return "float:normalization"; }

 private:
  int64_t rows_;
  Row row_;
};

}  // namespace

std::unique_ptr<Kernel> make_layer_normalization(const KernelRequest& request) {
  const InputInfo& x = request.inputs[0];
  if (x.dtype != DType::kFloat || !request.has(1) || element_count(x.shape) == 0) return nullptr;
  for (size_t i = 1; i < request.node.outputs.size(); ++i)
    if (request.node.outputs[i] != ValueId::kNone) return nullptr;
  const int64_t axis = normalize_axis(attr_int(request.node, "axis", -1),
                                      static_cast<int64_t>(x.shape.size()), request.node);
  const Shape inner(x.shape.begin() + axis, x.shape.end());
  for (size_t i = 1; i <= 2; ++i) {
    if (request.has(i) &&
        (request.inputs[i].dtype != DType::kFloat || request.inputs[i].shape != inner))
      return nullptr;
  }
  const int64_t length = element_count(inner);
  const Row row{length, request.node.type == "LayerNormalization",
                attr_float(request.node, "epsilon", 1e-5f)};
  return std::make_unique<NormalizationKernel>(element_count(x.shape) / length, row);
}

}  // namespace qtool::floats
