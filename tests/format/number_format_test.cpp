#include "qtool/number_format.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace qtool {
namespace {

FormatSamples normal_samples(size_t count, uint64_t seed) {
  Rng rng(seed);
  FormatSamples samples;
  for (size_t i = 0; i < count; ++i) {
    samples.values.push_back(static_cast<float>(rng.normal()));
    samples.importance.push_back(static_cast<float>(0.5 + rng.uniform()));
  }
  return samples;
}

struct Case {
  WeightFormat format;
  int bits;
  Codebook book;
};

// Every format with a codebook at every width that it has.
std::vector<Case> cases() {
  const FormatSamples samples = normal_samples(4096, 3);
  std::vector<Case> all;
  for (const FormatDef* def : formats()) {
    const WeightFormat format = parse_format(def->name);
    if (!def->codebook) continue;
    for (int bits = def->min_bits; bits <= def->max_bits; ++bits) {
      if (bits * dim_of(format) > 8) break;
      all.push_back({format, bits, def->codebook({format, bits, samples})});
    }
  }
  return all;
}

TEST(NumberFormat, CodesFitTheWidthAndThePairsOfEveryProcessor) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(cat(c.format.text(), " ", c.bits));
    EXPECT_LE(c.book.entries(), int64_t{1} << (c.bits * c.book.dim));
    EXPECT_GT(c.book.entries(), 1);
    EXPECT_LE(c.book.largest(), 64);
    EXPECT_GT(c.book.unit, 0);
  }
}

TEST(NumberFormat, RoundingIsIdempotentAndEveryCodeRoundTrips) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(cat(c.format.text(), " ", c.bits));
    const auto dim = static_cast<size_t>(c.book.dim);
    const std::vector<float> ones(dim, 1.f);
    for (size_t e = 0; e < static_cast<size_t>(c.book.entries()); ++e) {
      const auto entry = std::span(c.book.levels).subspan(e * dim, dim);
      const std::vector<float> values(entry.begin(), entry.end());
      const size_t back = dim == 1 ? c.book.nearest(values[0]) : c.book.nearest(values, ones);
      EXPECT_TRUE(std::equal(entry.begin(), entry.end(),
                             c.book.levels.begin() + static_cast<int64_t>(back * dim)));
      EXPECT_EQ(c.book.index_of(entry), back);
    }
  }
}

TEST(NumberFormat, RoundingIsMonotoneAndNeverFurtherThanHalfAGap) {
  for (const Case& c : cases()) {
    if (c.book.dim > 1) continue;
    SCOPED_TRACE(cat(c.format.text(), " ", c.bits));
    size_t last = 0;
    const float most = static_cast<float>(c.book.largest()) + 1;
    for (float x = -most; x <= most; x += 0.05f) {
      const size_t at = c.book.nearest(x);
      EXPECT_GE(at, last);
      last = at;
      for (int8_t level : c.book.levels)
        EXPECT_LE(std::fabs(x - c.book.levels[at]), std::fabs(x - level) + 1e-5f);
    }
  }
}

TEST(NumberFormat, PowersOfTwoAreThoseThatShiftsMake) {
  const WeightFormat format = parse_format("power-of-two");
  const Codebook book = format.def->codebook({format, 3, {}});
  EXPECT_EQ(book.levels, (std::vector<int8_t>{-4, -2, -1, 0, 1, 2, 4}));
}

TEST(NumberFormat, TheUnitIsTheBestScaleForNormalWeights) {
  // One bit: E|x| = sqrt(2 / pi).
  const std::vector<int8_t> binary = {-1, 1};
  EXPECT_NEAR(normal_unit(binary), 0.7979, 0.03);
}

