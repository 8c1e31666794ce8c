// Samples made from a network's own batch normalization, after ZeroQ (arXiv 2001.00281): pictures whose
// means and deviations in front of every normalization are the running ones.
#include <algorithm>
#include <cmath>

#include "qtool/calibrate.hpp"
#include "qtool/gradient.hpp"

namespace qtool {
namespace {

constexpr int64_t kTogether = 16;  // samples whose statistics are taken together
constexpr double kRate = 0.1, kFirstMoment = 0.9, kSecondMoment = 0.99;

std::vector<RunningStatistics> remembered(const Model& model) {
  std::vector<RunningStatistics> found = running_statistics(model);
  if (found.empty())
    throw Error(ErrorKind::kUsage, "QT-E463",
                "the model has no batch normalization that samples could be made from")
        .hint("export it without folding normalization into convolutions, or give data");
  return found;
}

// The one float input, `samples` of it together.
std::pair<std::string, Shape> picture_input(const Model& model, int64_t samples) {
  const Graph& g = model.graph;
  std::vector<ValueId> inputs;
  for (const ValueId v : g.inputs)
    if (!g.constant(v)) inputs.push_back(v);
  const Value* input = inputs.size() == 1 ? &g.value(inputs[0]) : nullptr;
  Shape shape = input && input->shape ? *input->shape : Shape{};
  if (!shape.empty()) shape[0] = samples;
  if (!input || input->dtype != DType::kFloat || shape.empty() || !is_static(shape))
    throw Error(ErrorKind::kUsage, "QT-E463",
                "samples can be made for models of one float32 input whose size is known only")
        .hint("give data");
  return {input->name, shape};
}

// The model up to what is in front of its normalizations, which become its outputs.
Model up_to(Model model, const std::vector<RunningStatistics>& all) {
  Graph& g = model.graph;
  g.outputs.clear();
  for (const RunningStatistics& r : all) {
    const ValueId v = g.find(r.value);
    if (std::ranges::find(g.outputs, v) == g.outputs.end()) g.outputs.push_back(v);
  }
  remove_dead(g);
  return model;
}

// The mean square of (mean − running mean) and (deviation − running deviation), relative to the running
// variance; its gradient is added to `slope`.
double mismatch(const RunningStatistics& r, const Tensor& value, Tensor& slope) {
  const auto channels = static_cast<int64_t>(r.mean.size());
  const int64_t samples = value.dim(0),
                inner = value.size() / std::max<int64_t>(samples * channels, 1);
  const float* x = value.data<float>().data();
  float* d = slope.mutable_data<float>().data();
  const double count = static_cast<double>(samples * inner);
  double loss = 0;
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0, squares = 0;
    for (int64_t n = 0; n < samples; ++n) {
      const float* row = x + (n * channels + c) * inner;
      for (int64_t i = 0; i < inner; ++i) {
        sum += row[i];
        squares += static_cast<double>(row[i]) * row[i];
      }
    }
    const auto k = static_cast<size_t>(c);
    const double mean = sum / count,
                 deviation = std::sqrt(std::max(squares / count - mean * mean, 1e-12));
    const double variance = std::max<double>(r.variance[k], 1e-8);
    const double off = mean - r.mean[k], wide = deviation - std::sqrt(variance);
    const double each = 1 / (variance * static_cast<double>(channels));
    loss += (off * off + wide * wide) * each;
    const double a = 2 * each * off / count, b = 2 * each * wide / (count * deviation);
    for (int64_t n = 0; n < samples; ++n) {
      const int64_t at = (n * channels + c) * inner;
      for (int64_t i = 0; i < inner; ++i)
        d[at + i] += static_cast<float>(a + b * (static_cast<double>(x[at + i]) - mean));
    }
  }
  return loss;
}

class Synthesis {
 public:
  Synthesis(const Model& model, const SynthesisOptions& options)
      : all_(remembered(model)),
        cut_(up_to(model, all_)),
        input_(picture_input(model, kTogether)),
        gradient_(cut_, {input_.first}),
        options_(options) {}

  // One group of samples, from noise of its own.
  Tensor group(int64_t number, Progress& progress, double& left) const {
    Rng rng(options_.seed * 1000003 + static_cast<uint64_t>(number));
    Tensor x = Tensor::uninitialized(DType::kFloat, input_.second);
    for (float& v : x.mutable_data<float>()) v = static_cast<float>(rng.normal());
    std::vector<double> first(static_cast<size_t>(x.size()), 0.0), second(first);
    for (int step = 1; step <= options_.steps; ++step) {
      const Gradient::Tape tape = gradient_.forward({{input_.first, x}});
      std::vector<Tensor> slopes;
      for (const Tensor& output : tape.outputs) slopes.emplace_back(DType::kFloat, output.shape());
      left = 0;
      for (const RunningStatistics& r : all_) {
        const auto o =
            static_cast<size_t>(std::ranges::find(cut_.graph.outputs, cut_.graph.find(r.value)) -
                                cut_.graph.outputs.begin());
        left += mismatch(r, tape.outputs[o], slopes[o]) / static_cast<double>(all_.size());
      }
      const Tensor d = gradient_.backward(tape, slopes).at(input_.first);
      const double b1 = 1 - std::pow(kFirstMoment, step), b2 = 1 - std::pow(kSecondMoment, step);
      auto value = x.mutable_data<float>();
      for (size_t i = 0; i < value.size(); ++i) {
        const double g = d.data<float>()[i];
        first[i] = kFirstMoment * first[i] + (1 - kFirstMoment) * g;
        second[i] = kSecondMoment * second[i] + (1 - kSecondMoment) * g * g;
        value[i] -=
            static_cast<float>(kRate * (first[i] / b1) / (std::sqrt(second[i] / b2) + 1e-12));
      }
      progress.advance(1);
    }
    return x;
  }

  const std::pair<std::string, Shape>& input() const { return input_; }

 private:
  std::vector<RunningStatistics> all_;
  Model cut_;
  std::pair<std::string, Shape> input_;
  Gradient gradient_;
  const SynthesisOptions& options_;
};

}  // namespace

std::pair<std::string, Tensor> synthesize(const Model& model, const SynthesisOptions& options) {
  const Synthesis synthesis(model, options);
  const int64_t groups = (options.samples + kTogether - 1) / kTogether;
  std::vector<Tensor> made(static_cast<size_t>(groups));
  std::vector<double> left(made.size());
  {
    Progress progress("making samples", groups * options.steps, "steps");
    parallel_for(options.threads, groups, [&](int64_t i, int) {
      const auto k = static_cast<size_t>(i);
      made[k] = synthesis.group(i, progress, left[k]);
    });
  }
  double mean = 0;
  for (const double l : left) mean += l / static_cast<double>(groups);
  log(LogLevel::kInfo,
      cat("made ", options.samples, " samples: their means and deviations are off by ",
          std::sqrt(mean / 2), " of the normalizations' deviations"));
  Shape shape = synthesis.input().second;
  shape[0] = options.samples;
  Tensor all = Tensor::uninitialized(DType::kFloat, shape);
  auto to = all.mutable_data<float>();
  for (size_t i = 0, at = 0; i < made.size(); ++i) {
    const auto from = made[i].data<float>();
    const size_t count = std::min(from.size(), to.size() - at);
    std::copy_n(from.begin(), count, to.begin() + static_cast<std::ptrdiff_t>(at));
    at += count;
  }
  return {synthesis.input().first, std::move(all)};
}

}  // namespace qtool
