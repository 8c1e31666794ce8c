#include <gtest/gtest.h>

#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "qtool/plan.hpp"

namespace qtool {
namespace {

Model net() {
  return prepare(model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 2, 4, 4] x) => (float[n, 3] y)
<float[2, 2, 1, 1] w1 = {1.0, 2.0, 3.0, 4.0}, float[2] b1 = {0.1, 0.2}, float[2, 2, 1, 1] w2 = {1.0, 2.0, 3.0, 4.0},
 float[2, 3] w3 = {1.0, 2.0, 3.0, 4.0, 5.0, 6.0}>
{ [conv1] c1 = Conv(x, w1, b1)  [relu1] r1 = Relu(c1)  [conv2] c2 = Conv(r1, w2)  [add] s = Add(c2, r1)  [relu2] r2 = Relu(s)
  [tanh] t = Tanh(r2)  [pool] p = GlobalAveragePool(t)  [flatten] f = Flatten(p)  [dense] y = MatMul(f, w3) })"));
}

TEST(Sites, FindLayersWithTheirValues) {
  const Sites sites = find_sites(net(), find_target("ort-cpu"));
  ASSERT_EQ(sites.layers.size(), 3u);
  const LayerSite& first = sites.layers[0];
  EXPECT_EQ(first.name, "conv1");
  EXPECT_EQ(first.input, "x");
  EXPECT_EQ(first.output, "r1");  // behind the activation
  EXPECT_EQ(first.weight, "w1");
  EXPECT_EQ(first.bias, "b1");
  EXPECT_EQ(first.channels, 2);
  EXPECT_EQ(first.macs, 2 * 2 * 16);
  EXPECT_EQ(sites.layers[2].channel_axis, 1);
  for (const LayerSite& layer : sites.layers) EXPECT_EQ(layer.reason, "");
}

TEST(Sites, QuantizeWhatIntegerKernelsReadAndMake) {
  const Sites sites = find_sites(net(), find_target("ort-cpu"));
  for (const char* name : {"x", "r1", "c2", "r2", "t", "p", "f"})
    EXPECT_NE(sites.activation(name), nullptr) << name;
  EXPECT_EQ(sites.activation("c1"), nullptr);  // inside conv1 and its activation
  EXPECT_EQ(sites.activation("y"), nullptr);   // a last dense layer makes floats
  EXPECT_EQ(sites.activation("f")->shares_with, "p");
  EXPECT_TRUE(sites.activation("x")->network_input);
  EXPECT_EQ(sites.activation("r1")->elements, 32);
}

TEST(Sites, GiveAReasonForEveryFloatNode) {
  const Sites sites = find_sites(net(), find_target("ort-cpu"));
  bool tanh_seen = false;
  for (const NodeSite& node : sites.nodes) {
    if (node.type != "Tanh") continue;
    tanh_seen = true;
    EXPECT_NE(node.reason, "");
  }
  EXPECT_TRUE(tanh_seen);
}

TEST(Sites, RefuseWeightsThatAreNotNumbers) {
  Model model = net();
  model.graph.initializers[model.graph.find("w1")].data.mutable_data<float>()[0] =
      std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(find_sites(model, find_target("ort-cpu")), Error);
}

TEST(Plan, UniformKeepsTheNetworkInputWide) {
  const Sites sites = find_sites(net(), find_target("ort-cpu"));
  const QuantPlan plan = uniform_plan(sites, {4, 4});
  EXPECT_EQ(plan.layer("conv1")->activation_bits, 8);
  EXPECT_EQ(plan.layer("conv2")->activation_bits, 4);
  EXPECT_EQ(plan.activation_bits.at("c2"), 8);  // a branch of a sum
  EXPECT_EQ(plan.activation_bits.at("f"), 4);
}

TEST(Plan, KeepPinsLayers) {
  const Sites sites = find_sites(net(), find_target("ort-cpu"));
  const QuantPlan plan =
      uniform_plan(sites, {2, 8}, {{"first", {8, 8}}, {"conv2", {kFloatBits, kFloatBits}}});
  EXPECT_EQ(plan.layer("conv1")->weight_bits, 8);
  EXPECT_EQ(plan.layer("conv2")->weight_bits, kFloatBits);
  EXPECT_EQ(plan.layer("dense")->weight_bits, 2);
}

TEST(Plan, CostsCountCodesAndScales) {
  const Model model = net();
  const Sites sites = find_sites(model, find_target("ort-cpu"));
  const PlanCost cost = plan_cost(uniform_plan(sites, {4, 8}), sites, model);
  EXPECT_DOUBLE_EQ(cost.mean_weight_bits, 4);
  EXPECT_DOUBLE_EQ(cost.mean_activation_bits, 8);
  EXPECT_DOUBLE_EQ(cost.bits_per_weight, (14 * 4 + 7 * 32) / 14.0);
  EXPECT_DOUBLE_EQ(cost.bops, (64 + 64 + 6) * 32.0);
}

TEST(Plan, SurvivesItsFile) {
  const Sites sites = find_sites(net(), find_target("ort-cpu"));
  QuantPlan plan = uniform_plan(sites, {4, 8});
  plan.model_fingerprint = "abc";
  plan.layer("conv2")->weight_bits = kFloatBits;
  const auto path = std::filesystem::temp_directory_path() / "qtool_plan_test.json";
  save_plan(plan, path);
  const QuantPlan back = load_plan(path, sites, "abc");
  EXPECT_EQ(back.layer("conv1")->weight_bits, 4);
  EXPECT_EQ(back.layer("conv2")->weight_bits, kFloatBits);
  EXPECT_THROW(load_plan(path, sites, "another"), Error);
  std::filesystem::remove(path);
}

TEST(Plan, NamesTheMistakeInAnEditedFile) {
  const Sites sites = find_sites(net(), find_target("ort-cpu"));
  const auto path = std::filesystem::temp_directory_path() / "qtool_plan_edit_test.json";
  const auto message = [&](const std::string& layer) {
    write_file_atomic(path, R"({"model_fingerprint": "abc", "layers": [)" + layer + "]}");
    try {
      load_plan(path, sites, "abc");
    } catch (const Error& e) {
      return e.message() + " / " + e.hint_text();
    }
    return std::string();
  };
  EXPECT_NE(message(R"({"name": "conv3"})").find("did you mean 'conv"), std::string::npos);
  EXPECT_NE(message(R"({"name": "conv1", "weight_bit": 4})").find("did you mean 'weight_bits'"),
            std::string::npos);
  EXPECT_NE(message(R"({"name": "conv1", "weight_bits": 40})").find("2 to 8"), std::string::npos);
  EXPECT_NE(message(R"({"name": "conv1", "weight_bits": "four"})").find("2 to 8"),
            std::string::npos);
  EXPECT_EQ(message(R"({"name": "conv1", "weight_bits": 3})"), "");
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace qtool
