// Levels of a given shape, its few parameters fitted to a layer's weights.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "format/formats/records.hpp"

namespace qtool {
namespace {

// Weighted squared error of samples rounded to the levels, which are ascending.
double error_of(const FormatSamples& samples, const std::vector<double>& levels) {
  double sum = 0;
  for (size_t i = 0; i < samples.values.size(); ++i) {
    const double x = samples.values[i];
    const auto above = std::lower_bound(levels.begin(), levels.end(), x);
    double off = std::numeric_limits<double>::infinity();
    if (above != levels.end()) off = *above - x;
    if (above != levels.begin()) off = std::min(off, x - *(above - 1));
    sum += samples.importance[i] * off * off;
  }
  return sum;
}

// The shape of least error over a grid of two parameters in [0, 1].
Codebook fit(const FormatSamples& samples,
             const std::function<std::vector<double>(double, double)>& shape) {
  constexpr int kSteps = 16;
  FormatSamples few;  // every so many: shapes have two parameters
  const size_t step = std::max<size_t>(1, samples.values.size() / 4096);
  for (size_t i = 0; i < samples.values.size(); i += step) {
    few.values.push_back(samples.values[i]);
    few.importance.push_back(samples.importance[i]);
  }
  std::vector<double> best;
  double least = std::numeric_limits<double>::infinity();
  for (int a = 0; a <= kSteps; ++a) {
    for (int b = 0; b <= kSteps; ++b) {
      std::vector<double> levels =
          shape(static_cast<double>(a) / kSteps, static_cast<double>(b) / kSteps);
      const double error = error_of(few, levels);
      if (error >= least) continue;
      least = error;
      best = std::move(levels);
    }
  }
  return rounded_codebook(best);
}

// Half of the levels evenly inside [−p, p], a quarter evenly in each tail up to ±m.
Codebook piecewise(const CodebookRequest& request) {
  const int centre = 1 << (request.bits - 1), tail = centre / 2;
  return fit(request.samples, [&](double a, double b) {
    const double m = 1.5 + 3.5 * a, p = m * (0.2 + 0.6 * b);
    std::vector<double> levels;
    for (int i = 0; i < centre; ++i) levels.push_back(p * (2.0 * i / (centre - 1) - 1));
    for (int i = 1; i <= tail; ++i) {
      levels.push_back(p + (m - p) * i / tail);
      levels.push_back(-levels.back());
    }
    std::sort(levels.begin(), levels.end());
    return levels;
  });
}

// Evenly spaced u in [−1, 1] behind the expander of the mu law, m · sign(u) · ((1 + mu)^|u| − 1) / mu.
Codebook companding(const CodebookRequest& request) {
  const int count = (1 << request.bits) - 1;
  return fit(request.samples, [&](double a, double b) {
    const double m = 1.0 + 4.0 * a, mu = std::exp2(6 * b) - 0.9;
    std::vector<double> levels;
    for (int i = 0; i < count; ++i) {
      const double u = 2.0 * i / (count - 1) - 1;
      levels.push_back(std::copysign(m * (std::pow(1 + mu, std::fabs(u)) - 1) / mu, u));
    }
    return levels;
  });
}

// Signs times factors, α1 the mean magnitude, each next that of what is left.
Codebook residual(const CodebookRequest& request) {
  std::vector<double> left(request.samples.values.begin(), request.samples.values.end()), factors;
  for (int bit = 0; bit < request.bits; ++bit) {
    double sum = 0, weight = 0;
    for (size_t i = 0; i < left.size(); ++i) {
      sum += request.samples.importance[i] * std::fabs(left[i]);
      weight += request.samples.importance[i];
    }
    factors.push_back(weight > 0 ? sum / weight : 1);
    for (double& x : left) x -= std::copysign(factors.back(), x);
  }
  double total = 0;
  for (double f : factors) total += f;
  std::vector<double> levels = {0};
  for (double f : factors) {
    // Whole factors, so that every level is a sum of them.
    const double factor = std::max(1.0, std::nearbyint(f / total * (kMostLevel - request.bits)));
    std::vector<double> next;
    for (double level : levels) {
      next.push_back(level - factor);
      next.push_back(level + factor);
    }
    levels = std::move(next);
  }
  Codebook book;
  for (double level : levels) book.levels.push_back(whole(level));
  sort_levels(book);
  book.unit = static_cast<float>(total / std::max(1.f, book.largest()));
  return book;
}

}  // namespace

extern const FormatDef kPiecewise = {
    .name = "piecewise-linear",
    .summary = "half of the levels evenly in the centre, the others evenly in the tails",
    .levels = "2^b, two spacings",
    .paper = "arXiv 2002.00104",
    .min_bits = 3,
    .max_bits = 6,
    .of = CodebookOf::kLayer,
    .codebook = piecewise,
    .mac = MacKind::kLookup};

extern const FormatDef kCompanding = {.name = "companding",
                                      .summary = "even levels behind a fitted mu-law expander",
                                      .levels = "2^b - 1, denser around 0",
                                      .paper = "arXiv 2103.07156; ITU-T G.711",
                                      .min_bits = 2,
                                      .max_bits = 6,
                                      .of = CodebookOf::kLayer,
                                      .codebook = companding,
                                      .mac = MacKind::kLookup};

extern const FormatDef kResidualBinary = {
    .name = "residual-binary",
    .summary = "sums of b signs, each with a factor of the layer's",
    .levels = "+-a1 +-a2 ... +-ab",
    .paper = "arXiv 1711.11294, 1703.08595",
    .min_bits = 1,
    .max_bits = 4,
    .of = CodebookOf::kLayer,
    .codebook = residual,
    .mac = MacKind::kAdd,
    .macs = [](int bits) { return bits; }};

}  // namespace qtool
