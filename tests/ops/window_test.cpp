#include "ops/support.hpp"

namespace qtool {
namespace {

Node pool(std::vector<Attribute> attributes) {
  Node node;
  node.type = "MaxPool";
  node.attributes = std::move(attributes);
  return node;
}

}  // namespace

TEST(Window, DefaultsAreStrideOneWithoutPadding) {
  const Window w = resolve_window(pool({}), {1, 1, 5, 4}, {3, 2});
  EXPECT_EQ(w.output, (std::vector<int64_t>{3, 3}));
  EXPECT_EQ(w.pads_begin, (std::vector<int64_t>{0, 0}));
}

TEST(Window, SameSplitsPaddingByItsSide) {
  const auto upper = attribute("auto_pad", std::string("SAME_UPPER"));
  const auto lower = attribute("auto_pad", std::string("SAME_LOWER"));
  const Window u = resolve_window(pool({upper}), {1, 1, 5}, {4}),
               l = resolve_window(pool({lower}), {1, 1, 5}, {4});
  EXPECT_EQ(u.output[0], 5);
  EXPECT_EQ(u.pads_begin[0], 1);
  EXPECT_EQ(u.pads_end[0], 2);
  EXPECT_EQ(l.pads_begin[0], 2);
  EXPECT_EQ(l.pads_end[0], 1);
}

TEST(Window, CeilModeDropsAWindowThatBeginsInTheEndPadding) {
  const auto ceil = attribute("ceil_mode", int64_t{1}),
             stride = attribute("strides", std::vector<int64_t>{3});
  EXPECT_EQ(
      resolve_window(pool({ceil, attribute("strides", std::vector<int64_t>{2})}), {1, 1, 4}, {3})
          .output[0],
      2);
  EXPECT_EQ(resolve_window(pool({ceil, stride, attribute("pads", std::vector<int64_t>{0, 1})}),
                           {1, 1, 3}, {1})
                .output[0],
            1);
}

TEST(Window, BadGeometryIsRefused) {
  const auto one = [](const char* name, int64_t value) {
    return pool({attribute(name, std::vector<int64_t>{value})});
  };
  EXPECT_THROW(resolve_window(one("strides", 0), {1, 1, 4}, {2}), Error);
  EXPECT_THROW(resolve_window(one("dilations", -1), {1, 1, 4}, {2}), Error);
  EXPECT_THROW(resolve_window(one("strides", int64_t{1} << 62), {1, 1, 4}, {2}), Error);
  EXPECT_THROW(
      resolve_window(pool({attribute("pads", std::vector<int64_t>{-1, 0})}), {1, 1, 4}, {2}),
      Error);
  EXPECT_THROW(resolve_window(pool({}), {1, 1, 4}, {0}), Error);
  EXPECT_THROW(resolve_window(pool({}), {1, 1, 4}, {5}), Error);
  EXPECT_THROW(resolve_window(pool({}), {1, 1, 4}, {2, 2}), Error);
  EXPECT_THROW(resolve_window(pool({}), {4, 4}, {}), Error);
}

}  // namespace qtool
