#include "plan/code_regions.hpp"

#include <algorithm>

namespace qtool::plan {
namespace {

class Finder {
 public:
  Finder(const Graph& graph, const Uses& uses, const std::vector<NodePart>& parts,
         const std::vector<ValueId>& behind)
      : g_(graph), uses_(uses), parts_(parts), behind_(behind) {
    for (const NodePart& part : parts) regions_.reasons.push_back(part.reason);
    for (size_t n = 0; n < parts_.size(); ++n) on_codes_.push_back(parts_[n].reason.empty());
  }

  Regions run() {
    while (drop_mixers()) {
    }
    quantize_what_nodes_read_and_make();
    carry_backward();
    carry_forward();
    split_readers();
    return std::move(regions_);
  }

 private:
  Part part(size_t n) const { return parts_[n].part; }
  const Node& node(size_t n) const { return g_.nodes[n]; }
  bool takes_codes(size_t n) const {
    return on_codes_[n] &&
           (part(n) == Part::kLayer || part(n) == Part::kProduct || part(n) == Part::kMixer);
  }
  bool passes_on(size_t n) const {
    return part(n) == Part::kFunction || (part(n) == Part::kMovement && on_codes_[n]);
  }

  // Values that come from codes, in one walk forward.
  std::vector<bool> native() const {
    std::vector<bool> native(g_.values.size(), false);
    for (size_t n = 0; n < parts_.size(); ++n) {
      if (!takes_codes(n)) continue;
      for (size_t i : parts_[n].reads) {
        if (part(n) != Part::kMixer) native[index(node(n).inputs[i])] = true;
      }
    }
    for (size_t n = 0; n < parts_.size(); ++n) {
      const bool makes = on_codes_[n] && (parts_[n].makes_codes || part(n) == Part::kMixer);
      const bool passes = passes_on(n) && native[index(node(n).inputs[0])];
      if (!makes && !passes) continue;
      for (ValueId v : node(n).outputs)
        if (v != ValueId::kNone) native[index(v)] = true;
    }
    return native;
  }

  // Values that a node which takes codes reads, maybe behind functions and movement; backward.
  std::vector<bool> wanted() const {
    std::vector<bool> wanted(g_.values.size(), false);
    for (size_t n = parts_.size(); n-- > 0;) {
      if (takes_codes(n)) {
        for (size_t i : parts_[n].reads) wanted[index(node(n).inputs[i])] = true;
      } else if (passes_on(n)) {
        for (ValueId v : node(n).outputs) {
          if (v == ValueId::kNone || !wanted[index(v)]) continue;
          for (const ValueId in : passed_on(n)) wanted[index(in)] = true;
        }
      }
    }
    return wanted;
  }

  // Takes away mixers that read floats, or that nothing on codes reads. Returns whether any was.
  bool drop_mixers() {
    const std::vector<bool> from_codes = native(), is_wanted = wanted();
    bool dropped = false;
    for (size_t n = 0; n < parts_.size(); ++n) {
      if (part(n) != Part::kMixer || !on_codes_[n]) continue;
      std::string why;
      for (size_t i : parts_[n].reads) {
        const ValueId v = node(n).inputs[i];
        if (!from_codes[index(v)]) why = "one of its operands is computed in float";
      }
      if (why.empty() && !is_wanted[index(node(n).outputs[0])])
        why = "no node that runs on codes reads its result";
      if (why.empty()) continue;
      on_codes_[n] = false;
      regions_.reasons[n] = std::move(why);
      dropped = true;
    }
    return dropped;
  }

  void quantize_what_nodes_read_and_make() {
    for (size_t n = 0; n < parts_.size(); ++n) {
      if (!on_codes_[n]) continue;
      if (takes_codes(n)) {
        for (size_t i : parts_[n].reads) regions_.quantized.insert(node(n).inputs[i]);
      }
      if (parts_[n].makes_codes || part(n) == Part::kMixer)
        regions_.quantized.insert(behind_[index(node(n).outputs[0])]);
    }
  }

  bool is_quantized(ValueId v) const {
    return v != ValueId::kNone && regions_.quantized.contains(v);
  }

  // What a function or a movement reads; a function has no slots with codes of their own.
  std::vector<ValueId> passed_on(size_t n) const {
    if (part(n) == Part::kFunction) return {node(n).inputs[0]};
    std::vector<ValueId> values;
    for (const size_t i : parts_[n].reads) values.push_back(node(n).inputs[i]);
    return values;
  }

  // All outputs of a movement are codes, or none.
  bool moves_codes(size_t n) const {
    const auto& outputs = node(n).outputs;
    return std::all_of(outputs.begin(), outputs.end(), [&](ValueId v) { return is_quantized(v); });
  }

  bool makes_output(size_t n) const {
    const auto& outputs = node(n).outputs;
    return std::any_of(outputs.begin(), outputs.end(),
                       [&](ValueId v) { return v != ValueId::kNone && uses_.is_output[index(v)]; });
  }

  // A quantizer behind data movement goes in front of it where nothing else reads the value there.
  void carry_backward() {
    for (size_t n = parts_.size(); n-- > 0;) {
      if (part(n) != Part::kMovement || !on_codes_[n] || !moves_codes(n)) continue;
      for (const ValueId in : passed_on(n)) {
        if (is_quantized(in) || uses_.is_output[index(in)] || makes_output(n)) continue;
        const auto& readers = uses_.consumers[index(in)];
        const bool all = std::all_of(readers.begin(), readers.end(), [&](int32_t r) {
          const auto reader = static_cast<size_t>(r);
          return part(reader) == Part::kMovement && on_codes_[reader] && moves_codes(reader);
        });
        if (all) regions_.quantized.insert(in);
      }
    }
  }

