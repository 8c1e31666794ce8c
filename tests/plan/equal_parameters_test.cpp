#include <gtest/gtest.h>

#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "qtool/plan.hpp"
#include "support/weights.hpp"

namespace qtool {
namespace {

struct Net {
  Net() {
    model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 4, 8, 8] x, float[8, 4, 3, 3] w1, float[8, 4, 3, 3] w2, float[8, 16, 3, 3] w3, float[8, 8, 3, 3] w4) => (float[n, 8, 8, 8] y)
{ a = Conv<pads = [1, 1, 1, 1]>(x, w1)  ra = Relu(a)  b = Conv<pads = [1, 1, 1, 1]>(x, w2)  rb = Relu(b)
  c = Concat<axis = 1>(ra, rb)  d = Conv<pads = [1, 1, 1, 1]>(c, w3)  e = Add(d, ra)
  y = Conv<pads = [1, 1, 1, 1]>(e, w4) })");
    test::make_zero_weights(model);
    model = prepare(model);
    sites = find_sites(model, find_target("ort-cpu"));
  }
  std::string owner(const std::string& name) const {
    const ActivationSite& site = *sites.activation(name);
    return site.shares_with.empty() ? name : site.shares_with;
  }
  Model model;
  Sites sites;
};

TEST(EqualParameters, ConcatHasOneOwner) {
  Net net;
  const std::vector<std::string> types = {"Concat"};
  share_parameters(net.sites, net.model, types);
  EXPECT_EQ(net.owner("ra"), "ra");
  EXPECT_EQ(net.owner("rb"), "ra");
  EXPECT_EQ(net.owner("c"), "ra");
  EXPECT_EQ(net.owner("d"), "d");
  EXPECT_EQ(net.sites.activation("ra")->covers, (std::vector<std::string>{"rb", "c"}));
}

TEST(EqualParameters, SumsShareWhatTheyRead) {
  Net net;
  const std::vector<std::string> types = {"Add", "Concat"};
  share_parameters(net.sites, net.model, types);
  EXPECT_EQ(net.owner("d"), "ra");
  EXPECT_EQ(net.owner("rb"), "ra");
  EXPECT_EQ(net.owner("e"), "e");
  EXPECT_EQ(net.owner("x"), "x");
  // One width for all of them.
  const QuantPlan plan = uniform_plan(net.sites, {8, 4});
  EXPECT_EQ(plan.activation_bits.at("d"), plan.activation_bits.at("ra"));
  EXPECT_EQ(plan.activation_bits.at("c"), 4);
}

TEST(EqualParameters, OtherTypesAreRefused) {
  for (const std::string type : {"Conv", "Softmax", "Concatenate"}) {
    const std::vector<std::string> types = {type};
    EXPECT_THROW(check_shared_types(types), Error) << type;
  }
  const std::vector<std::string> good = {"Concat", "Add", "Mul", "MaxPool"};
  EXPECT_NO_THROW(check_shared_types(good));
}

TEST(EqualParameters, PlansRememberThem) {
  Net net;
  const auto path = std::filesystem::temp_directory_path() / "qtool_equal_test_plan.json";
  QuantPlan plan = uniform_plan(net.sites, {8, 8});
  plan.style.equal_around = {"Concat"};
  save_plan(plan, path);
  EXPECT_EQ(load_plan(path, net.sites, "").style, plan.style);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace qtool
