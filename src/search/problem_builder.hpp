// The problem behind a search: groups and their prices from the score table, limits from the budget.
#pragma once

#include <limits>
#include <map>

#include "qtool/assign.hpp"

namespace qtool::search {

// What one group costs at a width, and how its choice is written into the plan.
struct Item {
  GroupKind kind;
  std::vector<std::string> names;  // layers that share one weight, or one activation
  std::vector<int> bits;
  std::vector<double> loss;
  int64_t filter = -1;  // of the layers' output channels; −1: all of them
  double importance = std::numeric_limits<double>::quiet_NaN();  // not a number: unknown
  std::vector<std::vector<float>> error = {};                    // see Problem::error
};

// What is kept does not take part.
class ProblemBuilder {
 public:
  ProblemBuilder(const Model& model, const Sites& sites, const ScoreTable& scores,
                 const AssignOptions& options);

  const Problem& problem() const { return problem_; }
  const std::vector<std::string>& limit_names() const { return limit_names_; }
  QuantPlan plan(const std::vector<int>& choice) const;

 private:
  using WeightCost = std::function<int64_t(const LayerSite&, int bits)>;
  using ActivationCost = std::function<int64_t(const std::string&, int bits)>;

  void set_width(LayerChoice& layer, const Item& item, int bits) const;
  void set_activation(QuantPlan& plan, const std::string& name, int bits) const;
  bool is_kept(const std::string& layer) const;
  void add(const GroupScore& group);
  void add_activation(const GroupScore& group);
  void add_item(const GroupScore& group, int64_t filter, const std::vector<double>& loss);
  void merge(const GroupScore& group, const std::vector<double>& loss, Item& item) const;
  std::vector<std::vector<double>> filter_losses(const GroupScore& group,
                                                 const LayerSite& site) const;

  // limits.cpp
  void add_limit(const Limit& limit);
  // cost(layer, bits) summed over weights, cost(activation, bits) over activations; what is fixed is taken
  // off the limit.
  void add_rows(int64_t limit, std::string name, const WeightCost& weight_cost,
                const ActivationCost& activation_cost);
  void add_work_rows(int64_t limit, std::string name, const WeightCost& cost);
  void add_bops(int64_t limit, std::string name);
  void add_latency(const Limit& limit);
  void add_peak(int64_t limit_bytes, const std::string& name);
  void require_fixed_activations(const std::string& what) const;
  void forbid();
  int64_t elements(const std::string& name) const;
  int64_t weights() const;
  int64_t other_bytes(bool with_weights) const;

  const std::string fingerprint_;
  const Model& model_;
  const Sites& sites_;
  const AssignOptions& options_;
  QuantPlan plan_;
  std::vector<Item> items_;
  std::map<std::string, size_t> first_item_;  // of a weight
  Problem problem_;
  std::vector<std::string> limit_names_;
};

}  // namespace qtool::search
