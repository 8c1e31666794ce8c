#include "quantize/fit/mirrored.hpp"

#include <gtest/gtest.h>

#include "qtool/onnx.hpp"

namespace qtool::qdq {
namespace {

std::unique_ptr<SampleSource> pictures(const Shape& shape) {
  return random_data(32, 1, {{"x", DType::kFloat, shape}}, 1);
}

float at(const Batch& batch, int64_t i) {
  return batch.feed.at("x").data<float>()[static_cast<size_t>(i)];
}

TEST(Mirrored, PutsMirrorImagesBehindTheChunksTheyAreOf) {
  const auto source = pictures({-1, 3, 4, 5});
  const int64_t all = source->chunk_count();
  ASSERT_GT(all, 2);
  const Mirrored mirrored(*source, all - 1);
  EXPECT_EQ(mirrored.chunk_count(), 2 * all - 1);
  const Batch plain = mirrored.chunk(1), turned = mirrored.chunk(all);
  EXPECT_EQ(at(plain, 0), at(source->chunk(1), 0));
  for (int64_t row = 0; row < 12; ++row)
    for (int64_t w = 0; w < 5; ++w) EXPECT_EQ(at(turned, row * 5 + w), at(plain, row * 5 + 4 - w));
  EXPECT_EQ(at(mirrored.chunk(2 * all - 2), 7), at(source->chunk(all - 1), 7));
}

TEST(Mirrored, KeepsColoursTogetherWhereTheyComeLast) {
  const auto source = pictures({-1, 6, 5, 3});
  const Mirrored mirrored(*source, source->chunk_count());
  const Batch plain = mirrored.chunk(0), turned = mirrored.chunk(source->chunk_count());
  for (int64_t w = 0; w < 5; ++w)
    for (int64_t c = 0; c < 3; ++c) EXPECT_EQ(at(turned, w * 3 + c), at(plain, (4 - w) * 3 + c));
}

bool alike(const char* text, const Shape& shape) {
  const auto source = pictures(shape);
  return sees_mirrored_alike(model_from_text(text), *source, 0, source->chunk_count(), 2);
}

TEST(Mirrored, AsksTheNetworkWhetherItMindsMirrorImages) {
  EXPECT_TRUE(alike(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3, 4, 5] x) => (float[n, 3, 1, 1] y) { [a] r = Relu(x) [p] y = GlobalAveragePool(r) })",
                    {-1, 3, 4, 5}));
  EXPECT_FALSE(alike(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 3, 4, 5] x) => (float[n, 3, 4, 5] y) { [a] y = Relu(x) })",
                     {-1, 3, 4, 5}));
  EXPECT_FALSE(alike(R"(<ir_version: 8, opset_import: ["": 17]>
g (float[n, 8] x) => (float[n, 8] y) { [a] y = Relu(x) })",
                     {-1, 8}));
}

}  // namespace
}  // namespace qtool::qdq
