#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "score/fixture.hpp"

namespace qtool {
namespace {

using test::Fixture;

WeightCandidates candidates_of(const Fixture& f, std::vector<Width> widths, int threads = 1) {
  return weight_candidates(f.model, f.sites, f.table, *f.source,
                           {std::move(widths), "cd", 256, threads});
}

void expect_same(const LayerCandidates& a, size_t width, const LayerCandidates& b, size_t other) {
  const auto x = a.codes[width].codes.data<int8_t>(), y = b.codes[other].codes.data<int8_t>();
  EXPECT_TRUE(std::ranges::equal(x, y));
  EXPECT_EQ(a.codes[width].scales, b.codes[other].scales);
  EXPECT_EQ(a.bias_shift[width], b.bias_shift[other]);
}

// Solved together or alone, with other widths or threads: the same bits, so that what is kept from before is
// what would be made now.
TEST(Candidates, AWidthDoesNotDependOnTheOthers) {
  const Fixture f(test::kNet);
  const WeightCandidates all = candidates_of(f, {2, 3, 4, kFloatBits}, 2),
                         one = candidates_of(f, {3});
  for (const LayerSite& site : f.sites.layers) {
    SCOPED_TRACE(site.name);
    const LayerCandidates &a = all.layers.at(site.name), &b = one.layers.at(site.name);
    expect_same(a, 1, b, 0);
    EXPECT_FALSE(a.codes[3].codes.defined());
    for (int8_t code : a.codes[0].codes.data<int8_t>()) EXPECT_TRUE(code >= -2 && code <= 1);
  }
}

// As the fit makes them: every bit more halves the cells of the codes before.
TEST(Candidates, OfNestedCodesStayInTheCellsOfNarrowerOnes) {
  const Fixture f(test::kNet);
  const WeightCandidates all = candidates_of(f, {{2, "nested"}, {4, "nested"}, {8, "nested"}}),
                         one = candidates_of(f, {{4, "nested"}});
  for (const LayerSite& site : f.sites.layers) {
    SCOPED_TRACE(site.name);
    const LayerCandidates& layer = all.layers.at(site.name);
    expect_same(layer, 1, one.layers.at(site.name), 0);
    const auto two = layer.codes[0].codes.data<int8_t>(),
               four = layer.codes[1].codes.data<int8_t>(),
               eight = layer.codes[2].codes.data<int8_t>();
    for (size_t i = 0; i < two.size(); ++i) {
      EXPECT_LE(std::abs(four[i] - 4 * two[i]), 3);
      EXPECT_LE(std::abs(eight[i] - 8 * four[i]), 8);
    }
  }
}

TEST(Candidates, AreReadBackAndJoined) {
  const Fixture f(test::kNet);
  const WeightCandidates some = candidates_of(f, {2, 4, kFloatBits}), more = candidates_of(f, {3}),
                         all = candidates_of(f, {2, 3, 4});
  const auto path = std::filesystem::temp_directory_path() / "qtool_candidates_test.npz";
  save_candidates(some, "cd of a test", path);
  EXPECT_FALSE(load_candidates("another", path));
  const std::optional<WeightCandidates> read = load_candidates("cd of a test", path);
  std::filesystem::resize_file(path, 1000);  // cut off
  EXPECT_FALSE(load_candidates("cd of a test", path));
  std::filesystem::remove(path);
  EXPECT_FALSE(load_candidates("cd of a test", path));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->widths, some.widths);
  const WeightCandidates joined = joined_candidates(*read, more, {2, 3, 4});
  for (const LayerSite& site : f.sites.layers) {
    SCOPED_TRACE(site.name);
    EXPECT_FALSE(read->layers.at(site.name).codes[2].codes.defined());
    EXPECT_EQ(read->layers.at(site.name).codes[0].method, "cd");
    for (size_t c = 0; c < 3; ++c)
      expect_same(joined.layers.at(site.name), c, all.layers.at(site.name), c);
  }
}

// Float among the widths, or as the only one that an earlier search had not: every width has its shift.
TEST(Candidates, FloatIsJoinedToSolvedWidths) {
  const Fixture f(test::kNet);
  const WeightCandidates all = candidates_of(f, {4, kFloatBits, 8}),
                         joined =
                             joined_candidates(candidates_of(f, {4, 8}),
                                               candidates_of(f, {kFloatBits}), {4, kFloatBits, 8});
  for (const LayerSite& site : f.sites.layers) {
    SCOPED_TRACE(site.name);
    const LayerCandidates &a = joined.layers.at(site.name), &b = all.layers.at(site.name);
    EXPECT_EQ(a.bias_shift, b.bias_shift);
    EXPECT_FALSE(a.codes[1].codes.defined());
    expect_same(a, 2, b, 2);
  }
}

TEST(Candidates, FiltersArePutTogether) {
  const Fixture f(test::kNet);
  const WeightCandidates all = candidates_of(f, {2, 8});
  const LayerSite& site = f.sites.layers[0];
  const std::vector<int> bits = {2, 8, 2, 8, 2, 8, 2, 8};
  const ChosenWeight chosen =
      chosen_weight(all, site, {.name = site.name, .weight_bits = 8, .filter_bits = bits});
  const LayerCandidates& layer = all.layers.at(site.name);
  for (size_t r = 0; r < bits.size(); ++r) {
    const size_t width = bits[r] == 2 ? 0 : 1;
    EXPECT_EQ(chosen.codes.scales[r], layer.codes[width].scales[r]);
    EXPECT_EQ(chosen.bias_shift[r], layer.bias_shift[width][r]);
    for (size_t i = r * 27; i < r * 27 + 27; ++i) {
      EXPECT_EQ(chosen.codes.codes.data<int8_t>()[i], layer.codes[width].codes.data<int8_t>()[i]);
    }
  }
  EXPECT_THROW(chosen_weight(all, site, layer_choice(site.name, 5)), Error);
  EXPECT_THROW(chosen_weight(all, site, layer_choice(site.name, {2, "kmeans"})), Error);
}

// Codebooks of a model are those that quantize would make: fitted to all layers.
TEST(Candidates, EveryFormatOfAWidthIsOne) {
  const Fixture f(test::kNet);
  const WeightCandidates all =
      candidates_of(f, {2, {2, "kmeans"}, {2, "vector"}, 4, {3, "kmeans"}}, 2);
  const WeightCandidates uniform = candidates_of(f, {2, 4});
  const Codebook* shared = nullptr;
  for (const LayerSite& site : f.sites.layers) {
    const std::vector<WeightCodes>& codes = all.layers.at(site.name).codes;
    EXPECT_EQ(codes[0].codebook, nullptr);
    EXPECT_EQ(codes[1].codebook->entries(), 4) << site.name;
    EXPECT_EQ(codes[2].codebook->dim, 4);
    EXPECT_LE(codes[4].codebook->entries(), 8);
    EXPECT_TRUE(!shared || codes[2].codebook->levels == shared->levels);
    shared = codes[2].codebook.get();
    for (size_t i : {0u, 3u}) {
      const Tensor &have = codes[i].codes, &want = uniform.layers.at(site.name).codes[i / 2].codes;
      EXPECT_TRUE(std::ranges::equal(have.data<int8_t>(), want.data<int8_t>())) << site.name;
    }
  }
}

TEST(Probe, MoreBitsLeaveLessNoise) {
  const Fixture f(test::kNet);
  const WeightCandidates all = candidates_of(f, {2, 4, 8});
  const PlanProbe one(f.model, f.sites, f.table, all, *f.source, 0, 2, 1),
      two(f.model, f.sites, f.table, all, *f.source, 0, 2, 2);
  double before = 1e9;
  for (int bits : {2, 4, 8}) {
    const QuantPlan plan = uniform_plan(f.sites, {bits, 8});
    const PlanProbe::Result result = one.measure(plan);
    EXPECT_LT(result.noise, before);
    EXPECT_EQ(result.noise, two.measure(plan).noise);
    ASSERT_EQ(std::ssize(result.by_sample), result.samples);
    const double sum = std::accumulate(result.by_sample.begin(), result.by_sample.end(), 0.0);
    EXPECT_DOUBLE_EQ(result.noise, sum / static_cast<double>(result.samples));
    before = result.noise;
  }
  EXPECT_LT(before, 1e-2);
  EXPECT_GT(one.measure(uniform_plan(f.sites, {8, 8})).agreement, 0.9);
}

}  // namespace
}  // namespace qtool
