#include <gtest/gtest.h>

#include "qtool/calibrate.hpp"
#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"

namespace qtool {
namespace {

TEST(Ranks, ThatNoInferenceFindsAreObserved) {
  Model m = prepare(model_from_text(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3, 4] x, int64[k] shape) => (y)
{ a = Reshape(x, shape)  y = Neg(a) })"));
  ASSERT_FALSE(m.graph.value(m.graph.find("a")).shape);
  class Source : public SampleSource {
   public:
    int64_t samples() const override { return 1; }
    int64_t chunk_count() const override { return 1; }
    Batch chunk(int64_t) const override {
      return {.feed = {{"x", Tensor(DType::kFloat, {1, 3, 4})},
                       {"shape", Tensor::of<int64_t>({2}, {3, 4})}},
              .samples = 1,
              .labels = {}};
    }
    bool has_labels() const override { return false; }
    std::string describe() const override { return "one"; }
  };
  const auto ranks = observed_ranks(m, Source());
  EXPECT_EQ(ranks.at("a"), 2);
  set_ranks(m, ranks);
  EXPECT_EQ(*m.graph.value(m.graph.find("a")).shape, (Shape{-1, -1}));
}

}  // namespace
}  // namespace qtool
