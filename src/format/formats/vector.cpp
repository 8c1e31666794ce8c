// Vectors of neighbouring weights (one kernel position, neighbouring channels) by one index into a
// codebook that all layers of a model share.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "format/formats/records.hpp"

namespace qtool {
namespace {

constexpr std::string_view kDims[] = {"2", "4", "8"};
constexpr FormatOption kOptions[] = {{"dim", "4", kDims}};
// More vectors change the codebook little.
constexpr size_t kMostVectors = 1 << 15;
constexpr int kRounds = 12;

int64_t dim(const WeightFormat& format) { return format.number("dim"); }

// Lloyd's iterations from vectors drawn with a chance that grows with their distance to those drawn
// before (k-means++).
class Clusters {
 public:
  Clusters(const FormatSamples& samples, size_t dim, size_t count)
      : dim_(dim),
        count_(count),
        step_(std::max<size_t>(1, samples.values.size() / dim / kMostVectors)) {
    for (size_t v = 0; (v + 1) * dim <= samples.values.size(); v += step_) {
      values_.insert(values_.end(), samples.values.begin() + static_cast<int64_t>(v * dim),
                     samples.values.begin() + static_cast<int64_t>((v + 1) * dim));
      weights_.insert(weights_.end(), samples.importance.begin() + static_cast<int64_t>(v * dim),
                      samples.importance.begin() + static_cast<int64_t>((v + 1) * dim));
    }
  }

  std::vector<double> centres() {
    const size_t n = values_.size() / dim_;
    if (n == 0) return std::vector<double>(count_ * dim_, 0);
    draw(n);
    for (int round = 0; round < kRounds; ++round) move(n);
    return {centres_.begin(), centres_.end()};
  }

 private:
  float distance(size_t v, const float* centre) const {
    float sum = 0;
    for (size_t i = 0; i < dim_; ++i) {
      const float off = values_[v * dim_ + i] - centre[i];
      sum += weights_[v * dim_ + i] * off * off;
    }
    return sum;
  }

  void draw(size_t n) {
    Rng rng(1);
    std::vector<float> least(n, std::numeric_limits<float>::max());
    size_t next = rng.below(n);
    for (size_t c = 0; c < count_; ++c) {
      centres_.insert(centres_.end(), values_.begin() + static_cast<int64_t>(next * dim_),
                      values_.begin() + static_cast<int64_t>((next + 1) * dim_));
      double total = 0;
      for (size_t v = 0; v < n; ++v) {
        least[v] = std::min(least[v], distance(v, centres_.data() + c * dim_));
        total += least[v];
      }
      double left = rng.uniform() * total;
      for (next = 0; next + 1 < n && left >= least[next]; ++next) left -= least[next];
    }
  }

  void move(size_t n) {
    std::vector<double> sum(centres_.size(), 0), weight(centres_.size(), 0);
    for (size_t v = 0; v < n; ++v) {
      size_t best = 0;
      float least = std::numeric_limits<float>::max();
      for (size_t c = 0; c < count_; ++c) {
        const float d = distance(v, centres_.data() + c * dim_);
        if (d >= least) continue;
        least = d;
        best = c;
      }
      for (size_t i = 0; i < dim_; ++i) {
        sum[best * dim_ + i] += double{weights_[v * dim_ + i]} * values_[v * dim_ + i];
        weight[best * dim_ + i] += weights_[v * dim_ + i];
      }
    }
    for (size_t i = 0; i < centres_.size(); ++i) {
      if (weight[i] > 0) centres_[i] = static_cast<float>(sum[i] / weight[i]);
    }
  }

  size_t dim_, count_, step_;
  std::vector<float> values_, weights_, centres_;
};

Codebook codebook(const CodebookRequest& request) {
  const auto d = static_cast<size_t>(dim(request.format));
  const size_t count = size_t{1} << (static_cast<size_t>(request.bits) * d);
  const std::vector<double> centres = Clusters(request.samples, d, count).centres();
  Codebook book;
  book.dim = static_cast<int64_t>(d);
  double most = 0;
  for (double c : centres) most = std::max(most, std::fabs(c));
  book.unit = most > 0 ? static_cast<float>(most / kMostLevel) : 1.f;
  for (double c : centres)
    book.levels.push_back(static_cast<int8_t>(std::nearbyint(c / double{book.unit})));
  return book;
}

}  // namespace

extern const FormatDef kVector = {
    .name = "vector",
    .summary = "vectors of dim neighbouring weights from one codebook for the model",
    .levels = "2^(b*dim) vectors",
    .paper = "arXiv 1907.05686, 2402.04396",
    .min_bits = 1,
    .max_bits = 4,
    .options = kOptions,
    .of = CodebookOf::kModel,
    .codebook = codebook,
    .dim = dim};

}  // namespace qtool
