// Score layer: the price of every choice of every group, from the float model and unlabeled data.
//
//   ScoreTable scores = score(prepared, sites, candidates, table, *source, {.method = "sqnr"});
#pragma once

#include <span>
#include <string>
#include <vector>

#include "qtool/calibrate.hpp"
#include "qtool/candidates.hpp"
#include "qtool/plan.hpp"

namespace qtool {

// Groups: one per layer's weights, one per activation tensor with all its consumers.
enum class GroupKind { kWeights, kActivation };
struct GroupScore {
  GroupKind kind = GroupKind::kWeights;
  std::string name;           // layer or value
  std::vector<Width> widths;  // candidates, float among them when asked
  std::vector<double> noise;  // relative noise power at the network's outputs, one per candidate
  // [output channel][candidate], adding up to `noise`; empty: the method prices whole groups.
  std::vector<std::vector<double>> filter_noise = {};
  // [output channel]: what a filter matters whatever its width, more is more; empty: the method ranks
  // choices by `noise` alone. For solvers that assign widths by rank.
  std::vector<double> importance = {};
  // [candidate]: the outputs' error over all samples, projected to a few dimensions that all groups
  // share, scaled so that its square is about `noise`; empty: the method does not keep it.
  std::vector<std::vector<float>> error = {};
};
struct ScoreTable {
  std::string model_fingerprint, method;
  int64_t samples = 0;
  std::vector<GroupScore> groups;
  // What the prices depend on besides model, calibration and widths: tables of one key can be joined.
  std::string key = {};
};

struct ScoreOptions {
  std::string method = "sqnr";
  std::vector<Width> weights = {2, 3, 4, 5, 6, 8};
  std::vector<Width> activations = {};  // empty: activations are not priced
  std::string optimizer = "rtn";
  ActivationStyle style = {};
  int64_t samples = 64;  // of the calibration data
  // Float passes over all of the data that a method which runs every choice may take with twelve choices a layer: it takes
  // fewer samples; 0: any number. Does not depend on the choices, so that those which come later get the same samples.
  int64_t most_passes = 0;
  int threads = 1;
  // Made by score() where it is needed and nullptr; its widths are `weights`.
  const WeightCandidates* candidates = nullptr;
};
ScoreTable score(const Model& model, const Sites& sites, const CalibrationTable& table,
                 const SampleSource& source, const ScoreOptions& options);

void save_scores(const ScoreTable& scores, const std::filesystem::path& path);
ScoreTable load_scores(const std::filesystem::path& path);

// Of `widths`, those that a table does not price in groups of this kind; all where it has none.
std::vector<Width> missing_widths(const ScoreTable& scores, GroupKind kind,
                                  const std::vector<Width>& widths);
// All widths that a table prices in every group of this kind, as its first one has them.
std::vector<Width> priced_widths(const ScoreTable& scores, GroupKind kind);
// The prices of these widths in that order, each from the first of two tables of one key that has it; weights, then
// activations, each in the order that tables have them. No groups of a kind whose widths are empty.
ScoreTable joined_scores(const ScoreTable& first, const ScoreTable& second,
                         const std::vector<Width>& weights, const std::vector<Width>& activations);

struct ScoreMethod {
  std::string_view name, summary;
  bool needs_candidates = true;  // ScoreOptions::candidates is set when it runs
  bool in_noise = false;         // prices are relative noise power, and not of a unit of their own
  ScoreTable (*run)(const Model&, const Sites&, const CalibrationTable&, const SampleSource&,
                    const ScoreOptions&);
};
std::span<const ScoreMethod* const> score_methods();
// Whether a table's prices are relative noise power.
bool prices_noise(const ScoreTable& scores);

}  // namespace qtool
