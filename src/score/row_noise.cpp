#include "score/row_noise.hpp"

#include <algorithm>

#include "score/float_walk.hpp"

namespace qtool::fisher {
namespace {

// Of weight gradients held at once, so that changes are made once for all of them.
constexpr int64_t kHeldBytes = int64_t{64} << 20;

int64_t group_of(const Node& node) { return attr_int(node, "group", 1); }

// Whether groups are ranges of the weight's channels, as a convolution's are; a transposed one has every
// channel once a group.
bool grouped_channels(const LayerSite& site) { return !site.dense && site.channel_axis == 0; }

const Shape& weight_shape(const Model& model, const LayerSite& site) {
  return model.graph.constant(model.graph.find(site.weight))->shape();
}

Shape narrow_shape(const Model& model, const LayerSite& site) {
  Shape shape = weight_shape(model, site);
  shape[static_cast<size_t>(site.channel_axis)] =
      grouped_channels(site) ? group_of(node_of(model, site)) : 1;
  return shape;
}

// Part `i` of `count` along the first axis.
Tensor cut(const Tensor& t, int64_t i, int64_t count) {
  if (count == 1) return t;
  Shape shape = t.shape();
  shape[0] /= count;
  const auto bytes = static_cast<std::ptrdiff_t>(t.bytes() / count);
  return Tensor::view(t.dtype(), shape, static_cast<const char*>(t.raw()) + i * bytes,
                      std::make_shared<Tensor>(t));
}

Tensor ones(Shape shape, int64_t axis, int64_t channels) {
  shape[static_cast<size_t>(axis)] = channels;
  Tensor t = Tensor::uninitialized(DType::kFloat, std::move(shape));
  std::ranges::fill(t.mutable_data<float>(), 1.f);
  return t;
}

}  // namespace

void RowSums::add(const RowSums& chunk, double weight) {
  add_to(bb, chunk.bb, weight);
  for (size_t c = 0; c < aa.size(); ++c) {
    add_to(aa[c], chunk.aa[c], weight);
    add_to(ab[c], chunk.ab[c], weight);
  }
  add_to(inputs, chunk.inputs, 1);
  positions += chunk.positions;
}

RowNoise::RowNoise(const Model& model, const LayerSite& site)
    : site_(site),
      whole_(model, node_of(model, site), weight_shape(model, site)),
      narrow_(model, node_of(model, site), narrow_shape(model, site)) {
  const Node& node = node_of(model, site);
  input_ = model.graph.value(node.inputs[0]).name;
  output_ = model.graph.value(node.outputs[0]).name;
  const Shape& weight = weight_shape(model, site);
  rank_ = static_cast<int64_t>(weight.size());
  (grouped_channels(site) ? groups_ : view_.parts) = group_of(node);
  view_.channels = weight[static_cast<size_t>(site.channel_axis)];
  for (size_t d = 0; d < weight.size(); ++d) {
    if (static_cast<int64_t>(d) < site.channel_axis) view_.outer *= weight[d];
    if (static_cast<int64_t>(d) > site.channel_axis) view_.inner *= weight[d];
  }
  view_.outer /= view_.parts;
}

int64_t RowNoise::cuts(const Tensor& x, const Tensor& y, int64_t samples) const {
  // The first axis of what a stack of matrices multiplies may be the stack's.
  const bool stacked = site_.dense && !site_.matrix && x.rank() <= rank_;
  if (samples < 2 || stacked || x.rank() < 2) return 1;
  return x.dim(0) % samples == 0 && y.dim(0) % samples == 0 ? samples : 1;
}

RowSums RowNoise::sums(const LayerChanges& layer, const Tensor& input,
                       const std::vector<Tensor>& gradients, int64_t samples) const {
  Tensor x = input;
  std::vector<Tensor> along;
  for (const Tensor& gradient : gradients)
    if (gradient.defined()) along.push_back(gradient);
  if (site_.matrix) {  // rows, whatever they are rows of
    const auto rows = [](const Tensor& t) {
      return t.rank() < 2 ? t : t.reshaped({t.size() / std::max<int64_t>(1, t.dim(-1)), t.dim(-1)});
    };
    x = rows(x);
    for (Tensor& gradient : along) gradient = rows(gradient);
  }
  const int64_t axis = site_.dense ? along[0].rank() - 1 : 1, parts = cuts(x, along[0], samples);
  const ChannelView outputs(along[0], parts, site_.dense);
  const int64_t channels = view_.parts * view_.channels;
  RowSums sums(layer.changes.size());
  if (site_.takes_bias) {
    const Tensor mean =
        narrow_.of(x, ones(along[0].shape(), axis, channels / view_.channels * groups_));
    const auto values = mean.data<float>();
    sums.inputs.assign(values.begin(), values.end());
    sums.positions = static_cast<double>(along[0].size()) / static_cast<double>(channels);
  }
  const auto each = static_cast<size_t>(channels);
  sums.bb.resize(each, 0.0);
  for (size_t c = 0; c < layer.changes.size(); ++c) {
    sums.aa[c].resize(each, 0.0);
    sums.ab[c].resize(each, 0.0);
  }
  std::vector<double> b;  // [direction][sample][channel]
  for (const Tensor& gradient : along) {
    const std::vector<double> more = outputs.sum(gradient.data<float>().data());
    b.insert(b.end(), more.begin(), more.end());
  }
  for (size_t i = 0; i < b.size(); ++i) sums.bb[i % each] += b[i] * b[i];
  const int64_t all = parts * static_cast<int64_t>(along.size());
  const int64_t held = std::clamp<int64_t>(kHeldBytes / (4 * site_.weights + 1), 1, all);
  for (int64_t first = 0; first < all; first += held) {
    std::vector<Tensor> weights;
    std::vector<const float*> at;
    for (int64_t i = first; i < std::min(all, first + held); ++i) {
      weights.push_back(whole_.of(cut(x, i % parts, parts),
                                  cut(along[static_cast<size_t>(i / parts)], i % parts, parts)));
      at.push_back(weights.back().data<float>().data());
    }
    const std::vector<std::vector<double>> all_products = products(view_, layer.changes, at);
    for (size_t c = 0; c < layer.changes.size(); ++c) {
      const std::vector<double>& a = all_products[c];
      for (size_t i = 0; i < a.size(); ++i) {
        sums.aa[c][i % each] += a[i] * a[i];
        sums.ab[c][i % each] += a[i] * b[static_cast<size_t>(first) * each + i];
      }
    }
  }
  return sums;
}

std::vector<double> RowNoise::mean_shift(const WeightChange& change, const RowSums& sums) const {
  std::vector<double> shift(static_cast<size_t>(view_.parts * view_.channels), 0.0);
  std::vector<float> buffer(static_cast<size_t>(view_.channels * view_.inner));
  for (int64_t o = 0; o < view_.parts * view_.outer; ++o) {
    const int64_t count = std::ssize(buffer);
    const float* w = change.read(o * count, count, buffer.data());
    double* to = shift.data() + o / view_.outer * view_.channels;
    for (int64_t c = 0; c < view_.channels; ++c) {
      const double* x =
          sums.inputs.data() + (o * groups_ + c * groups_ / view_.channels) * view_.inner;
      for (int64_t i = 0; i < view_.inner; ++i) to[c] += double{*w++} * x[i];
    }
  }
  for (double& s : shift) s /= std::max(sums.positions, 1.0);
  return shift;
}

std::vector<std::vector<double>> RowNoise::by_row(const LayerChanges& layer, const RowSums& sums,
                                                  double count) const {
  const auto rows = static_cast<size_t>(site_.channels);
  std::vector<std::vector<double>> noise(rows, std::vector<double>(layer.changes.size(), 0));
  for (size_t c = 0; c < layer.changes.size(); ++c) {
    if (!layer.changes[c].defined() || sums.aa[c].empty()) continue;
    std::vector<double> mean(sums.aa[c].size(), 0.0);
    if (site_.takes_bias) mean = mean_shift(layer.changes[c], sums);
    for (size_t i = 0; i < mean.size(); ++i) {
      const double power =
          sums.aa[c][i] - 2 * mean[i] * sums.ab[c][i] + mean[i] * mean[i] * sums.bb[i];
      noise[i % rows][c] += std::max(power, 0.0) / count;
    }
  }
  return noise;
}

}  // namespace qtool::fisher
