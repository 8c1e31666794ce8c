#include <optional>

#include "support.hpp"

namespace qtool {
namespace {

using Body = std::function<std::vector<Tensor>(const Graph&, std::vector<Tensor>)>;

// A subgraph that only has a name, inputs and outputs; what it does is the test's function.
std::shared_ptr<const Graph> subgraph(std::string name, size_t inputs, size_t outputs) {
  auto g = std::make_shared<Graph>();
  g->name = std::move(name);
  for (size_t i = 0; i < inputs; ++i) g->inputs.push_back(add_value(*g, cat("in", i)));
  for (size_t i = 0; i < outputs; ++i) {
    g->outputs.push_back(
        add_value(*g, cat("out", i), DType::kFloat, std::optional<Shape>(Shape{-1})));
  }
  return g;
}

std::vector<Tensor> run_with(const OpRun& r, const Body& body) {
  Node node;
  node.type = r.type;
  node.attributes = r.attributes;
  node.outputs.assign(r.outputs, ValueId(0));
  return find_op(r.type, "", r.opset)->eval(Call{node, r.opset, r.inputs, &body});
}

Tensor flag(bool value) { return Tensor::scalar(value); }

TEST(Ops, IfRunsTheBranchOfItsCondition) {
  const std::vector<Attribute> branches{attribute("then_branch", subgraph("yes", 0, 1)),
                                        attribute("else_branch", subgraph("no", 0, 1))};
  const Body body = [](const Graph& g, std::vector<Tensor>) {
    return std::vector<Tensor>{floats({}, {g.name == "yes" ? 1.f : 2.f})};
  };
  expect_tensor(run_with({"If", {flag(true)}, branches}, body)[0], floats({}, {1}));
  expect_tensor(run_with({"If", {flag(false)}, branches}, body)[0], floats({}, {2}));
  EXPECT_EQ(error_code({"If", {flag(true)}, branches}), "QT-E320");
  EXPECT_EQ(error_code({"If", {floats({}, {1})}, branches}), "QT-E331");
}

TEST(Ops, LoopCarriesStateAndStacksOutputs) {
  // state += iteration; stops when the state reaches 3.
  const Body body = [](const Graph&, std::vector<Tensor> in) {
    const auto sum = static_cast<float>(in[2].number(0) + in[0].number(0));
    return std::vector<Tensor>{flag(sum < 3), floats({1}, {sum}), floats({1}, {sum * 10})};
  };
  const std::vector<Attribute> a{attribute("body", subgraph("b", 3, 3))};
  auto y = run_with({"Loop", {Tensor::scalar(int64_t{10}), flag(true), floats({1}, {0})}, a, 22, 2},
                    body);
  expect_tensor(y[0], floats({1}, {3}));
  expect_tensor(y[1], floats({3, 1}, {0, 10, 30}));
  y = run_with({"Loop", {Tensor::scalar(int64_t{0}), Tensor(), floats({1}, {7})}, a, 22, 2}, body);
  expect_tensor(y[0], floats({1}, {7}));
  EXPECT_EQ(y[1].shape(), (Shape{0, 0}));
  EXPECT_THROW(run_with({"Loop", {Tensor(), Tensor()}, a, 22, 2}, body), Error);
}

TEST(Ops, ScanWalksItsInputs) {
  const Body body = [](const Graph&, std::vector<Tensor> in) {
    const auto sum = static_cast<float>(in[0].number(0) + in[1].number(0));
    return std::vector<Tensor>{floats({}, {sum}), floats({}, {sum})};
  };
  std::vector<Attribute> a{attribute("body", subgraph("b", 2, 2)),
                           attribute("num_scan_inputs", int64_t{1})};
  const Tensor zero = floats({}, {0}), x = floats({3}, {1, 2, 4});
  auto y = run_with({"Scan", {zero, x}, a, 22, 2}, body);
  expect_tensor(y[0], floats({}, {7}));
  expect_tensor(y[1], floats({3}, {1, 3, 7}));
  a.push_back(attribute("scan_input_directions", std::vector<int64_t>{1}));
  a.push_back(attribute("scan_output_directions", std::vector<int64_t>{1}));
  expect_tensor(run_with({"Scan", {zero, x}, a, 22, 2}, body)[1], floats({3}, {7, 6, 4}));
  const std::vector<Attribute> old{a[0], a[1]};
  y = run_with({"Scan", {Tensor(), floats({2}, {0, 0}), floats({2, 2}, {1, 2, 3, 4})}, old, 8, 2},
               body);
  expect_tensor(y[0], floats({2}, {3, 7}));
  expect_tensor(y[1], floats({2, 2}, {1, 3, 3, 7}));
}

}  // namespace
}  // namespace qtool
