#include "quantize/fit/output_ranges.hpp"

#include <algorithm>

#include "qtool/exec.hpp"
#include "qtool/format.hpp"
#include "quantize/fit/linear_algebra.hpp"
#include "quantize/fit/moments.hpp"

namespace qtool::qdq {
namespace {

constexpr int64_t kSamples = 32;
constexpr int64_t kPositions = 8192, kGroupedPositions = 1024;
constexpr float kRatios[] = {1.f, 0.95f, 0.9f, 0.8f, 0.7f, 0.6f, 1.05f, 1.1f, 1.2f, 1.35f};
constexpr float kRidge = 0.1f;  // of the target, in mean diagonals

double dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i]) * b[i];
  return sum;
}

// The layers' inputs in the float network, and what ranges would do to them.
class Readers {
 public:
  Readers(const Model& model, const SampleSource& source, int64_t chunks, int threads,
          const std::vector<const LayerSite*>& layers)
      : model_(model), threads_(threads), executor_(model, observing(model, layers)) {
    const int64_t each =
        std::max<int64_t>(1, source.samples() / std::max<int64_t>(1, source.chunk_count()));
    const int64_t count = std::min(chunks, std::max<int64_t>(1, kSamples / each));
    for (int64_t c = 0; c < count; ++c)
      states_.push_back(executor_.start(source.chunk(c * chunks / count).feed));
  }

  // Error of the layer's output relative to its power, by ratio. Layers in order.
  std::vector<double> errors(const LayerSite& site, const QParams& p) {
    const Node& node = node_of(model_, site);
    const Tensor& weight = *model_.graph.constant(model_.graph.find(site.weight));
    const ColumnReader reader(node, site, weight);
    const std::string input = model_.graph.value(node.inputs[0]).name;
    std::vector<Tensor> values(states_.size());
    parallel_for(threads_, static_cast<int64_t>(states_.size()), [&](int64_t c, int) {
      const auto i = static_cast<size_t>(c);
      executor_.advance(states_[i], executor_.step_of(site.name));
      values[i] = executor_.get(states_[i], input);
    });
    const std::vector<float> rows = rows_of(weight, site.channel_axis);
    const auto moments = [&](const auto& quantized, bool shifted) {
      const auto read = [&](LayerValue what, int64_t c) {
        const Tensor& x = values[static_cast<size_t>(c)];
        if (what == LayerValue::kQuantizedInput) return row_major(quantized(x));
        return row_major(what == LayerValue::kInput && shifted ? x : Tensor());
      };
      MomentOptions options;
      options.positions = kPositions;
      options.grouped_positions = kGroupedPositions;
      options.centred = site.takes_bias;
      options.threads = threads_;
      return input_moments(reader, static_cast<int64_t>(values.size()), read, options);
    };
    const auto power = powers(rows, moments([](const Tensor& x) { return x; }, false));
    std::vector<double> errors;
    for (const float ratio : kRatios) {
      QParams q = p;
      q.scale[0] *= ratio;
      const auto rounded = [&](const Tensor& x) { return fake_quantize(x, q); };
      const auto lost = [&](const Tensor& x) {
        Tensor off = fake_quantize(x, q);
        const auto from = x.data<float>();
        auto to = off.mutable_data<float>();
        for (size_t i = 0; i < to.size(); ++i) to[i] = from[i] - to[i];
        return off;
      };
      const double all = powers(rows, moments(lost, false));
      const double mended = made_up_for(rows, moments(rounded, true));
      errors.push_back((all - mended) / std::max(power, 1e-30));
    }
    return errors;
  }

 private:
  static const Node& node_of(const Model& model, const LayerSite& site) {
    return *std::ranges::find_if(model.graph.nodes,
                                 [&](const Node& n) { return n.name == site.name; });
  }
  static ExecOptions observing(const Model& model, const std::vector<const LayerSite*>& layers) {
    ExecOptions options;
    for (const LayerSite* site : layers)
      options.observe.insert(model.graph.value(node_of(model, *site).inputs[0]).name);
    return options;
  }

  // Σ over rows of w H wᵀ.
  static double powers(std::span<const float> rows, const InputMoments& m) {
    double sum = 0;
    for (size_t g = 0; g < m.groups.size(); ++g) {
      const auto part =
          rows.subspan(g * rows.size() / m.groups.size(), rows.size() / m.groups.size());
      sum += dot(multiply_rows(part, m.groups[g].h, m.columns), part);
    }
    return sum;
  }

  // Σ over rows of w D (H + λ)⁻¹ Dᵀ wᵀ with D = E[(x − x̂) x̂ᵀ]: what weights that know x̂ give back.
  static double made_up_for(std::span<const float> rows, const InputMoments& m) {
    double sum = 0;
    for (size_t g = 0; g < m.groups.size(); ++g) {
      const GroupMoments& group = m.groups[g];
      if (group.shift.empty()) continue;
      const auto part =
          rows.subspan(g * rows.size() / m.groups.size(), rows.size() / m.groups.size());
      double diagonal = 0;
      for (int64_t j = 0; j < m.columns; ++j)
        diagonal += group.h[static_cast<size_t>(j * m.columns + j)];
      const auto ridge =
          static_cast<float>(kRidge * diagonal / static_cast<double>(m.columns)) + 1e-12f;
      const std::vector<float> wanted = multiply_rows(part, group.shift, m.columns);
      std::vector<float> given = wanted;
      solve_rows(given, cholesky(group.h, m.columns, ridge), m.columns);
      sum += dot(wanted, given);
    }
    return sum;
  }

  const Model& model_;
  int threads_;
  Executor executor_;
  std::vector<State> states_;
};

}  // namespace

void choose_ranges_by_output(const Model& model, const Sites& sites, const SampleSource& source,
                             int64_t chunks, int threads, ActivationParams& activations) {
  std::vector<const LayerSite*> layers;
  for (const Node& node : model.graph.nodes) {
    const LayerSite* site = sites.layer(node.name);
    if (site && site->column_product && site->inside.empty() && input_params(*site, activations))
      layers.push_back(site);
  }
  if (layers.empty()) return;
  Readers readers(model, source, chunks, threads, layers);
  std::map<std::string, std::vector<double>> errors;  // by owner
  for (const LayerSite* site : layers) {
    const std::vector<double> here = readers.errors(*site, *input_params(*site, activations));
    std::vector<double>& sum = errors[sites.owner_of(site->input)];
    sum.resize(here.size(), 0.0);
    for (size_t i = 0; i < here.size(); ++i) sum[i] += here[i];
  }
  const std::set<std::string> branches = branch_values(sites, activations);
  for (const ActivationSite& site : sites.activations) {
    const auto found = errors.find(site.owner());
    const auto p = activations.find(site.name);
    if (found == errors.end() || p == activations.end() || site.fixed_range ||
        branches.contains(site.name))
      continue;
    const auto best = std::ranges::min_element(found->second) - found->second.begin();
    if (site.owner() == site.name)
      log(LogLevel::kDebug,
          cat("range of ", printable(site.name), ": ", kRatios[best], " times, error ",
              found->second[0], " -> ", found->second[static_cast<size_t>(best)]));
    p->second.scale[0] *= kRatios[best];
  }
}

}  // namespace qtool::qdq
