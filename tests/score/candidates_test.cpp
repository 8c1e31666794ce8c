#include <gtest/gtest.h>

#include "score/fixture.hpp"

namespace qtool {
namespace {

using test::Fixture;

WeightCandidates candidates_of(const Fixture& f, std::vector<Width> widths, int threads = 1) {
  return weight_candidates(f.model, f.sites, f.table, *f.source,
                           {std::move(widths), "cd", 256, threads});
}

// Solved together or alone, with other widths or threads: the same codes, but for ties that the order of
// a sum decides.
TEST(Candidates, AWidthDoesNotDependOnTheOthers) {
  const Fixture f(test::kNet);
  const WeightCandidates all = candidates_of(f, {2, 3, 4, kFloatBits}, 2),
                         one = candidates_of(f, {3});
  for (const LayerSite& site : f.sites.layers) {
    const LayerCandidates &a = all.layers.at(site.name), &b = one.layers.at(site.name);
    const auto x = a.codes[1].codes.data<int8_t>(), y = b.codes[0].codes.data<int8_t>();
    size_t other = 0;
    for (size_t i = 0; i < x.size(); ++i) other += x[i] != y[i];
    EXPECT_LE(other, x.size() / 50) << site.name;
    for (size_t r = 0; r < a.codes[1].scales.size(); ++r)
      EXPECT_NEAR(a.codes[1].scales[r], b.codes[0].scales[r], 0.02) << site.name;
    EXPECT_FALSE(a.codes[3].codes.defined());
    for (int8_t code : a.codes[0].codes.data<int8_t>()) EXPECT_TRUE(code >= -2 && code <= 1);
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
    before = result.noise;
  }
  EXPECT_LT(before, 1e-2);
  EXPECT_GT(one.measure(uniform_plan(f.sites, {8, 8})).agreement, 0.9);
}

}  // namespace
}  // namespace qtool
