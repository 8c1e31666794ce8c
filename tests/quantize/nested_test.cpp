// One file, any width.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "qtool/budget.hpp"
#include "qtool/exec.hpp"
#include "qtool/narrow.hpp"
#include "qtool/passes.hpp"
#include "quantize/export/weight_nodes.hpp"
#include "support/calibrated_net.hpp"

namespace qtool {
namespace {

struct Fixture : test::CalibratedNet {
  Fixture()
      : CalibratedNet(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3, 6, 6] x, float[8, 3, 3, 3] w1, float[8] b1, float[8, 4, 3, 3] w2, float[5, 8] w3, float[5] b3) => (float[n, 5] y)
{ [conv1] c1 = Conv <pads = [1, 1, 1, 1]> (x, w1, b1)  [relu1] r1 = Relu(c1)  [conv2] c2 = Conv <pads = [1, 1, 1, 1], group = 2> (r1, w2)
  [pool] p = GlobalAveragePool(c2)  [flatten] f = Flatten(p)  [dense] y = Gemm <transB = 1> (f, w3, b3) })") {
  }

  QuantPlan plan(int bits, int activation_bits = 8) const {
    QuantPlan plan = uniform_plan(sites, {bits, activation_bits});
    set_format(plan, parse_format("nested:least=2"));
    for (LayerChoice& layer : plan.layers) layer.method = "cd";
    return plan;
  }
  Quantized quantize(const QuantPlan& plan, std::string_view style = "qdq") const {
    QuantizeOptions options;
    options.export_style = style;
    return quantize_model(model, sites, plan, table, source.get(), options);
  }
  Tensor run(const Model& m) const { return Executor(m).run(source->chunk(0).feed)[0]; }
};

// As a user sets it, in any runtime.
Model read_at(Model m, int bits) {
  m.graph.initializers[m.graph.find(qdq::kWeightBits)].data =
      Tensor::scalar<int64_t>(int64_t{bits});
  return m;
}

bool same(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() &&
         std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
}

Tensor weight_of(const Model& model, const std::string& layer) {
  const Model folded = prepare_for_execution(model, {.observe = {}, .fuse = false});
  const auto node = std::ranges::find(folded.graph.nodes, layer, &Node::name);
  return *folded.graph.constant(node->inputs[1]);
}

TEST(Nested, ANarrowedFileIsTheWideOneReadAtFewerBits) {
  const Fixture f;
  for (const auto& [most, activation_bits] : {std::pair{6, 8}, {6, kFloatBits}, {8, 8}, {8, 4}}) {
    for (const char* style : {"qdq", "packed", "qcdq", "codebook"}) {
      const Model wide = f.quantize(f.plan(most, activation_bits), style).model;
      std::vector<Tensor> outputs;
      for (int bits = 2; bits <= most; ++bits) {
        SCOPED_TRACE(cat(style, " ", activation_bits, " ", bits));
        const Model narrow = narrowed(wide, bits);
        outputs.push_back(f.run(narrow));
        EXPECT_TRUE(same(outputs.back(), f.run(read_at(wide, bits))));
        for (const auto& [id, constant] : narrow.graph.initializers)
          EXPECT_NE(narrow.graph.value(id).name, qdq::kWeightBits);
        if (bits == most) {
          EXPECT_TRUE(same(outputs.back(), f.run(wide)));
        }
        for (const Tensor& other : outputs)
          EXPECT_EQ(&other == &outputs.back(), same(other, outputs.back()));
      }
    }
  }
}

// The narrowest codes are fitted first, with nothing that wider ones want.
TEST(Nested, TheNarrowestNetworkIsTheOneFittedAlone) {
  const Fixture f;
  const Model alone = f.quantize(f.plan(2)).model, wide = narrowed(f.quantize(f.plan(5)).model, 2);
  for (const char* layer : {"conv1", "conv2", "dense"})
    EXPECT_TRUE(same(weight_of(alone, layer), weight_of(wide, layer))) << layer;
}

TEST(Nested, EveryBitBringsWeightsCloserToFloat) {
  const Fixture f;
  const Model wide = f.quantize(f.plan(8, kFloatBits)).model;
  for (const char* layer : {"conv1", "conv2", "dense"}) {
    const Tensor want = weight_of(f.model, layer);
    double last = 1e30;
    for (int bits = 2; bits <= 8; ++bits) {
      const Tensor have = weight_of(read_at(wide, bits), layer);
      double error = 0;
      for (int64_t i = 0; i < want.size(); ++i)
        error += std::pow(want.number(i) - have.number(i), 2);
      EXPECT_LT(error, last) << layer << " " << bits;
      last = error;
    }
  }
}

// Odd numbers of 7 and 8 bits may leave int16 in pairs.
TEST(Nested, MoreThanSixBitsComputeInFloat) {
  const Fixture f;
  for (int bits : {6, 7, 8}) {
    const Lowered lowered = lower_qdq(f.quantize(f.plan(bits)).model);
    for (const char* name : {"conv1", "conv2", "dense"}) {
      const auto layer = std::ranges::find(lowered.layers, name, &LayerStatus::name);
      EXPECT_EQ(layer->integer, bits == 6) << name << " " << layer->reason;
    }
  }
  EXPECT_THROW((void)f.quantize(f.plan(8), "qoperator"), Error);
  EXPECT_THROW((void)f.quantize(f.plan(8), "integer"), Error);
}

TEST(Nested, NarrowFilesArePackedAndWideOnesTakeWhatThePlanStates) {
  const Fixture f;
  const QuantPlan plan = f.plan(6);
  const Quantized wide = f.quantize(plan, "packed");
  const auto bytes = [](const Model& m) {
    int64_t sum = 0;
    for (const auto& [id, constant] : m.graph.initializers)
      if (constant.data.dtype() != DType::kInt64) sum += constant.data.bytes();
    return sum;
  };
  EXPECT_EQ(bytes(wide.model), plan_cost(plan, f.sites, f.model, Storage::kPacked).size_bytes);
  int64_t last = bytes(wide.model);
  for (int bits : {4, 2}) {
    const Model narrow = narrowed(wide.model, bits);
    EXPECT_EQ(narrow.opset(), bits == 4 ? 21 : 25);
    EXPECT_LT(bytes(narrow), last);
    last = bytes(narrow);
  }
}

TEST(Nested, RefusesWhatCannotBeReadAtSoFewBits) {
  const Fixture f;
  const auto code = [](const Model& model, int bits) -> std::string {
    try {
      (void)narrowed(model, bits);
    } catch (const Error& e) {
      return e.code();
    }
    return "";
  };
  QuantPlan uniform = uniform_plan(f.sites, {4, 8});
  EXPECT_EQ(code(f.quantize(uniform).model, 3), "QT-E149");
  EXPECT_EQ(code(f.quantize(f.plan(4)).model, 1), "QT-E149");
  EXPECT_EQ(code(f.quantize(f.plan(4)).model, 8), "");
}

}  // namespace
}  // namespace qtool
