// Vectors of neighbouring weights (one kernel position, neighbouring channels) by one index into a codebook: one that
// all layers of a model share, or several of a layer's own, each for a part of its rows.
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

size_t count_of(const CodebookRequest& request) {
  return size_t{1} << (static_cast<size_t>(request.bits) *
                       static_cast<size_t>(dim(request.format)));
}

Codebook of_whole_numbers(const std::vector<double>& centres, int64_t dim, int64_t spaces) {
  Codebook book;
  book.dim = dim;
  book.spaces = spaces;
  double most = 0;
  for (double c : centres) most = std::max(most, std::fabs(c));
  book.unit = most > 0 ? static_cast<float>(most / kMostLevel) : 1.f;
  for (double c : centres) book.levels.push_back(whole(c / double{book.unit}));
  return book;
}

Codebook one_codebook(const CodebookRequest& request) {
  const int64_t d = dim(request.format);
  return of_whole_numbers(
      Clusters(request.samples, static_cast<size_t>(d), count_of(request)).centres(), d, 1);
}

int64_t spaces(const WeightFormat& format) { return format.number("spaces"); }

// The parts of all rows of so many columns that lie in one space.
FormatSamples part_of(const FormatSamples& all, size_t columns, size_t first, size_t length) {
  FormatSamples part;
  for (size_t at = first; at + length <= all.values.size(); at += columns) {
    for (size_t i = at; i < at + length; ++i) {
      part.values.push_back(all.values[i]);
      part.importance.push_back(all.importance[i]);
    }
  }
  return part;
}

Codebook product_codebook(const CodebookRequest& request) {
  const FormatSamples& samples = request.samples;
  const auto d = static_cast<size_t>(dim(request.format));
  const size_t columns =
      samples.columns > 0 ? static_cast<size_t>(samples.columns) : samples.values.size();
  const auto parts = static_cast<size_t>(spaces_of(request.format, static_cast<int64_t>(columns)));
  std::vector<double> centres;
  for (size_t s = 0; s < parts; ++s) {
    const size_t length = columns / parts;
    const std::vector<double> own =
        Clusters(part_of(samples, columns, s * length, length), d, count_of(request)).centres();
    centres.insert(centres.end(), own.begin(), own.end());
  }
  return of_whole_numbers(centres, static_cast<int64_t>(d), static_cast<int64_t>(parts));
}

constexpr std::string_view kSpaces[] = {"2", "4", "8", "16"};
constexpr FormatOption kProductOptions[] = {{"dim", "2", kDims}, {"spaces", "4", kSpaces}};

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
    .codebook = one_codebook,
    .mac = MacKind::kLookup,
    .dim = dim};

extern const FormatDef kProduct = {
    .name = "product",
    .summary = "vectors of dim neighbouring weights, a codebook for each of a row's parts",
    .levels = "spaces * 2^(b*dim) vectors",
    .paper = "arXiv 1412.6115, 1512.06473, 1907.05686",
    .min_bits = 1,
    .max_bits = 4,
    .options = kProductOptions,
    .of = CodebookOf::kLayer,
    .codebook = product_codebook,
    .free_levels = true,
    .mac = MacKind::kLookup,
    .dim = dim,
    .spaces = spaces};

}  // namespace qtool
