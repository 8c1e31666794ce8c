// InstanceNormalization and GroupNormalization of floats: the elements of a group of channels of one sample
// are a row.
#include "exec/floats/kernels.hpp"
#include "exec/floats/row_statistics.hpp"

namespace qtool::floats {
namespace {

struct Groups {
  int64_t samples, count;  // groups a sample
  int64_t channels, area;  // of a group, of a channel
  double epsilon;
};

QTOOL_CLONES void normalize(const float* x, const float* scale, const float* bias, float* y,
                            Groups g) {
  for (int64_t row = 0; row < g.samples * g.count; ++row) {
    const auto [mean, factor] = row_statistics(x, g.channels * g.area, true, g.epsilon);
    for (int64_t c = 0; c < g.channels; ++c, x += g.area, y += g.area) {
      const int64_t channel = row % g.count * g.channels + c;
      const float a = factor * scale[channel], b = bias[channel];
      for (int64_t i = 0; i < g.area; ++i) y[i] = (x[i] - mean) * a + b;
    }
  }
}

class GroupNormalizationKernel : public Kernel {
 public:
  explicit GroupNormalizationKernel(Groups groups) : groups_(groups) {}

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    const Tensor x = inputs[0].plain(), scale = inputs[1].plain(), bias = inputs[2].plain();
    Tensor y = Tensor::uninitialized(DType::kFloat, x.shape());
    normalize(x.data<float>().data(), scale.data<float>().data(), bias.data<float>().data(),
              y.mutable_data<float>().data(), groups_);
    outputs[0] = Array(std::move(y));
  }
  std::string name() const override { return "float:normalization"; }

 private:
  Groups groups_;
};

}  // namespace

std::unique_ptr<Kernel> make_group_normalization(const KernelRequest& request) {
  const InputInfo& x = request.inputs[0];
  if (x.dtype != DType::kFloat || x.shape.size() < 3 || element_count(x.shape) == 0) return nullptr;
  const int64_t channels = x.shape[1];
  for (size_t i : {size_t{1}, size_t{2}}) {  // before opset 21, one a group: left to the reference
    if (!request.has(i) || request.inputs[i].dtype != DType::kFloat ||
        request.inputs[i].shape != Shape{channels})
      return nullptr;
  }
  const bool instance = request.node.type == "InstanceNormalization";
  const int64_t count = instance ? channels : attr_int(request.node, "num_groups", 0);
  if (count < 1 || channels % count != 0 || (!instance && request.opset < 21)) return nullptr;
  return std::make_unique<GroupNormalizationKernel>(
      Groups{x.shape[0], count, channels / count, element_count(x.shape) / x.shape[0] / channels,
             attr_float(request.node, "epsilon", 1e-5f)});
}

}  // namespace qtool::floats
