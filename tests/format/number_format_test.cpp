#include "qtool/number_format.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

namespace qtool {
namespace {

FormatSamples normal_samples(size_t count, uint64_t seed) {
  Rng rng(seed);
  FormatSamples samples;
  samples.columns = 64;
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
  std::string text() const { return cat(format.text(), " ", bits); }
};

Codebook codebook_of(const WeightFormat& format, int bits, const FormatSamples& samples) {
  if (format.def->codebook) return format.def->codebook({format, bits, samples});
  Codebook all;
  for (int level = -(1 << (bits - 1)); level < 1 << (bits - 1); ++level)
    all.levels.push_back(static_cast<float>(level));
  return all;
}

// Every format with each value of each option at every width that it has.
std::vector<Case> cases() {
  const FormatSamples samples = normal_samples(4096, 3);
  std::vector<Case> all;
  for (const FormatDef* def : formats()) {
    std::vector<WeightFormat> each = {parse_format(def->name)};
    for (const FormatOption& option : def->options)
      for (std::string_view value : option.values)
        each.push_back(parse_format(cat(def->name, ":", option.name, "=", value)));
    for (const WeightFormat& format : each) {
      for (int bits = least_bits(format); has_bits(format, bits); ++bits)
        all.push_back({format, bits, codebook_of(format, bits, samples)});
    }
  }
  return all;
}

TEST(NumberFormat, CodesFitTheWidthAndThePairsOfEveryProcessor) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.text());
    EXPECT_LE(c.book.entries(), int64_t{1} << (c.bits * c.book.dim));
    EXPECT_GT(c.book.entries(), 1);
    EXPECT_EQ(c.book.dim, dim_of(c.format));
    EXPECT_EQ(c.book.spaces, spaces_of(c.format, 64));
    EXPECT_GT(c.book.unit, 0);
    EXPECT_EQ(c.book.type == DType::kInt8, c.format.def->of != CodebookOf::kType);
    if (c.book.type != DType::kInt8 || !c.format.def->codebook) continue;
    EXPECT_EQ(c.book.largest() > 64, c.book.overflows_pairs);
    EXPECT_EQ(runs_on_integers(c.format, c.bits),
              !c.book.overflows_pairs && subgroup_of(c.format) == Subgroup::kChannel);
    for (float level : c.book.levels) EXPECT_EQ(level, std::nearbyint(level));
  }
}

TEST(NumberFormat, RoundingIsIdempotentAndEveryCodeRoundTrips) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.text());
    const auto dim = static_cast<size_t>(c.book.dim);
    const auto entries = static_cast<size_t>(c.book.entries());
    const std::vector<float> ones(dim, 1.f);
    for (size_t e = 0; e < entries * static_cast<size_t>(c.book.spaces); ++e) {
      const auto entry = std::span(c.book.levels).subspan(e * dim, dim);
      const size_t space = e / entries;
      const size_t back = dim == 1 ? c.book.nearest(entry[0]) : c.book.nearest(entry, ones, space);
      EXPECT_TRUE(std::ranges::equal(
          entry, std::span(c.book.levels).subspan((space * entries + back) * dim, dim)));
      EXPECT_EQ(c.book.index_of(entry, space), back);
    }
    // As it is stored, too.
    const Tensor levels =
        Tensor::of<float>({static_cast<int64_t>(c.book.levels.size())}, c.book.levels);
    const Tensor again = cast(cast(levels, c.book.type), DType::kFloat);
    EXPECT_TRUE(std::ranges::equal(again.data<float>(), c.book.levels));
  }
}

TEST(NumberFormat, RoundingIsMonotoneAndFindsTheNearest) {
  for (const Case& c : cases()) {
    if (c.book.dim > 1) continue;
    SCOPED_TRACE(c.text());
    size_t last = 0;
    const float most = 1.02f * c.book.largest();
    for (int i = -1500; i <= 1500; ++i) {
      const float x = most * static_cast<float>(i) / 1500;
      const size_t at = c.book.nearest(x);
      EXPECT_GE(at, last);
      last = at;
      for (float level : c.book.levels)
        EXPECT_LE(std::fabs(x - c.book.levels[at]), std::fabs(x - level) * 1.00001f + 1e-6f);
    }
  }
}

