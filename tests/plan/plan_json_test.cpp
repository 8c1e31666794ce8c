#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "qtool/plan.hpp"

namespace qtool {
namespace {

struct Saved {
  Model model;
  Sites sites;
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / cat("qtool_plan_", getpid(), ".json");

  Saved() {
    model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[1, 2, 4, 4] x, float[3, 2, 1, 1] w) => (float[1, 3, 4, 4] y) { [conv] y = Conv(x, w) })");
    model.graph.initializers[model.graph.find("w")].data =
        Tensor::of<float>({3, 2, 1, 1}, {1, 2, 3, 4, 5, 6});
    model = prepare(model);
    sites = find_sites(model, find_target("ort-cpu"));
  }
  ~Saved() { std::filesystem::remove(path); }
};

TEST(PlanJson, KeepsAWidthForEveryFilter) {
  Saved s;
  QuantPlan plan = uniform_plan(s.sites, {8, 8});
  plan.layers[0].filter_bits = {2, 8, 5};
  save_plan(plan, s.path);
  const QuantPlan back = load_plan(s.path, s.sites, "");
  EXPECT_EQ(back.layers[0].filter_bits, (std::vector<int>{2, 8, 5}));
  EXPECT_EQ(back.layers[0].weight_bits, 8);
  EXPECT_DOUBLE_EQ(mean_bits(back.layers[0]), 5);
  EXPECT_DOUBLE_EQ(plan_cost(back, s.sites, s.model).mean_weight_bits, 5);
}

TEST(PlanJson, KeepsWhatSizesWereCountedIn) {
  Saved s;
  QuantPlan plan = uniform_plan(s.sites, {8, 8});
  plan.export_style = "packed";
  plan.most_bytes = 1234;
  save_plan(plan, s.path);
  const QuantPlan back = load_plan(s.path, s.sites, "");
  EXPECT_EQ(back.export_style, "packed");
  EXPECT_EQ(back.most_bytes, 1234);
}

TEST(PlanJson, RefusesAListThatDoesNotFitTheLayer) {
  Saved s;
  QuantPlan plan = uniform_plan(s.sites, {8, 8});
  plan.layers[0].filter_bits = {2, 8};
  save_plan(plan, s.path);
  EXPECT_THROW(load_plan(s.path, s.sites, ""), Error);
}

}  // namespace
}  // namespace qtool
