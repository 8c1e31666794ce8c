// OMPQ (arXiv 2109.07865): layers whose outputs are least like the others' get more bits. With Y_i a
// layer's outputs, one row a sample, ORM_ij = ‖Y_jᵀ Y_i‖² / (‖Y_iᵀ Y_i‖ ‖Y_jᵀ Y_j‖), θ_i = exp(−β Σ_{j≠i}
// ORM_ij) with β = 1; a plan maximises Σ θ_i · bits, so that bits cost nothing but their absence: a
// choice's price is θ_i (32 − bits) / Σ θ. One forward pass; outputs are projected to 1,024
// dimensions a sample, which keeps the inner products between samples that ORM is made of.
#include <algorithm>
#include <cmath>

#include "qtool/exec.hpp"
#include "score/output_error.hpp"
#include "score/score_methods.hpp"

namespace qtool {
namespace {

constexpr int64_t kSize = 1024;
constexpr double kBeta = 1;

// A layer's output of every sample of a batch, [sample][kSize].
std::vector<std::vector<float>> projected_samples(const Tensor& value, int64_t samples) {
  std::vector<std::vector<float>> rows;
  const int64_t count = samples > 0 && value.size() % samples == 0 ? samples : 1;
  const int64_t each = value.size() / count;
  Tensor zero(DType::kFloat, {1, each}), row(DType::kFloat, {1, each});
  Batch alone;
  alone.samples = 1;  // the same projection for every sample
  for (int64_t s = 0; s < count; ++s) {
    const float* from = value.data<float>().data() + s * each;
    std::copy(from, from + each, row.mutable_data<float>().begin());
    rows.push_back(scoring::projected_error({zero}, {row}, alone, 1, kSize));
  }
  return rows;
}

double inner(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// Y Yᵀ divided by its norm, so that ORM_ij is the inner product of two.
std::vector<double> gram(const std::vector<std::vector<float>>& rows) {
  double largest = 0;
  for (const auto& row : rows)
    for (float v : row) largest = std::max(largest, std::fabs(double{v}));
  const double scale = largest > 0 ? 1 / largest : 0;
  std::vector<double> k;
  for (const auto& a : rows) {
    for (const auto& b : rows) {
      double sum = 0;
      for (size_t i = 0; i < a.size(); ++i) sum += a[i] * scale * (b[i] * scale);
      k.push_back(sum);
    }
  }
  const double norm = std::sqrt(inner(k, k));
  for (double& v : k) v = norm > 0 ? v / norm : 0;
  return k;
}

std::vector<double> thetas(const std::vector<std::vector<double>>& grams) {
  std::vector<double> theta;
  for (size_t i = 0; i < grams.size(); ++i) {
    double sum = 0;
    for (size_t j = 0; j < grams.size(); ++j)
      if (j != i) sum += inner(grams[i], grams[j]);
    theta.push_back(std::exp(-kBeta * sum));
  }
  double total = 0;
  for (double t : theta) total += t;
  for (double& t : theta) t = total > 0 ? t / total : 1.0 / static_cast<double>(theta.size());
  return theta;
}

ScoreTable run(const Model& model, const Sites& sites, const CalibrationTable& table,
               const SampleSource& source, const ScoreOptions& options) {
  require_fixed_activations("orthogonality", options);
  require_main_graph("orthogonality", sites);
  const std::vector<const LayerSite*> layers = quantizable_layers(sites);
  const ScoredChunks scored = scored_chunks(source, options.samples);
  ExecOptions exec;
  for (const LayerSite* site : layers) exec.observe.insert(site->output);
  const Executor executor(model, exec);
  struct Outputs : Tap {
    std::map<std::string, std::vector<std::vector<float>>> rows;
    int64_t samples = 0;
    void on_value(const std::string& name, Tensor& value) override {
      rows[name] = projected_samples(value, samples);
    }
    bool replaces() const override { return false; }
  };
  std::vector<Outputs> chunks(static_cast<size_t>(scored.chunks));
  parallel_for(options.threads, scored.chunks, [&](int64_t c, int) {
    const Batch batch = source.chunk(c);
    chunks[static_cast<size_t>(c)].samples = batch.samples;
    executor.run(batch.feed, &chunks[static_cast<size_t>(c)]);
  });
  std::vector<std::vector<double>> grams;
  for (const LayerSite* site : layers) {
    std::vector<std::vector<float>> rows;
    for (Outputs& chunk : chunks)
      for (auto& row : chunk.rows[site->output]) rows.push_back(std::move(row));
    grams.push_back(gram(rows));
  }
  const std::vector<double> theta = thetas(grams);
  ScoreTable scores{table.model_fingerprint, "orthogonality", scored.samples, {}};
  for (size_t l = 0; l < layers.size(); ++l) {
    GroupScore& group = scores.groups.emplace_back(
        GroupScore{GroupKind::kWeights, layers[l]->name, options.weights, {}});
    for (const Width& width : options.weights)
      group.noise.push_back(theta[l] * (kFloatBits - width.bits));
  }
  return scores;
}

}  // namespace

extern const ScoreMethod kOrthogonality = {
    .name = "orthogonality",
    .summary = "layers unlike the others matter more (OMPQ, arXiv 2109.07865); whole layers",
    .needs_candidates = false,
    .run = run};

}  // namespace qtool