TEST(NumberFormat, NoNumberIsFurtherFromItsLevelThanTheRecordSays) {
  for (const Case& c : cases()) {
    if (c.book.dim > 1) continue;
    SCOPED_TRACE(c.text());
    double widest = 0;
    for (size_t i = 1; i < c.book.levels.size(); ++i)
      widest = std::max(widest, double{c.book.levels[i]} - c.book.levels[i - 1]);
    const float low = c.book.levels.front(), high = c.book.levels.back();
    double most = 0;
    for (int i = 0; i <= 4000; ++i) {
      const float x = low + (high - low) * static_cast<float>(i) / 4000;
      const double off = std::fabs(double{x} - c.book.levels[c.book.nearest(x)]);
      const double bound =
          c.format.def->error_bound ? c.format.def->error_bound(c.format, c.bits, x) : widest / 2;
      EXPECT_LE(off, bound * 1.0001) << x;
      most = std::max(most, off / bound);
    }
    if (!c.format.def->subgroup) {
      EXPECT_GT(most, 0.7);  // bounds say something
    }
  }
}

TEST(NumberFormat, FloatsOfEightBitsAreThoseOfTheType) {
  const auto book = [](const char* text) { return codebook_of(parse_format(text), 8, {}); };
  EXPECT_EQ(book("float8").largest(), 448);
  EXPECT_EQ(book("float8").entries(), 253);  // 256 without two NaN and -0
  EXPECT_EQ(book("float8:type=e5m2").largest(), 57344);
  EXPECT_EQ(book("float8:type=e5m2").entries(), 247);  // without 8 infinities and NaN, and -0
}

TEST(NumberFormat, PartsOfRowsHaveVectorsOfTheirOwn) {
  const WeightFormat format = parse_format("product:spaces=4,dim=2");
  EXPECT_EQ(spaces_of(format, 64), 4);
  EXPECT_EQ(spaces_of(format, 27), 2);  // 14 vectors
  EXPECT_EQ(spaces_of(format, 5), 1);
  // The second half of every row is ten times as large.
  FormatSamples samples = normal_samples(64 * 256, 9);
  for (size_t i = 0; i < samples.values.size(); ++i)
    if (i % 64 >= 32) samples.values[i] *= 10;
  const Codebook book = codebook_of(format, 2, samples);
  const auto size_of = [&](size_t space) {
    double sum = 0;
    for (size_t i = 0; i < 32; ++i) sum += std::fabs(book.levels[space * 32 + i]);
    return sum;
  };
  EXPECT_LT(size_of(0) * 5, size_of(3));
  EXPECT_EQ(book.space_of(0, 64), 0u);
  EXPECT_EQ(book.space_of(15, 64), 0u);
  EXPECT_EQ(book.space_of(16, 64), 1u);
  EXPECT_EQ(book.space_of(63, 64), 3u);
  EXPECT_EQ(codebook_bits(format, 2, 64), 4 * 16 * 2 * 8);
}

TEST(NumberFormat, PowersOfTwoAreThoseThatShiftsMake) {
  const WeightFormat format = parse_format("power-of-two");
  const Codebook book = format.def->codebook({format, 3, {}});
  EXPECT_EQ(book.levels, (std::vector<float>{-4, -2, -1, 0, 1, 2, 4}));
}

// A code of fewer bits stands for the middle of its cell in the units of the wide one.
TEST(NumberFormat, NestedCodesAreReadAtAnyWidth) {
  const WeightFormat format = parse_format("nested:least=2");
  for (int bits = 2; bits <= 6; ++bits) {
    const Codebook wide = codebook_of(format, bits, {});
    EXPECT_EQ(wide.spare_bits, bits - 2);
    for (int left_out = 0; left_out <= wide.spare_bits; ++left_out) {
      const Codebook narrow = codebook_of(format, bits - left_out, {});
      const std::vector<float> levels = wide.without_bits(left_out);
      ASSERT_EQ(levels.size(), wide.levels.size());
      for (size_t i = 0; i < levels.size(); ++i)
        EXPECT_EQ(levels[i], narrow.levels[i >> left_out] * static_cast<float>(1 << left_out));
    }
  }
}

TEST(NumberFormat, TheUnitIsTheBestScaleForNormalWeights) {
  // One bit: E|x| = sqrt(2 / pi).
  const std::vector<float> binary = {-1, 1};
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
