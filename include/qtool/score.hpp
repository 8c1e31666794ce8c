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
  // What the prices depend on besides model, calibration and widths; tables of one key can be joined.
  std::string key = {};
};

struct ScoreOptions {
  std::string method = "sqnr";
  std::vector<Width> weights = {2, 3, 4, 5, 6, 8};
  std::vector<Width> activations = {8};  // one entry: not searched, not scored
  std::string optimizer = "rtn";
  std::string range_method = "mse";
  int64_t samples = 64;  // of the calibration data
  int threads = 1;
  // Made by score() where it is needed and nullptr; its widths are `weights`.
  const WeightCandidates* candidates = nullptr;
};
ScoreTable score(const Model& model, const Sites& sites, const CalibrationTable& table,
                 const SampleSource& source, const ScoreOptions& options);

void save_scores(const ScoreTable& scores, const std::filesystem::path& path);
ScoreTable load_scores(const std::filesystem::path& path);

// Of `widths`, those of weights that a table does not price.
std::vector<Width> missing_widths(const ScoreTable& scores, const std::vector<Width>& widths);
// The prices of `widths` in that order, each from the first of two tables of one key that has it. Groups and
// everything but widths are the first one's; a table without groups gives nothing.
ScoreTable joined_scores(const ScoreTable& first, const ScoreTable& second,
                         const std::vector<Width>& widths);

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
