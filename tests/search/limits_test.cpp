// Limits of budgets and devices on a small network with prices made up.
#include <gtest/gtest.h>

#include "qtool/assign.hpp"
#include "qtool/branches.hpp"
#include "qtool/memory.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "support/weights.hpp"

namespace qtool {
namespace {

struct Net {
  Net() {
    model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 4, 8, 8] x, float[8, 4, 3, 3] w1, float[8, 8, 3, 3] w2, float[8, 10] w3) => (float[n, 10] y)
{ a = Conv<pads = [1, 1, 1, 1]>(x, w1)  b = Relu(a)  c = Conv<pads = [1, 1, 1, 1]>(b, w2)  d = Relu(c)
  p = GlobalAveragePool(d)  f = Flatten(p)  y = MatMul(f, w3) })");
    test::make_zero_weights(model);
    model = prepare(model);
    sites = find_sites(model, find_target("ort-cpu"));
    for (const LayerSite& site : sites.layers)
      scores.groups.push_back({GroupKind::kWeights, site.name, {4, 8, kFloatBits}, {0.1, 0.01, 0}});
  }
  void score_activations() {
    for (const ActivationSite& site : sites.activations) {
      if (site.shares_with.empty())
        scores.groups.push_back({GroupKind::kActivation, site.name, {4, 8}, {0.1, 0.01}});
    }
  }
  Assignment assign(const std::string& budget, std::optional<DeviceProfile> profile = {}) const {
    AssignOptions options;
    options.limits = parse_budget(budget);
    options.profile = std::move(profile);
    return qtool::assign(model, sites, scores, options);
  }
  Model model;
  Sites sites;
  ScoreTable scores{"", "sqnr", 64, {}};
};

TEST(Limits, MeasuredLayersHaveConversionsOfTheirOwn) {
  const Net net;
  DeviceProfile measured = load_profile("onednn-cpu");
  measured.model_fingerprint = "m";
  measured.conversion_ns = 1000;
  measured.layers = {{net.sites.layers[0].name, 2, 1, 0.5}};
  const DeviceProfile p = parse_profile(profile_json(measured), "here.json");
  EXPECT_DOUBLE_EQ(p.conversion_ms(net.sites.layers[0], 100), 0.5);
  EXPECT_DOUBLE_EQ(p.conversion_ms(net.sites.layers[1], 100), 0.1);
  QuantPlan plan = uniform_plan(net.sites, {8, 8});
  const double codes = predicted_latency_ms(plan, net.sites, p);
  plan.layers[0].weight_bits = kFloatBits;
  EXPECT_NEAR(predicted_latency_ms(plan, net.sites, p) - codes, 2 - 1 + 0.5, 1e-12);
}

TEST(Limits, LatencyIsHeldByTheProfile) {
  const Net net;
  const auto file = std::filesystem::temp_directory_path() / "qtool_limits_test.json";
  write_file_atomic(file, R"({"costs": [
    {"op": "*", "weights": 8, "activations": 8, "gmacs_per_second": 4},
    {"op": "*", "weights": "float", "activations": "float", "gmacs_per_second": 1}]})");
  const std::string at = "%latency@" + file.string();
  const Assignment free = net.assign("100" + at), half = net.assign("60" + at);
  ASSERT_TRUE(free.latency_ms && half.latency_ms);
  double whole = 0;
  const DeviceProfile profile = load_profile(file.string());
  for (const LayerSite& site : net.sites.layers)
    whole += profile.layer_ms(site, kFloatBits, kFloatBits);
  EXPECT_NEAR(*free.latency_ms, whole, 1e-9);
  EXPECT_LE(*half.latency_ms, 0.6 * whole);
  EXPECT_GT(half.loss, free.loss);
  try {
    net.assign("20" + at);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kInfeasible);
    EXPECT_NE(e.message().find("125.0 % of it"), std::string::npos) << e.message();
  }
  std::filesystem::remove(file);
}

TEST(Limits, LayersInFloatAmongCodesPayForConversions) {
  const Net net;
  const DeviceProfile profile = parse_profile(R"({"conversion_ns_per_element": 1000, "costs": [
    {"op": "*", "weights": 8, "activations": 8, "gmacs_per_second": 4},
    {"op": "*", "weights": "float", "activations": "float", "gmacs_per_second": 1}]})",
                                              "test");
  QuantPlan plan = uniform_plan(net.sites, {8, 8});
  const LayerSite& site = net.sites.layers[1];
  const double codes = predicted_latency_ms(plan, net.sites, profile);
  plan.layer(site.name)->weight_bits = kFloatBits;
  // It reads and makes 8 channels of 8 × 8.
  EXPECT_EQ(converted_elements(site, net.sites), 1024);
  EXPECT_NEAR(
      predicted_latency_ms(plan, net.sites, profile),
      codes + profile.layer_ms(site, kFloatBits, kFloatBits) - profile.layer_ms(site, 8, 8) + 1.024,
      1e-9);
}

