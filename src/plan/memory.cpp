#include "qtool/memory.hpp"

#include <algorithm>

#include "qtool/branches.hpp"

namespace qtool {
namespace {

struct Alive {
  ValueId value;
  int64_t from, to;  // nodes
};

int64_t elements_of(const Value& value) {
  if (!value.shape) return 0;
  int64_t n = 1;
  for (size_t d = 0; d < value.shape->size(); ++d) {
    const int64_t size = (*value.shape)[d];
    if (d == 0 && (size < 0 || value.shape->size() > 1)) continue;  // the batch
    if (size < 0) return 0;
    n *= size;
  }
  return n;
}

std::vector<Alive> spans_of(const Model& model) {
  const Graph& g = model.graph;
  const Uses uses = uses_of(g);
  const auto last = static_cast<int64_t>(g.nodes.size()) - 1;
  std::vector<Alive> spans;
  const auto add = [&](ValueId v, int64_t from) {
    if (v == ValueId::kNone || g.constant(v)) return;
    int64_t to = uses.is_output[index(v)] ? last : from;
    for (int32_t consumer : uses.consumers[index(v)]) to = std::max<int64_t>(to, consumer);
    spans.push_back({v, from, to});
  };
  for (ValueId v : g.inputs) add(v, 0);
  for (size_t i = 0; i < g.nodes.size(); ++i)
    for (ValueId v : g.nodes[i].outputs) add(v, static_cast<int64_t>(i));
  return spans;
}

bool holds(const LiveSet& a, const LiveSet& b) {
  if (a.float_elements < b.float_elements) return false;
  return std::all_of(b.elements.begin(), b.elements.end(), [&](const auto& item) {
    const auto at = a.elements.find(item.first);
    return at != a.elements.end() && at->second >= item.second;
  });
}

}  // namespace

int LiveSet::stored_bits(const std::string& value, int bits) const {
  return branched.contains(value) ? std::max(bits, kBranchBits) : bits;
}

std::vector<LiveSet> live_sets(const Model& model, const Sites& sites) {
  const Graph& g = model.graph;
  std::set<std::string> never_stored;
  for (const LayerSite& site : sites.layers) {
    for (const Node& node : g.nodes) {
      if (node.name == site.name && g.value(node.outputs[0]).name != site.output)
        never_stored.insert(g.value(node.outputs[0]).name);
    }
  }
  const std::set<std::string> branched = branched_values(sites);
  std::vector<LiveSet> sets(g.nodes.size());
  for (size_t i = 0; i < sets.size(); ++i) sets[i].node = g.nodes[i].name;
  for (const Alive& alive : spans_of(model)) {
    const Value& value = g.value(alive.value);
    if (never_stored.contains(value.name)) continue;
    const ActivationSite* site = sites.activation(value.name);
    const int64_t n = site && site->elements > 0 ? site->elements : elements_of(value);
    for (int64_t i = alive.from; i <= alive.to && n > 0; ++i) {
      LiveSet& set = sets[static_cast<size_t>(i)];
      if (!site) {
        set.float_elements += n;
        continue;
      }
      set.elements[value.name] += n;
      if (branched.contains(value.name)) set.branched.insert(value.name);
    }
  }
  std::vector<LiveSet> kept;
  for (size_t i = 0; i < sets.size(); ++i) {
    bool held = false;
    for (size_t j = 0; j < sets.size() && !held; ++j)
      held = j != i && holds(sets[j], sets[i]) && (j < i || !holds(sets[i], sets[j]));
    if (!held) kept.push_back(sets[i]);
  }
  return kept;
}

int64_t peak_activation_bytes(const std::vector<LiveSet>& sets, const QuantPlan& plan) {
  int64_t peak = 0;
  for (const LiveSet& set : sets) {
    int64_t bits = 32 * set.float_elements;
    for (const auto& [name, elements] : set.elements)
      bits += elements * set.stored_bits(name, plan.activation_bits.at(name));
    peak = std::max(peak, (bits + 7) / 8);
  }
  return peak;
}

}  // namespace qtool
