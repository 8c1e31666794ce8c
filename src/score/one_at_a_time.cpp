#include "score/one_at_a_time.hpp"

#include <algorithm>
#include <cmath>

#include "qtool/branches.hpp"
#include "qtool/exec.hpp"
#include "quantize/internal.hpp"
#include "score/output_error.hpp"
#include "score/run_time_codes.hpp"

namespace qtool::scoring {
namespace {

struct Candidate {
  const WeightCodes* weight = nullptr;  // kWeights
  std::vector<float> bias = {};         // kWeights: what the bias becomes; empty: stays
  QParams activation = {};              // kActivation, static
  std::optional<QParams> branch = {};   // of other readers, where layers read codes apart
  ActivationMode mode = ActivationMode::kStatic;
};

// A value that changes, and the step in front of which it is there.
struct Place {
  int step = 0;
  std::string value;
  bool apart = false;  // what layers read of a branched value
};

struct Group {
  GroupScore score;
  // The initializer, or the activation and those that its parameters cover, in the order of steps.
  std::vector<Place> places;
  std::string bias;  // the initializer that changes with the first, or empty
  int64_t channel_axis = 0;
  std::vector<std::optional<Candidate>> candidates;  // empty: float, no noise
  // Each filter's part of a candidate's noise, [candidate][output channel]: by its own output error.
  std::vector<std::vector<double>> shares;
};

// Parts of one; all equal where there is no error.
std::vector<double> shares_of(std::vector<double> errors) {
  double sum = 0;
  for (double e : errors) sum += e;
  for (double& e : errors) e = sum > 0 ? e / sum : 1.0 / static_cast<double>(errors.size());
  return errors;
}

// What every filter adds to the noise of every candidate, [output channel][candidate].
std::vector<std::vector<double>> filter_noise(const Group& group) {
  if (group.score.kind != GroupKind::kWeights) return {};
  size_t filters = 0;
  for (const auto& shares : group.shares) filters = std::max(filters, shares.size());
  std::vector<std::vector<double>> noise(filters, std::vector<double>(group.shares.size(), 0));
  for (size_t c = 0; c < group.shares.size(); ++c) {
    for (size_t f = 0; f < group.shares[c].size(); ++f)
      noise[f][c] = group.score.noise[c] * group.shares[c][f];
  }
  return noise;
}

Group weight_group(const Model& model, const LayerSite& site, const Executor& executor,
                   const CalibrationTable& table, const ScoreOptions& options) {
  Group group;
  group.score.name = site.name;
  group.score.widths = options.weights;
  group.score.noise.assign(options.weights.size(), 0);
  group.places = {{executor.step_of(site.name), site.weight}};
  group.bias = site.bias;
  group.channel_axis = site.channel_axis;
  const Tensor& weight = *model.graph.constant(model.graph.find(site.weight));
  const LayerCandidates& layer = options.candidates->layers.at(site.name);
  for (size_t c = 0; c < options.weights.size(); ++c) {
    if (options.weights[c].bits == kFloatBits) {
      group.candidates.emplace_back();
      group.shares.emplace_back();
      continue;
    }
    Candidate candidate{&layer.codes[c]};
    if (!site.bias.empty() && !layer.bias_shift.empty())
      candidate.bias = shifted_bias(model, site, layer.bias_shift[c]);
    group.shares.push_back(shares_of(row_errors(weight, site, layer.codes[c], table)));
    group.candidates.push_back(std::move(candidate));
  }
  return group;
}

// The step behind the one that makes a value.
int step_behind(const Model& model, const Uses& uses, const Executor& executor,
                const std::string& value) {
  const int32_t producer = uses.producer[index(model.graph.find(value))];
  if (producer < 0) return 0;
  return executor.step_of(model.graph.nodes[static_cast<size_t>(producer)].name) + 1;
}

// Where an owner's codes change the network, without their steps.
std::vector<Place> places_of(const Sites& sites, const ActivationSite& owner,
                             const ScoreOptions& options) {
  std::vector<Place> places;
  for (const std::string& name : covered_values(owner)) places.push_back({0, name});
  if (std::ranges::none_of(options.activations, is_read_apart)) return places;
  for (const std::string& name : values_read_apart(sites, owner)) places.push_back({0, name, true});
  return places;
}

Group activation_group(const Model& model, const Sites& sites, const Uses& uses,
                       const Executor& executor, const ActivationSite& site,
                       const CalibrationTable& table, const ScoreOptions& options) {
  Group group;
  group.score.kind = GroupKind::kActivation;
  group.score.name = site.name;
  group.score.widths = options.activations;
  group.score.noise.assign(options.activations.size(), 0);
  group.places = places_of(sites, site, options);
  for (Place& place : group.places) place.step = step_behind(model, uses, executor, place.value);
  const bool apart = std::ranges::any_of(group.places, &Place::apart);
  std::ranges::stable_sort(group.places, {}, &Place::step);
  for (const Width& width : options.activations) {
    group.candidates.emplace_back();
    if (width.bits == kFloatBits) continue;
    Candidate& candidate = group.candidates.back().emplace();
    candidate.mode = width.mode;
    if (width.mode != ActivationMode::kStatic) continue;
    const auto quantizer = [&](int bits) {
      return qdq::activation_quantizer(sites, site, bits, options.style, table);
    };
    candidate.activation = quantizer(width.bits);
    if (apart && is_read_apart(width)) candidate.branch = quantizer(kBranchBits);
  }
  return group;
}

std::vector<Group> make_groups(const Model& model, const Sites& sites, const Executor& executor,
                               const CalibrationTable& table, const ScoreOptions& options) {
  std::vector<Group> groups;
  const std::vector<const LayerSite*> layers = quantizable_layers(sites);
  groups.resize(layers.size());
  parallel_for(options.threads, static_cast<int64_t>(layers.size()), [&](int64_t i, int) {
    groups[static_cast<size_t>(i)] =
        weight_group(model, *layers[static_cast<size_t>(i)], executor, table, options);
  });
  const Uses uses = uses_of(model.graph);
  for (const ActivationSite* site : priced_activations(model, sites, options))
    groups.push_back(activation_group(model, sites, uses, executor, *site, table, options));
  // Resumed in graph order; where two share a step, weights first.
  std::stable_sort(groups.begin(), groups.end(), [](const Group& a, const Group& b) {
    return a.places[0].step < b.places[0].step;
  });
  return groups;
}

// `state` stands in front of the group's first place.
void apply(const Executor& executor, const Group& group, const Candidate& candidate, State& state) {
  if (group.score.kind == GroupKind::kActivation) {
    for (const Place& place : group.places) {
      if (place.apart && !candidate.branch) continue;
      executor.advance(state, place.step);
      const Tensor x = executor.get(state, place.value);
      const bool branch = candidate.branch && !place.apart;
      executor.set(state, place.value,
                   candidate.mode != ActivationMode::kStatic ? run_time_codes(x, candidate.mode)
                   : branch                                  ? fake_quantize(x, *candidate.branch)
                            : fake_quantize(x, candidate.activation));
    }
    return;
  }
  executor.set(state, group.places[0].value, dequantized(*candidate.weight, group.channel_axis));
  if (candidate.bias.empty()) return;
  Tensor bias = executor.get(state, group.bias);
  std::copy(candidate.bias.begin(), candidate.bias.end(), bias.mutable_data<float>().begin());
  executor.set(state, group.bias, std::move(bias));
}

// What one chunk says of every candidate of every group.
struct ChunkScores {
  std::vector<std::vector<double>> distance;           // weighted by samples
  std::vector<std::vector<std::vector<float>>> error;  // see GroupScore::error
};

ChunkScores score_chunk(const Executor& executor, const std::vector<Group>& groups,
                        const Batch& batch, const OneAtATime& method, int64_t samples) {
  const std::vector<Tensor> want = executor.run(batch.feed);
  State state = executor.start(batch.feed);
  ChunkScores scores;
  for (const Group& group : groups) {
    executor.advance(state, group.places[0].step);
    auto& row = scores.distance.emplace_back(group.candidates.size(), 0.0);
    auto& errors = scores.error.emplace_back(group.candidates.size());
    for (size_t c = 0; c < group.candidates.size(); ++c) {
      if (method.keeps_error) errors[c].assign(kErrorSize, 0.f);
      if (!group.candidates[c]) continue;
      State branch = state;
      apply(executor, group, *group.candidates[c], branch);
      const std::vector<Tensor> have = executor.finish(branch);
      row[c] = method.distance(want, have) * static_cast<double>(batch.samples);
      if (method.keeps_error) errors[c] = projected_error(want, have, batch, samples, kErrorSize);
    }
  }
  return scores;
}

// See ScoreOptions::most_passes: half a pass a choice, as the prefix runs once.
ScoredChunks affordable_chunks(const SampleSource& source, const Sites& sites,
                               const ScoreOptions& options) {
  constexpr int64_t kChoices = 12;
  const ScoredChunks wanted = scored_chunks(source, options.samples);
  const auto layers = std::max<int64_t>(1, std::ssize(quantizable_layers(sites)));
  const int64_t most = 2 * options.most_passes * source.samples() / (kChoices * layers);
  if (options.most_passes == 0 || wanted.samples <= most) return wanted;
  ScoredChunks scored;
  while (scored.chunks == 0 || scored.samples + source.samples_in(scored.chunks) <= most)
    scored.samples += source.samples_in(scored.chunks++);
  return scored;
}

}  // namespace

ScoreTable one_at_a_time(const OneAtATime& method, const Model& model, const Sites& sites,
                         const CalibrationTable& table, const SampleSource& source,
                         const ScoreOptions& options) {
  ExecOptions exec;
  for (const ActivationSite* site : priced_activations(model, sites, options))
    for (const Place& place : places_of(sites, *site, options)) exec.observe.insert(place.value);
  const Executor executor(model, exec);
  std::vector<Group> groups = make_groups(model, sites, executor, table, options);
  const ScoredChunks scored = affordable_chunks(source, sites, options);
  Progress progress("scoring", scored.samples, "samples");
  for (Group& group : groups) {
    if (method.keeps_error)
      group.score.error.assign(group.candidates.size(), std::vector<float>(kErrorSize, 0.f));
  }
  parallel_ordered(options.threads, scored.chunks, [&](int64_t c, int) -> std::function<void()> {
    const Batch batch = source.chunk(c);
    auto chunk =
        std::make_shared<ChunkScores>(score_chunk(executor, groups, batch, method, scored.samples));
    return [&, chunk, n = batch.samples] {
      for (size_t g = 0; g < groups.size(); ++g) {
        GroupScore& score = groups[g].score;
        for (size_t k = 0; k < score.noise.size(); ++k) {
          score.noise[k] += chunk->distance[g][k] / static_cast<double>(scored.samples);
          for (size_t d = 0; d < chunk->error[g][k].size(); ++d)
            score.error[k][d] += chunk->error[g][k][d];
        }
      }
      progress.advance(n);
    };
  });
  ScoreTable scores{table.model_fingerprint, std::string(method.name), scored.samples, {}};
  for (Group& group : groups) {
    group.score.filter_noise = filter_noise(group);
    scores.groups.push_back(std::move(group.score));
  }
  return scores;
}

}  // namespace qtool::scoring
