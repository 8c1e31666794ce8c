#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "qtool/exec.hpp"
#include "qtool/onnx.hpp"
#include "qtool/ops.hpp"
#include "qtool/passes.hpp"
#include "support/random.hpp"

namespace qtool {
namespace {

struct Case {
  const char* equation;
  Shape a, b;
  bool lowered = true;
};

Model model_of(const Case& c, bool constant_b) {
  Model model =
      model_from_text(cat(R"(<ir_version: 8, opset_import: ["": 17]>
g (float)",
                          shape_text(c.a), " a, float", shape_text(c.b), R"( b) => (float y)
{ y = Einsum <equation = ")",
                          c.equation, R"("> (a, b) })"));
  if (constant_b) {
    const ValueId b = model.graph.find("b");
    std::erase(model.graph.inputs, b);
    model.graph.initializers[b].data = test::normal(c.b, 2);
  }
  return model;
}

TEST(LowerEinsum, GivesTheSameNumbers) {
  const Case cases[] = {
      {"bhid,bhjd->bhij", {2, 3, 4, 5}, {2, 3, 6, 5}},
      {"bhij,bhjd->bihd", {2, 3, 4, 6}, {2, 3, 6, 5}},
      {"bld,dhk->blhk", {2, 3, 8}, {8, 2, 4}},
      {"blhk,hkd->bld", {2, 3, 2, 4}, {2, 4, 8}},
      {"ij,jk->ik", {3, 4}, {4, 5}},
      {"ij,kj->ki", {3, 4}, {5, 4}},
      {"i,j->ij", {3}, {4}},
      {"ij,j->i", {3, 4}, {4}},
      {"bi,bi->b", {3, 4}, {3, 4}},
      {"nchw,oc->nohw", {2, 3, 4, 5}, {6, 3}},
      {"ii,ij->j", {3, 3}, {3, 4}, false},
      {"ij,jk->k", {3, 4}, {4, 5}, false},
      {"ij,jk->ik", {3, 1}, {4, 5}, false},
  };
  for (const Case& c : cases) {
    for (const bool constant_b : {false, true}) {
      SCOPED_TRACE(cat(c.equation, constant_b ? ", a weight" : ""));
      const Model model = model_of(c, constant_b), prepared = prepare(model);
      bool left = false;
      for (const Node& node : prepared.graph.nodes) left |= is(node, "Einsum");
      EXPECT_EQ(left, !c.lowered);
      Feed feed{{"a", test::normal(c.a, 1)}};
      if (!constant_b) feed["b"] = test::normal(c.b, 2);
      const ExecOptions reference{.backend = Backend::kReference, .observe = {}};
      const Tensor have = Executor(prepared, reference).run(feed)[0];
      // Nothing is lowered where nothing is prepared: the operator's own evaluation.
      std::vector<Tensor> inputs{test::normal(c.a, 1), test::normal(c.b, 2)};
      const Tensor want = eval_node(model.graph.nodes[0], 17, inputs)[0];
      ASSERT_EQ(have.shape(), want.shape());
      for (int64_t i = 0; i < want.size(); ++i)
        ASSERT_NEAR(have.number(i), want.number(i), 1e-5 * (1 + std::abs(want.number(i))));
    }
  }
}

TEST(LowerEinsum, KeepsBatchesOpen) {
  const Model model = model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, l, 8] a, float[8, 2, 4] b) => (float[n, l, 2, 4] y)
{ y = Einsum <equation = "bld,dhk->blhk"> (a, b) })");
  const Executor executor(model);
  for (const int64_t n : {1, 3}) {
    const Feed feed{{"a", test::normal({n, 2 * n, 8}, 1)}, {"b", test::normal({8, 2, 4}, 2)}};
    EXPECT_EQ(executor.run(feed)[0].shape(), (Shape{n, 2 * n, 2, 4}));
  }
  const auto steps = executor.steps();
  EXPECT_TRUE(std::none_of(steps.begin(), steps.end(),
                           [](const StepInfo& s) { return s.type == "Einsum"; }));
}

}  // namespace
}  // namespace qtool