  void carry_forward() {
    const std::vector<bool> is_wanted = wanted();
    for (size_t n = 0; n < parts_.size(); ++n) {
      if (part(n) != Part::kMovement || !on_codes_[n]) continue;
      const ValueId in = node(n).inputs[0];
      std::string why;
      for (const ValueId v : passed_on(n))
        if (!is_quantized(v)) why = "its input is not quantized";
      if (makes_output(n)) why = "its result is a graph output";
      const auto& outputs = node(n).outputs;
      if (why.empty() && std::none_of(outputs.begin(), outputs.end(), [&](ValueId v) {
            return v != ValueId::kNone && is_wanted[index(v)];
          }))
        why = "no node that runs on codes reads its result";
      if (!why.empty()) {
        on_codes_[n] = false;
        regions_.reasons[n] = std::move(why);
        continue;
      }
      const auto owner = regions_.shares_with.find(in);
      for (ValueId v : outputs) {
        if (v == ValueId::kNone) continue;
        regions_.quantized.insert(v);
        regions_.shares_with[v] = owner == regions_.shares_with.end() ? in : owner->second;
      }
    }
  }

  // The producer's kernel makes codes for whoever reads them; a float producer keeps its floats for
  // readers that take floats.
  void split_readers() {
    for (ValueId v : regions_.quantized) {
      const int32_t producer = uses_.producer[index(v)];
      if (producer >= 0 && makes_codes_of(v, static_cast<size_t>(producer))) continue;
      std::set<int32_t> readers;
      for (int32_t r : uses_.consumers[index(v)]) {
        const auto n = static_cast<size_t>(r);
        if (takes_codes(n) || (part(n) == Part::kMovement && on_codes_[n])) readers.insert(r);
      }
      const std::set<int32_t> all(uses_.consumers[index(v)].begin(),
                                  uses_.consumers[index(v)].end());
      if (readers != all || uses_.is_output[index(v)]) regions_.only_for[v] = std::move(readers);
    }
  }

  bool makes_codes_of(ValueId v, size_t producer) const {
    // Back over the Relu and Clip that stand between.
    size_t n = producer;
    while (part(n) == Part::kFunction && behind_[index(node(n).inputs[0])] == v) {
      const int32_t before = uses_.producer[index(node(n).inputs[0])];
      if (before < 0) return false;
      n = static_cast<size_t>(before);
    }
    if (!on_codes_[n]) return false;
    // Dense kernels make codes, too, when nothing reads their floats.
    return takes_codes(n) || part(n) == Part::kMovement;
  }

  const Graph& g_;
  const Uses& uses_;
  const std::vector<NodePart>& parts_;
  const std::vector<ValueId>& behind_;
  std::vector<bool> on_codes_;
  Regions regions_;
};

// Whether all that `n` joins is moved from one value by nodes that make nothing else, and nobody else reads it on its
// way: then either all of it is codes of one quantizer, or none.
bool joins_one_value(const Graph& g, const Uses& uses, const std::vector<NodePart>& parts,
                     size_t n) {
  std::set<int32_t> nodes = {static_cast<int32_t>(n)};  // that move and join
  std::set<ValueId> made = {g.nodes[n].outputs[0]}, read;
  ValueId source = ValueId::kNone;
  for (const size_t i : parts[n].reads) {
    ValueId v = g.nodes[n].inputs[i];
    for (;;) {
      const int32_t p = uses.producer[index(v)];
      if (p < 0 || parts[static_cast<size_t>(p)].part != Part::kMovement ||
          !parts[static_cast<size_t>(p)].reason.empty())
        break;
      nodes.insert(p);
      read.insert(v);
      v = g.nodes[static_cast<size_t>(p)].inputs[0];
    }
    if (source != ValueId::kNone && v != source) return false;
    source = v;
  }
  made.insert(read.begin(), read.end());
  read.insert(source);
  const auto makes_only_these = [&](int32_t node) {
    return std::ranges::all_of(g.nodes[static_cast<size_t>(node)].outputs, [&](ValueId v) {
      return v == ValueId::kNone || (made.contains(v) && !uses.is_output[index(v)]);
    });
  };
  const auto is_read_here = [&](ValueId v) {
    return !uses.is_output[index(v)] &&
           std::ranges::all_of(uses.consumers[index(v)],
                               [&](int32_t node) { return nodes.contains(node); });
  };
  return std::ranges::all_of(nodes, makes_only_these) && std::ranges::all_of(read, is_read_here);
}

}  // namespace

void find_moves(const Graph& graph, const Uses& uses, std::vector<NodePart>& parts) {
  for (size_t n = 0; n < parts.size(); ++n) {
    if (parts[n].joins && parts[n].reason.empty() && joins_one_value(graph, uses, parts, n))
      parts[n].part = Part::kMovement;
  }
}

Regions find_regions(const Graph& graph, const Uses& uses, const std::vector<NodePart>& parts,
                     const std::vector<ValueId>& behind) {
  return Finder(graph, uses, parts, behind).run();
}

}  // namespace qtool::plan
