// Zeros around pictures become the pads of the convolutions that read them.
#include <algorithm>

#include "passes/passes.hpp"

namespace qtool::passes {
namespace {

// The zeros of a Pad: of floats, or of codes as the convolution that reads them means it.
bool pads_with(const Graph& g, const Node& pad, const Tensor* zero) {
  const Tensor* value = pad.inputs.size() > 2 ? constant(g, pad.inputs[2]) : nullptr;
  if (pad.inputs.size() > 2 && pad.inputs[2] != ValueId::kNone && !value) return false;
  const double have = value ? value->number(0) : 0, want = zero ? zero->number(0) : 0;
  return (!value || value->size() == 1) && (!zero || zero->size() == 1) && have == want;
}

// Begins and ends of the spatial dimensions; nothing where other elements are added, or any is cut off.
std::optional<std::vector<int64_t>> spatial_pads(const Graph& g, const Node& pad, int64_t rank) {
  const Tensor* pads = pad.inputs.size() > 1 ? constant(g, pad.inputs[1]) : nullptr;
  const bool some_axes = pad.inputs.size() > 3 && pad.inputs[3] != ValueId::kNone;
  if (!pads || some_axes || attr_string(pad, "mode", "constant") != "constant") return {};
  const std::vector<int64_t> all = pads->to_int64s();
  if (static_cast<int64_t>(all.size()) != 2 * rank || rank < 3) return {};
  if (std::ranges::any_of(all, [](int64_t p) { return p < 0; })) return {};
  const auto r = static_cast<size_t>(rank);
  if (all[0] || all[1] || all[r] || all[r + 1]) return {};
  std::vector<int64_t> spatial(all.begin() + 2, all.begin() + rank);
  spatial.insert(spatial.end(), all.begin() + rank + 2, all.end());
  return spatial;
}

// The convolution's pads with the others around them.
std::optional<std::vector<int64_t>> with_pads(const Node& conv, const std::vector<int64_t>& more) {
  const std::string automatic = attr_string(conv, "auto_pad", "NOTSET");
  if (automatic != "NOTSET" && automatic != "VALID") return {};
  std::vector<int64_t> pads(more.size(), 0);
  if (automatic == "NOTSET") pads = attr_ints(conv, "pads", pads);
  if (pads.size() != more.size()) return {};
  for (size_t i = 0; i < pads.size(); ++i) pads[i] += more[i];
  return pads;
}

}  // namespace

void fuse_pads(Model& model, const std::set<std::string>& observe) {
  Graph& g = model.graph;
  const Uses uses = uses_of(g);
  for (Node& conv : g.nodes) {
    const bool codes = is(conv, "QLinearConv");
    constexpr size_t kZeroPoint = 2, kCodeWeights = 3;
    const Tensor* weights =
        is(conv, "Conv") || codes ? constant(g, conv.inputs[codes ? kCodeWeights : 1]) : nullptr;
    const int32_t before = weights ? uses.producer[index(conv.inputs[0])] : -1;
    if (before < 0 || observe.contains(g.value(conv.inputs[0]).name)) continue;
    const Node& pad = g.nodes[static_cast<size_t>(before)];
    const Tensor* zero = codes ? constant(g, conv.inputs[kZeroPoint]) : nullptr;
    if (!is(pad, "Pad") || (codes && !zero) || !pads_with(g, pad, zero)) continue;
    const auto more = spatial_pads(g, pad, weights->rank());
    const auto pads = more ? with_pads(conv, *more) : std::nullopt;
    if (!pads) continue;
    set_attribute(conv, "pads", *pads);
    remove_attribute(conv, "auto_pad");
    conv.inputs[0] = pad.inputs[0];
  }
  remove_dead(g);
}

}  // namespace qtool::passes
