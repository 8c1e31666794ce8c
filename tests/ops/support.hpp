// Runs one operator on tensors, without a graph around it.
#pragma once

#include <gtest/gtest.h>

#include "qtool/ops.hpp"

namespace qtool {

struct OpRun {
  std::string type;
  std::vector<Tensor> inputs;
  std::vector<Attribute> attributes = {};
  int64_t opset = 22;
  size_t outputs = 1;
  std::string domain = "";
};

inline std::vector<Tensor> run(const OpRun& r) {
  Node node;
  node.name = "n";
  node.type = r.type;
  node.domain = r.domain;
  for (size_t i = 0; i < r.inputs.size(); ++i) node.inputs.push_back(ValueId(i));
  for (size_t i = 0; i < r.outputs; ++i) node.outputs.push_back(ValueId(r.inputs.size() + i));
  node.attributes = r.attributes;
  return eval_node(node, r.opset, r.inputs);
}

inline Attribute attribute(std::string name, AttributeValue value) {
  return {std::move(name), std::move(value), ""};
}

inline Tensor floats(Shape shape, std::vector<float> values) {
  return Tensor::of(std::move(shape), values);
}
inline Tensor int64s(Shape shape, std::vector<int64_t> values) {
  return Tensor::of(std::move(shape), values);
}

// Same type and shape, and every element within `tolerance`; NaN equals NaN.
inline void expect_tensor(const Tensor& got, const Tensor& want, double tolerance = 1e-6) {
  ASSERT_EQ(got.dtype(), want.dtype());
  ASSERT_EQ(got.shape(), want.shape());
  for (int64_t i = 0; i < want.size(); ++i) {
    const double a = got.number(i), b = want.number(i);
    if (a != a && b != b) continue;
    if (a != b) {
      EXPECT_NEAR(a, b, tolerance) << "element " << i;
    }
  }
}

// The code of the error that a run throws, or "" when it does not.
inline std::string error_code(const OpRun& r) {
  try {
    run(r);
  } catch (const Error& error) {
    return error.code();
  }
  return "";
}

}  // namespace qtool
