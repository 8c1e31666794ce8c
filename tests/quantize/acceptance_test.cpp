#include "quantize/fit/acceptance.hpp"

#include <gtest/gtest.h>

namespace qtool::qdq {
namespace {

// Layers a to h, of which `bad` ones make things worse by 10 when they are the proposal's, others better by 1.
struct Eight {
  explicit Eight(std::set<std::string> worse) : bad(std::move(worse)) {
    for (const char* name : {"a", "b", "c", "d", "e", "f", "g", "h"}) {
      units.push_back({name});
      now.layers[name].bits = 8;
      proposal.layers[name].bits = 2;
    }
  }
  double distance(const Candidate& candidate) {
    ++runs;
    double sum = 100;
    for (const auto& [name, layer] : candidate.layers)
      if (layer.bits == 2) sum += bad.contains(name) ? 10 : -1;
    return sum;
  }
  std::set<std::string> accept(int trials = 100) {
    return qdq::accept(
        proposal, units, [this](const Candidate& c) { return distance(c); }, trials, now, least);
  }

  std::set<std::string> bad;
  std::vector<Unit> units;
  Candidate now, proposal;
  double least = 100;
  int runs = 0;
};

TEST(Acceptance, TakesAllAtOnceWhereThatHelps) {
  Eight eight({});
  EXPECT_EQ(eight.accept().size(), 8u);
  EXPECT_EQ(eight.runs, 1);
  EXPECT_EQ(eight.least, 92);
}

TEST(Acceptance, LeavesOnlyTheBadLayer) {
  Eight eight({"f"});
  EXPECT_EQ(eight.accept(), (std::set<std::string>{"a", "b", "c", "d", "e", "g", "h"}));
  EXPECT_EQ(eight.now.layers["f"].bits, 8);
  EXPECT_EQ(eight.now.layers["g"].bits, 2);
  EXPECT_EQ(eight.least, 93);
}

TEST(Acceptance, LeavesAllWhereNothingHelps) {
  Eight eight({"a", "b", "c", "d", "e", "f", "g", "h"});
  EXPECT_TRUE(eight.accept().empty());
  EXPECT_EQ(eight.least, 100);
  EXPECT_EQ(eight.now.layers["a"].bits, 8);
}

TEST(Acceptance, StopsWhenItsTrialsAreUsed) {
  Eight eight({"a"});
  EXPECT_EQ(eight.accept(3).size(), 0u);  // all, its first half, that one's first half
  EXPECT_EQ(eight.runs, 3);
}

TEST(Acceptance, MovesTogetherWhatIsShared) {
  Sites sites;
  LayerResults layers;
  for (const auto& [name, weight] : {std::pair{"one", "w"}, {"other", "v"}, {"two", "w"}}) {
    LayerSite site;
    site.name = name;
    site.weight = weight;
    sites.layers.push_back(site);
    layers[name] = {};
  }
  EXPECT_EQ(layer_units(sites, layers), (std::vector<Unit>{{"one", "two"}, {"other"}}));
  for (const auto& [name, leader] : {std::pair{"x", ""}, {"pooled", "x"}}) {
    ActivationSite site;
    site.name = name;
    site.shares_with = leader;
    sites.activations.push_back(site);
  }
  EXPECT_EQ(activation_units(sites, {{"x", {}}, {"pooled", {}}}),
            (std::vector<Unit>{{"x", "pooled"}}));
}

}  // namespace
}  // namespace qtool::qdq