// Least weighted squared error over all ways to cut sorted values into `count` runs.
double best_by_force(const std::vector<std::pair<float, float>>& sorted, size_t from, int count) {
  if (from == sorted.size()) return 0;
  if (count == 0) return 1e30;
  double least = 1e30;
  for (size_t to = from + 1; to <= sorted.size(); ++to) {
    double w = 0, wv = 0, error = 0;
    for (size_t i = from; i < to; ++i) {
      w += sorted[i].second;
      wv += sorted[i].second * sorted[i].first;
    }
    for (size_t i = from; i < to; ++i)
      error += sorted[i].second * std::pow(sorted[i].first - wv / w, 2);
    least = std::min(least, error + best_by_force(sorted, to, count - 1));
  }
  return least;
}

TEST(KMeans, FindsTheLeastErrorThereIs) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    const FormatSamples samples = normal_samples(11, seed);
    std::vector<std::pair<float, float>> sorted;
    for (size_t i = 0; i < samples.values.size(); ++i)
      sorted.emplace_back(samples.values[i], samples.importance[i]);
    std::sort(sorted.begin(), sorted.end());
    for (int count : {1, 2, 3, 4}) {
      const std::vector<double> levels = kmeans_1d(samples, count);
      double error = 0;
      for (const auto& [value, weight] : sorted) {
        double least = 1e30;
        for (double level : levels) least = std::min(least, std::pow(value - level, 2));
        error += weight * least;
      }
      EXPECT_NEAR(error, best_by_force(sorted, 0, count), 1e-5);
    }
  }
}

TEST(KMeans, NeedsNoMoreLevelsThanThereAreValues) {
  EXPECT_EQ(kmeans_1d({{2.f, 2.f, 5.f}, {1.f, 1.f, 0.f}}, 4).front(), 2.0);
  EXPECT_EQ(kmeans_1d({}, 4), std::vector<double>{0.0});
}

TEST(NumberFormat, VectorsBeatOneWidthOfNumbersOnNormalWeights) {
  const FormatSamples samples = normal_samples(8192, 5);
  const auto error = [&](const char* text) {
    const WeightFormat format = parse_format(text);
    const Codebook book = format.def->codebook({format, 2, samples});
    const auto dim = static_cast<size_t>(book.dim);
    double sum = 0;
    for (size_t at = 0; at < samples.values.size(); at += dim) {
      std::vector<float> values, weight(dim, 1.f);
      for (size_t i = 0; i < dim; ++i) values.push_back(samples.values[at + i] / book.unit);
      const size_t e = dim == 1 ? book.nearest(values[0]) : book.nearest(values, weight);
      for (size_t i = 0; i < dim; ++i)
        sum += std::pow((values[i] - book.levels[e * dim + i]) * book.unit, 2);
    }
    return sum;
  };
  EXPECT_LT(error("vector"), 0.95 * error("kmeans"));
}

TEST(NumberFormat, TextReadsBack) {
  for (const char* text : {"uniform", "syq", "syq:levels=binary,subgroup=row", "vector:dim=8"})
    EXPECT_EQ(parse_format(text).text(), text);
  EXPECT_EQ(parse_format("vector:dim=4").text(), "vector");
}

TEST(NumberFormat, ListsKeepTheirOptions) {
  EXPECT_EQ(parse_formats("uniform,syq:levels=binary,subgroup=row,kmeans"),
            (std::vector<std::string>{"uniform", "syq:levels=binary,subgroup=row", "kmeans"}));
  EXPECT_THROW(parse_formats("uniform,"), Error);
}

TEST(NumberFormat, RefusesWhatThereIsNot) {
  const auto code = [](const char* text, int bits) -> std::string {
    try {
      check_format_bits(parse_format(text), bits);
    } catch (const Error& e) {
      return e.code();
    }
    return "";
  };
  EXPECT_EQ(code("kmean", 3), "QT-E134");
  EXPECT_EQ(code("syq:levels=5", 2), "QT-E135");
  EXPECT_EQ(code("kmeans:dim=2", 2), "QT-E135");
  EXPECT_EQ(code("syq:", 2), "QT-E135");
  EXPECT_EQ(code("syq", 8), "QT-E136");
  EXPECT_EQ(code("vector:dim=8", 2), "QT-E136");
  EXPECT_EQ(code("vector:dim=8", 1), "");
}

}  // namespace
}  // namespace qtool