TEST(Limits, PeakMemoryNarrowsWhatIsAliveTogether) {
  Net net;
  join_branches(net.sites);
  net.score_activations();
  const Assignment free = net.assign("8bits");
  ASSERT_GT(free.peak_bytes, 0);
  const std::string limit = cat("8bits,peak=", free.peak_bytes * 3 / 4, "B");
  const Assignment held = net.assign(limit);
  EXPECT_LE(held.peak_bytes, free.peak_bytes * 3 / 4);
  EXPECT_GT(held.loss, free.loss);
  EXPECT_EQ(held.peak_bytes, peak_activation_bytes(live_sets(net.model, net.sites), held.plan));
}

TEST(Limits, WidthsThatADeviceDoesNotAllowAreNoChoices) {
  const Net net;
  const DeviceProfile only8 = parse_profile(
      R"({"allowed": [{"ops": ["*"], "weights": [8], "activations": [8]}]})", "only8");
  for (const LayerChoice& layer : net.assign("30bits", only8).plan.layers)
    EXPECT_EQ(layer.weight_bits, 8);
  try {
    net.assign("5bits", only8);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), "QT-E501");
  }
}

// Formats of one width are choices of their own: what scales and codebooks take decides, too.
TEST(Limits, FormatsArePricedByWhatTheyStore) {
  Net net;
  for (GroupScore& group : net.scores.groups) {
    // Sixteen scales a row make block-float at 2 bits as large as 4 bits, and better than those.
    group.widths = {2, {2, "block-float"}, {2, "kmeans"}, 4};
    group.noise = {0.5, 0.05, 0.4, 0.1};
  }
  const auto formats_at = [&](const std::string& budget) {
    std::map<std::string, int> count;
    for (const LayerChoice& layer : net.assign(budget).plan.layers)
      ++count[cat(layer.format, layer.weight_bits)];
    return count;
  };
  EXPECT_EQ(formats_at("2bits"), (std::map<std::string, int>{{"block-float2", 3}}));
  EXPECT_LT(formats_at("3.5bpw")["block-float2"], 3);
  for (const double most : {3.0, 3.5, 4.5, 6.0}) {
    const Assignment a = net.assign(cat(most, "bpw"));
    EXPECT_LE(a.cost.bits_per_weight, most);
    EXPECT_NEAR(predicted_loss(a.plan, net.sites, net.scores), a.loss, 1e-12);
  }
}

// When a value gets its range is a choice like a width: run-time ranges are closer, and cost what it takes to
// go to floats and back.
TEST(Limits, RunTimeRangesAreChosenWhereTheyArePaidFor) {
  Net net;
  for (GroupScore& group : net.scores.groups) group.widths = {8}, group.noise = {0.01};
  for (const ActivationSite& site : net.sites.activations) {
    if (site.shares_with.empty())
      net.scores.groups.push_back(
          {GroupKind::kActivation,
           site.name,
           {8, {8, "uniform", ActivationMode::kDynamic}, {8, "uniform", ActivationMode::kToken}},
           {0.1, 0.01, 0.001}});
  }
  const auto modes = [&](const QuantPlan& plan) {
    std::string text;
    for (const LayerChoice& layer : plan.layers)
      text += cat(text.empty() ? "" : " ", activation_mode_name(layer.mode));
    return text;
  };
  const Assignment free = net.assign("8bits");
  EXPECT_EQ(modes(free.plan), "dynamic dynamic token");  // convolutions have no rows
  EXPECT_EQ(free.plan.activation_bits.at("x"), kFloatBits);
  const auto file = std::filesystem::temp_directory_path() / "qtool_modes_test.json";
  write_file_atomic(file, R"({"conversion_ns_per_element": 100, "costs": [
    {"op": "*", "weights": 8, "activations": 8, "gmacs_per_second": 1}]})");
  const DeviceProfile profile = load_profile(file.string());
  double product_ms = 0, dense_ms = 0;
  for (const LayerSite& site : net.sites.layers) {
    product_ms += profile.layer_ms(site, 8, 8);
    if (site.dense) dense_ms = 1e-4 * static_cast<double>(converted_elements(site, net.sites));
  }
  const Assignment tight = net.assign(cat(product_ms + dense_ms * 1.01, "ms@", file.string()));
  EXPECT_EQ(modes(tight.plan), "static static token");
  EXPECT_NEAR(predicted_loss(tight.plan, net.sites, net.scores), tight.loss, 1e-12);
  EXPECT_LE(*tight.latency_ms, product_ms + dense_ms * 1.01);
  std::filesystem::remove(file);
  EXPECT_THROW(net.assign("act=8bits"), Error);
  EXPECT_THROW(net.assign("peak=100kB"), Error);
}

