#include "quantize/fit/columns.hpp"

#include <gtest/gtest.h>

#include "qtool/onnx.hpp"
#include "qtool/passes.hpp"
#include "quantize/internal.hpp"
#include "support/random.hpp"

namespace qtool {
namespace {

using test::normal;

// Every output element must be its weight row times its position's columns.
void expect_product(const std::string& call, const Shape& x_shape, const Shape& w_shape,
                    int64_t channel_axis) {
  const Model model = model_from_text(cat(
      "<ir_version: 8, opset_import: [\"\": 17]>\ng (float x, float w) => (float y) { y = ", call,
      " }"));
  const Node& node = model.graph.nodes[0];
  const Tensor x = normal(x_shape, 1), w = normal(w_shape, 2);
  const Tensor want = eval_node(node, 17, std::vector<Tensor>{x, w})[0];
  LayerSite site;
  site.dense = w.rank() == 2;
  site.channel_axis = channel_axis;
  site.channels = w.dim(channel_axis);
  const qdq::ColumnReader reader(node, site, w);
  const std::vector<float> rows = qdq::rows_of(w, channel_axis);
  const int64_t positions = reader.positions(x.shape()), k = reader.columns(),
                channels = site.channels, each = channels / reader.groups(),
                per_sample = site.dense ? positions : positions / x.dim(0);
  ASSERT_EQ(positions * channels, want.size()) << call;
  std::vector<float> columns(static_cast<size_t>(k));
  for (int64_t p = 0; p < positions; ++p) {
    for (int64_t c = 0; c < channels; ++c) {
      reader.read(row_major(x), reader.patches(x.shape(), std::vector<int64_t>{p}), c / each,
                  columns.data());
      double sum = 0;
      for (int64_t i = 0; i < k; ++i)
        sum += columns[static_cast<size_t>(i)] * rows[static_cast<size_t>(c * k + i)];
      const int64_t at = site.dense ? p * channels + c
                                    : (p / per_sample * channels + c) * per_sample + p % per_sample;
      ASSERT_NEAR(sum, want.number(at), 1e-4) << call << " position " << p << " channel " << c;
    }
  }
}

TEST(Columns, AreWhatALayersRowsMultiply) {
  expect_product("Conv<pads = [1, 0, 2, 1], strides = [2, 1]>(x, w)", {2, 3, 7, 5}, {4, 3, 3, 2},
                 0);
  expect_product("Conv<group = 2, dilations = [2, 1]>(x, w)", {2, 4, 6, 5}, {6, 2, 2, 3}, 0);
  expect_product("Conv<group = 3, auto_pad = \"SAME_UPPER\">(x, w)", {1, 3, 4, 4}, {3, 1, 3, 3}, 0);
  expect_product("Conv<pads = [2, 1]>(x, w)", {2, 3, 9}, {5, 3, 4}, 0);
  expect_product("Conv<pads = [1, 0, 1, 0, 1, 1]>(x, w)", {1, 2, 3, 4, 3}, {3, 2, 2, 3, 2}, 0);
  expect_product("Gemm<transB = 1>(x, w)", {4, 6}, {3, 6}, 0);
  expect_product("Gemm(x, w)", {4, 6}, {6, 3}, 1);
  expect_product("MatMul(x, w)", {2, 5, 6}, {6, 3}, 1);
}

// The same elements with channels in blocks.
ChannelBlocks blocked(const Tensor& x, int64_t block) {
  const int64_t channels = x.dim(1), plane = x.size() / x.dim(0) / channels;
  Tensor y(DType::kFloat, {x.size()});
  auto to = y.mutable_data<float>();
  for (int64_t i = 0; i < x.size(); ++i) {
    const int64_t n = i / (channels * plane), c = i / plane % channels, p = i % plane;
    to[static_cast<size_t>(((n * channels / block + c / block) * plane + p) * block + c % block)] =
        x.data<float>()[static_cast<size_t>(i)];
  }
  return {y.data<float>().data(), x.shape(), block, y};
}

TEST(Columns, AreReadFromChannelsInBlocks) {
  for (const int64_t group : {1, 2, 12}) {
    const Model model =
        model_from_text(cat("<ir_version: 8, opset_import: [\"\": 17]>\ng (float x, float w) => "
                            "(float y) { y = Conv<group = ",
                            group, ", pads = [1, 0, 0, 1]>(x, w) }"));
    const Tensor x = normal({3, 12, 7, 5}, 1), w = normal({12, 12 / group, 3, 2}, 2);
    LayerSite site;
    site.channels = 12;
    const qdq::ColumnReader reader(model.graph.nodes[0], site, w);
    std::vector<int64_t> positions;
    for (int64_t p = 0; p < reader.positions(x.shape()); p += 2) positions.push_back(p);
    const auto patches = reader.patches(x.shape(), positions);
    const Tensor y = normal({3, 12, 6, 5}, 3);
    const auto columns = [&](const ChannelBlocks& input, int64_t g) {
      std::vector<float> out(positions.size() * static_cast<size_t>(reader.columns()));
      reader.read(input, patches, g, out.data());
      return out;
    };
    const auto outputs = [&](const ChannelBlocks& output, int64_t g) {
      std::vector<float> out(positions.size() * static_cast<size_t>(reader.channels_per_group()));
      reader.read_output(output, positions, g, out.data());
      return out;
    };
    for (const int64_t block : {4, 12}) {
      for (int64_t g = 0; g < group; ++g) {
        EXPECT_EQ(columns(blocked(x, block), g), columns(row_major(x), g)) << group << " " << block;
        EXPECT_EQ(outputs(blocked(y, block), g), outputs(row_major(y), g)) << group << " " << block;
      }
    }
  }
}

}  // namespace
}  // namespace qtool
