#include <omp.h>

#include "exec/gradient/vjp.hpp"
#include "qtool/gradient.hpp"

namespace qtool {

struct WeightGradient::Impl {
  Node node;
  int64_t opset;
  Shape weight;
  const gradient::VjpDef* def;
  std::unique_ptr<gradient::Cache> cache = std::make_unique<gradient::Cache>();
  std::vector<bool> wanted = {false, true};
};

WeightGradient::WeightGradient(const Model& model, const Node& node, Shape weight) {
  const gradient::VjpDef* def = gradient::find_vjp(node);
  if (!def || !def->vjp || node.inputs.size() < 2)
    throw_unsupported(cat(node_text(node), ": the operator's weight has no gradient"));
  impl_ =
      std::make_unique<const Impl>(Impl{node, model.opset(node.domain), std::move(weight), def});
}
WeightGradient::~WeightGradient() = default;
WeightGradient::WeightGradient(WeightGradient&&) noexcept = default;

Tensor WeightGradient::of(const Tensor& x, const Tensor& dy) const {
  // oneDNN reads the calling thread's OpenMP setting.
  if (omp_get_max_threads() != 1) omp_set_num_threads(1);
  const Tensor inputs[] = {x, Tensor()}, outputs[] = {Tensor()}, gradients[] = {dy};
  const Shape shapes[] = {x.shape(), impl_->weight};
  return impl_->def->vjp({impl_->node, impl_->opset, inputs, outputs, shapes, gradients,
                          impl_->wanted, *impl_->cache})[1];
}

}  // namespace qtool