// Two widths multiply: those of a layer and of what it reads are chosen together.
TEST(Limits, BitOperationsOfSearchedActivationsHoldAndAreBest) {
  Net net;
  net.score_activations();
  double least = 1e9;
  const double whole =
      1024.0 * static_cast<double>(net.sites.layers[0].macs + net.sites.layers[1].macs +
                                   net.sites.layers[2].macs);
  const Assignment best = net.assign("5%bops");
  EXPECT_LE(best.cost.bops, 0.05 * whole);
  EXPECT_EQ(best.status, "optimal");
  // All plans, tried one by one.
  std::vector<std::string> owners;
  for (const GroupScore& group : net.scores.groups)
    if (group.kind == GroupKind::kActivation) owners.push_back(group.name);
  const int widths[] = {4, 8, kFloatBits};
  for (int at = 0; at < 27 << owners.size(); ++at) {
    QuantPlan plan = best.plan;
    int digits = at >> owners.size();
    for (size_t i = 0; i < 3; ++i, digits /= 3) plan.layers[i].weight_bits = widths[digits % 3];
    for (size_t i = 0; i < owners.size(); ++i) {
      for (const ActivationSite& site : net.sites.activations)
        if (site.name == owners[i] || site.shares_with == owners[i])
          plan.activation_bits[site.name] = widths[at >> i & 1];
    }
    if (plan_cost(plan, net.sites, net.model).bops <= 0.05 * whole)
      least = std::min(least, predicted_loss(plan, net.sites, net.scores));
  }
  EXPECT_NEAR(best.loss, least, 1e-12);
}

TEST(Limits, LatencyOfSearchedActivationsCountsPairsOfWidths) {
  Net net;
  net.score_activations();
  const auto file = std::filesystem::temp_directory_path() / "qtool_limits_pairs_test.json";
  write_file_atomic(file, R"({"costs": [
    {"op": "*", "weights": 8, "activations": 4, "gmacs_per_second": 2},
    {"op": "*", "weights": 4, "activations": 8, "gmacs_per_second": 2},
    {"op": "*", "weights": 8, "activations": 8, "gmacs_per_second": 1},
    {"op": "*", "weights": "float", "activations": 8, "gmacs_per_second": 0.5},
    {"op": "*", "weights": "float", "activations": "float", "gmacs_per_second": 0.5}]})");
  const DeviceProfile profile = load_profile(file.string());
  const Assignment half = net.assign("27%latency@" + file.string());
  double whole = 0;
  for (const LayerSite& site : net.sites.layers)
    whole += profile.layer_ms(site, kFloatBits, kFloatBits);
  ASSERT_TRUE(half.latency_ms);
  EXPECT_LE(*half.latency_ms, 0.27 * whole);
  std::filesystem::remove(file);
}

TEST(Limits, PairsThatADeviceDoesNotAllowAreNotChosen) {
  Net net;
  net.score_activations();
  const DeviceProfile device = parse_profile(R"({"allowed": [
    {"ops": ["Conv"], "weights": [4], "activations": [8]},
    {"ops": ["Conv"], "weights": [8], "activations": [4]},
    {"ops": ["MatMul", "Gemm"], "weights": [8], "activations": [8]}]})",
                                             "device");
  for (const char* budget : {"8bits", "6bits", "8bits,act=6bits"}) {
    const Assignment a = net.assign(budget, device);
    for (const LayerChoice& layer : a.plan.layers) {
      const LayerSite& site = *net.sites.layer(layer.name);
      EXPECT_TRUE(
          device.allows(site.type, {layer.weight_bits, layer.format}, a.plan.input_bits(site)))
          << budget << " " << layer.name << " " << layer.weight_bits << "x"
          << layer.activation_bits;
    }
  }
  const DeviceProfile none =
      parse_profile(R"({"allowed": [{"ops": ["*"], "weights": [5], "activations": [8]}]})", "none");
  try {
    net.assign("8bits", none);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), "QT-E501");
    EXPECT_NE(e.message().find("allows none"), std::string::npos) << e.message();
  }
}

TEST(Limits, RandomPlansArePricedBySums) {
  const Net net;
  for (const auto& [plan, loss] : random_plans(net.model, net.sites, net.scores, {}, 20, 1))
    EXPECT_NEAR(loss, predicted_loss(plan, net.sites, net.scores), 1e-12);
}

}  // namespace
}  // namespace qtool
