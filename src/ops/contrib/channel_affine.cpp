// ChannelAffine (qtool): x · gain + shift by channel, whose factors have gradients.
#include "ops/dispatch.hpp"

namespace qtool {
namespace {

// x, gain (or absent: 1), shift (or absent: 0), both of one number a channel along attribute `axis`.
std::vector<Tensor> eval_channel_affine(const Call& call) {
  const Shape& shape = call.in(0).shape();
  const int64_t axis = normalize_axis(call.integer("axis", 1), call.in(0).rank(), call.node);
  const int64_t channels = shape[static_cast<size_t>(axis)];
  const int64_t inner = element_count({shape.begin() + axis + 1, shape.end()});
  for (size_t i = 1; i <= 2; ++i)
    require(!call.has(i) || call.in(i).size() == channels, call, "input ", i, " has ",
            call.has(i) ? call.in(i).size() : 0, " numbers for ", channels, " channels");
  const auto x = call.in(0).data<float>();
  Tensor out = Tensor::uninitialized(DType::kFloat, shape);
  auto y = out.mutable_data<float>();
  for (size_t i = 0; i < x.size(); ++i) {
    const size_t c = i / static_cast<size_t>(inner) % static_cast<size_t>(channels);
    const float scaled = call.has(1) ? x[i] * call.in(1).data<float>()[c] : x[i];
    y[i] = call.has(2) ? scaled + call.in(2).data<float>()[c] : scaled;
  }
  return {std::move(out)};
}

}  // namespace

extern const OpDef kChannelAffine = {
    .type = "ChannelAffine", .domain = "qtool", .eval = eval_channel_affine};

}  // namespace qtool
