#include "evaluate/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace qtool {
namespace metrics {

void Difference::add(const Difference& other) {
  signal += other.signal;
  noise += other.noise;
  product += other.product;
  have_squares += other.have_squares;
  resized += other.resized;
  // A NaN once seen stays.
  if (!(other.max_error <= max_error)) max_error = other.max_error;
}

double Difference::sqnr_db() const {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  if (noise == 0) return kInfinite;
  const double db = 10 * std::log10(signal / noise);
  return std::isnan(db) ? -kInfinite : db;
}

double Difference::cosine() const {
  if (signal == 0 && have_squares == 0) return 1;
  const double length = std::sqrt(signal) * std::sqrt(have_squares);
  return length > 0 ? product / length : 0;
}

bool is_numeric(DType type) {
  return type != DType::kUndefined && type != DType::kString && type != DType::kComplex64 &&
         type != DType::kComplex128;
}

namespace {

std::vector<double> doubles(const Tensor& tensor) {
  if (tensor.dtype() == DType::kFloat) {
    const auto data = tensor.data<float>();
    return {data.begin(), data.end()};
  }
  const Tensor wide = cast(tensor, DType::kDouble);
  const auto data = wide.data<double>();
  return {data.begin(), data.end()};
}

}  // namespace

Difference difference(const Tensor& have, const Tensor& want) {
  const std::vector<double> a = doubles(have), b = doubles(want);
  Difference d;
  for (size_t i = 0; i < a.size(); ++i) {
    const double error = a[i] == b[i] ? 0 : a[i] - b[i];  // equal infinities differ by nothing
    d.noise += error * error;
    if (!(std::fabs(error) <= d.max_error)) d.max_error = std::fabs(error);
    d.signal += b[i] * b[i];
    d.have_squares += a[i] * a[i];
    d.product += a[i] * b[i];
  }
  return d;
}

std::vector<double> noise_by_sample(const Tensor& have, const Tensor& want, int64_t samples) {
  const bool batched = samples > 0 && want.rank() > 0 && want.dim(0) == samples;
  const std::vector<double> a = doubles(have), b = doubles(want);
  std::vector<double> noise(batched ? static_cast<size_t>(samples) : 1, 0.0);
  const size_t each = std::max<size_t>(a.size() / noise.size(), 1);
  for (size_t i = 0; i < a.size(); ++i) {
    const double error = a[i] == b[i] ? 0 : a[i] - b[i];
    noise[i / each] += error * error;
  }
  return noise;
}

Difference nothing_in_common(const Tensor& want, int64_t samples) {
  Difference d = difference(Tensor(want.dtype(), want.shape()), want);
  d.resized = samples;
  return d;
}

Scores scores_of(const Tensor& output, int64_t samples) {
  Scores s;
  if (!is_numeric(output.dtype()) || output.rank() < 2 || output.dim(0) != samples || samples < 1)
    return s;
  int64_t wide = 0;
  for (int64_t axis = 1; axis < output.rank(); ++axis) wide += output.dim(axis) != 1;
  const int64_t classes = output.size() / samples;
  if (wide != 1 || classes < 2) return s;
  s.samples = samples;
  s.classes = classes;
  s.values = doubles(output);
  return s;
}

int64_t arg_max(std::span<const double> row) {
  int64_t best = -1;
  for (size_t i = 0; i < row.size(); ++i) {
    if (std::isnan(row[i])) continue;
    if (best < 0 || row[i] > row[static_cast<size_t>(best)]) best = static_cast<int64_t>(i);
  }
  return best;
}

int64_t rank_of(std::span<const double> row, int64_t label) {
  const double own = row[static_cast<size_t>(label)];
  if (std::isnan(own)) return static_cast<int64_t>(row.size());
  int64_t before = 0;
  for (size_t i = 0; i < row.size(); ++i)
    before += row[i] > own || (row[i] == own && static_cast<int64_t>(i) < label);
  return before;
}

}  // namespace metrics

std::pair<double, double> wilson(int64_t hits, int64_t trials) {
  if (trials <= 0) return {0, 1};
  constexpr double z = 1.959963984540054;  // the normal distribution's 97.5 % quantile
  const double n = static_cast<double>(trials), p = static_cast<double>(hits) / n;
  const double scale = 1 + z * z / n, centre = (p + z * z / (2 * n)) / scale;
  const double half = z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / scale;
  return {hits == 0 ? 0 : std::max(0.0, centre - half),
          hits == trials ? 1 : std::min(1.0, centre + half)};
}

}  // namespace qtool
