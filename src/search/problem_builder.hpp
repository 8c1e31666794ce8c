// The problem behind a search: groups and their prices from the score table, limits from the budget.
#pragma once

#include <map>

#include "search/items.hpp"

namespace qtool::search {

// What is kept does not take part.
class ProblemBuilder {
 public:
  ProblemBuilder(const Model& model, const Sites& sites, const ScoreTable& scores,
                 const AssignOptions& options);

  const Problem& problem() const { return problem_; }
  const std::vector<std::string>& limit_names() const { return limit_names_; }
  QuantPlan plan(const std::vector<int>& choice) const;
  // The sum of the scores' prices, whatever exponent the problem has them in.
  double loss(const std::vector<int>& choice) const;
  // The layer or activation that an item is for, or begins with.
  const std::string& name_of(int item) const {
    return items_[static_cast<size_t>(item)].parts[0].names[0];
  }

  // stored_limits.cpp: what a file stores can be more than its choices add up to.
  // Takes off the limits what a plan of this cost stores above them; false when it holds them.
  bool tighten(const PlanCost& cost);
  // Whether the widest filter of a layer decides what all of them take, and a limit counts that.
  bool shares_containers() const;
  // Filters of a layer no wider than this, and all stored so.
  void hold_in(const std::map<std::string, int>& containers);

 private:
  using WeightCost = std::function<int64_t(const LayerSite&, const Width&)>;
  using WorkCost =
      std::function<int64_t(const LayerSite&, const Width& weights, const Width& input)>;
  using ActivationCost = std::function<int64_t(const std::string&, int bits)>;

  void set_width(LayerChoice& layer, const Part& part, const Width& width) const;
  void set_activation(QuantPlan& plan, const std::string& name, const Width& width) const;
  // Layers that read codes of an activation, or of one that has its parameters.
  std::vector<const LayerSite*> readers(const std::string& activation) const;
  bool coupled(const LayerSite& site, const std::vector<Width>& weights,
               const std::vector<Width>& inputs) const;
  void forbid();
  void forbid_modes();
  // Of what a layer of an item reads at a choice.
  Width input_width(const Item& item, size_t choice, const LayerSite& site) const;

  // limits.cpp
  void add_limit(const Limit& limit);
  // weight_cost(layer, width) summed over weights, layer_cost(layer, width) over layers, also where several share a
  // weight, cost(activation, bits) over activations; what is fixed is taken off the limit.
  void add_rows(int64_t limit, std::string name, const WeightCost& weight_cost,
                const ActivationCost& activation_cost, const WeightCost& layer_cost = {});
  void add_work_rows(int64_t limit, std::string name, const WorkCost& cost);
  void add_bops(int64_t limit, std::string name);
  void add_stored(double allowed_bits, const Limit& limit);
  void add_latency(const Limit& limit);
  void add_peak(int64_t limit_bytes, const std::string& name);
  void require_layers_or_fixed_activations() const;
  void require_static_activations(const std::string& what) const;
  int64_t read_bits(const std::string& name, int bits) const;
  int64_t weights() const;
  int64_t other_bytes(bool with_weights) const;

  struct StoredLimit {
    size_t row;       // of the problem
    bool per_weight;  // bits of weights; else bytes of everything
    double allowed;   // bits
  };

  const std::string fingerprint_;
  const Model& model_;
  const Sites& sites_;
  std::set<std::string> branched_;  // values
  const AssignOptions& options_;
  QuantPlan plan_;
  std::vector<Item> items_;
  Problem problem_;
  std::vector<std::string> limit_names_;
  std::vector<StoredLimit> stored_limits_;
};

// The container (2, 4 or 8 bits) that each layer's filters share: the best under the limits on what is
// stored, the others left aside, and the bound that this proves. No layers when none holds the limits.
struct Containers {
  std::map<std::string, int> bits;  // by layer
  double bound = 0;
};
Containers containers_of(const Model& model, const Sites& sites, const ScoreTable& scores,
                         const AssignOptions& options);

}  // namespace qtool::search
