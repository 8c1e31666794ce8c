#include "ops/loops.hpp"

#include "ops/support.hpp"

namespace qtool {

TEST(Loops, NeighboursThatEveryArrayWalksAlikeAreMerged) {
  const Shape shape{2, 3, 4};
  const auto dense = simplified(LoopNest<2>{shape, {strides_of(shape), strides_of(shape)}});
  EXPECT_EQ(dense.shape, (Shape{24}));
  const auto row =
      simplified(LoopNest<2>{shape, {strides_of(shape), broadcast_strides({4}, shape)}});
  EXPECT_EQ(row.shape, (Shape{6, 4}));
  EXPECT_EQ(row.strides[1], (Shape{0, 1}));
  EXPECT_EQ(simplified(LoopNest<1>{{}, {Shape{}}}).shape, (Shape{1}));
}

TEST(Loops, EveryElementIsVisitedOnceInOrder) {
  const Shape shape{2, 3, 2};
  const LoopNest<2> nest{shape, {strides_of(shape), broadcast_strides({3, 1}, shape)}};
  std::vector<int64_t> first, second;
  for_each_run(simplified(nest), [&](const auto& at, int64_t count, const auto& step) {
    for (int64_t i = 0; i < count; ++i) {
      first.push_back(at[0] + i * step[0]);
      second.push_back(at[1] + i * step[1]);
    }
  });
  EXPECT_EQ(first, (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}));
  EXPECT_EQ(second, (std::vector<int64_t>{0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2}));
}

TEST(Loops, EmptyShapesHaveNoRuns) {
  const Shape shape{2, 0, 3};
  for_each_run(simplified(LoopNest<1>{shape, {strides_of(shape)}}),
               [&](const auto&, int64_t count, const auto&) { EXPECT_EQ(count, 0); });
}

TEST(Loops, AxesAreSortedAndUnique) {
  Node node;
  node.type = "ReduceSum";
  EXPECT_EQ(normalize_axes({-1, 0}, 3, node), (std::vector<int64_t>{0, 2}));
  EXPECT_THROW(normalize_axes({1, -2}, 3, node), Error);
  const AxisView view = view_axis({2, 3, 4, 5}, 1);
  EXPECT_EQ(view.outer, 2);
  EXPECT_EQ(view.length, 3);
  EXPECT_EQ(view.inner, 20);
}

}  // namespace qtool
