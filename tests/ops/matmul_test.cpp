#include "ops/support.hpp"

namespace qtool {

TEST(MatMul, VectorsAndBatchesLikeNumPy) {
  const Tensor a = floats({2, 2}, {1, 2, 3, 4}), v = floats({2}, {1, 10});
  expect_tensor(run({"MatMul", {a, v}})[0], floats({2}, {21, 43}));
  expect_tensor(run({"MatMul", {v, a}})[0], floats({2}, {31, 42}));
  expect_tensor(run({"MatMul", {v, v}})[0], Tensor::scalar(101.f));
  expect_tensor(run({"MatMul", {a.reshaped({2, 1, 2}), a}})[0], floats({2, 1, 2}, {7, 10, 15, 22}));
  expect_tensor(run({"MatMul", {floats({2, 0}, {}), floats({0, 1}, {})}})[0],
                floats({2, 1}, {0, 0}));
  EXPECT_EQ(error_code({"MatMul", {a, floats({3, 1}, {1, 2, 3})}}), "QT-E331");
  EXPECT_EQ(error_code({"MatMul", {a, Tensor::scalar(1.f)}}), "QT-E331");
}

TEST(Gemm, TransposesScalesAndAdds) {
  const Tensor a = floats({2, 1}, {1, 2}), b = floats({3, 1}, {1, 2, 3}),
               c = floats({2, 1}, {10, 20});
  const auto trans_b = attribute("transB", int64_t{1});
  expect_tensor(
      run({"Gemm", {a, b, c}, {trans_b, attribute("alpha", 2.f), attribute("beta", 0.5f)}})[0],
      floats({2, 3}, {7, 9, 11, 14, 18, 22}));
  expect_tensor(run({"Gemm", {a, b.reshaped({1, 3})}})[0], floats({2, 3}, {1, 2, 3, 2, 4, 6}));
  EXPECT_EQ(error_code({"Gemm", {a, b, floats({3, 1}, {1, 2, 3})}, {trans_b}}).substr(0, 4),
            "QT-E");
  EXPECT_EQ(error_code({"Gemm", {a, a.reshaped({2})}}), "QT-E331");
}

TEST(Gemm, RuleSaysWhatBlocksIt) {
  const OpDef* gemm = find_op("Gemm", "", 13);
  Node node;
  EXPECT_EQ(gemm->quant.blocked(node), "");
  EXPECT_EQ(gemm->quant.weight_axis(node), 1);
  set_attribute(node, "transB", int64_t{1});
  EXPECT_EQ(gemm->quant.weight_axis(node), 0);
  set_attribute(node, "alpha", 0.5f);
  EXPECT_NE(gemm->quant.blocked(node), "");
}

TEST(MatMul, IntegerFormsSubtractZeroPoints) {
  const Tensor a = Tensor::of<uint8_t>({2, 2}, {11, 7, 3, 10}),
               b = Tensor::of<uint8_t>({2, 1}, {1, 4});
  const Tensor row_zero = Tensor::of<uint8_t>({2}, {1, 2});
  expect_tensor(run({"MatMulInteger", {a, b, Tensor::scalar<uint8_t>(12)}})[0],
                Tensor::of<int32_t>({2, 1}, {-21, -17}));
  expect_tensor(run({"MatMulInteger", {a, b, row_zero}})[0], Tensor::of<int32_t>({2, 1}, {34, 33}));
  const Tensor one = Tensor::scalar(1.f), zero = Tensor::scalar<uint8_t>(0);
  expect_tensor(
      run({"QLinearMatMul",
           {a, one, zero, b, one, zero, Tensor::scalar(2.f), Tensor::scalar<uint8_t>(1)}})[0],
      Tensor::of<uint8_t>({2, 1}, {21, 23}));
}

TEST(Einsum, ContractsTransposesAndSums) {
  const auto equation = [](const char* text) { return attribute("equation", std::string(text)); };
  const Tensor a = floats({2, 2}, {1, 2, 3, 4});
  expect_tensor(run({"Einsum", {a, a}, {equation("ij, jk -> ik")}})[0],
                floats({2, 2}, {7, 10, 15, 22}));
  expect_tensor(run({"Einsum", {a}, {equation("ji")}})[0], floats({2, 2}, {1, 3, 2, 4}));
  expect_tensor(run({"Einsum", {a}, {equation("ii->")}})[0], Tensor::scalar(5.f));
  expect_tensor(run({"Einsum", {a}, {equation("...i->...")}})[0], floats({2}, {3, 7}));
  expect_tensor(run({"Einsum", {a, a, a}, {equation("ij,ij,ij->i")}})[0], floats({2}, {9, 91}));
  EXPECT_EQ(error_code({"Einsum", {a}, {equation("ijk->i")}}), "QT-E331");
  EXPECT_EQ(error_code({"Einsum", {a}, {equation("ij->iz")}}), "QT-E331");
  EXPECT_EQ(error_code({"Einsum", {a}, {equation("i1->i")}}), "QT-E331");
}

TEST(Det, EliminatesWithRowExchange) {
  expect_tensor(run({"Det", {floats({2, 2, 2}, {0, 1, 1, 0, 1, 2, 3, 4})}})[0],
                floats({2}, {-1, -2}));
  expect_tensor(run({"Det", {floats({2, 2}, {1, 2, 2, 4})}})[0], Tensor::scalar(0.f));
}

}  // namespace qtool
