// NonMaxSuppression: the best-scored boxes of each class that do not overlap a better one too much.
#include <algorithm>
#include <cmath>

#include "ops/movable.hpp"

namespace qtool {
namespace {

struct Box {
  float top, left, bottom, right;
  float area() const { return (bottom - top) * (right - left); }
};

Box read_box(const float* p, bool center) {
  if (center) {  // x_center, y_center, width, height
    return {p[1] - p[3] / 2, p[0] - p[2] / 2, p[1] + p[3] / 2, p[0] + p[2] / 2};
  }
  // Two corners, in either order: y1, x1, y2, x2.
  return {std::min(p[0], p[2]), std::min(p[1], p[3]), std::max(p[0], p[2]), std::max(p[1], p[3])};
}

bool overlaps(const Box& a, const Box& b, float threshold) {
  const float height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
  const float width = std::min(a.right, b.right) - std::max(a.left, b.left);
  if (!(height > 0) || !(width > 0)) return false;
  const float both = height * width;
  const float either = a.area() + b.area() - both;
  return a.area() > 0 && b.area() > 0 && both / either > threshold;
}

float real_input(const Call& call, size_t i, float fallback) {
  if (!call.has(i)) return fallback;
  const auto data = input_data<float>(call, i);
  require(data.size() == 1, call, "input ", i, " is not a scalar");
  return data[0];
}

std::vector<Tensor> eval_nms(const Call& call) {
  const Tensor &boxes = call.in(0), &scores = call.in(1);
  require(boxes.rank() == 3 && scores.rank() == 3 && boxes.dim(2) == 4 &&
              boxes.dim(0) == scores.dim(0) && boxes.dim(1) == scores.dim(2),
          call, "boxes ", shape_text(boxes.shape()), " and scores ", shape_text(scores.shape()));
  const int64_t limit = call.has(2) ? index_scalar(call, 2) : 0;
  const float overlap = real_input(call, 3, 0), least = real_input(call, 4, -INFINITY);
  require(overlap >= 0 && overlap <= 1, call, "iou_threshold ", overlap, " is outside [0, 1]");
  const bool center = call.integer("center_point_box", 0) != 0;
  const float *box_data = input_data<float>(call, 0).data(),
              *score_data = input_data<float>(call, 1).data();
  const int64_t count = boxes.dim(1);
  std::vector<int64_t> selected;
  for (int64_t batch = 0; batch < scores.dim(0); ++batch) {
    for (int64_t label = 0; label < scores.dim(1); ++label) {
      const float* score = score_data + (batch * scores.dim(1) + label) * count;
      std::vector<int64_t> order;
      for (int64_t i = 0; i < count; ++i) {
        if (score[i] > least || (!call.has(4) && !std::isnan(score[i]))) order.push_back(i);
      }
      std::stable_sort(order.begin(), order.end(),
                       [&](int64_t a, int64_t b) { return score[a] > score[b]; });
      std::vector<Box> kept;
      for (const int64_t i : order) {
        if (static_cast<int64_t>(kept.size()) >= limit) break;
        const Box box = read_box(box_data + (batch * count + i) * 4, center);
        const bool covered = std::any_of(kept.begin(), kept.end(),
                                         [&](const Box& k) { return overlaps(k, box, overlap); });
        if (covered) continue;
        kept.push_back(box);
        selected.insert(selected.end(), {batch, label, i});
      }
    }
  }
  return {Tensor::of({static_cast<int64_t>(selected.size()) / 3, 3}, selected)};
}

}  // namespace

extern const OpDef kNonMaxSuppression{
    .type = "NonMaxSuppression",
    .since = 10,
    .eval = eval_nms,
    .quant = {.reason = "the output is a list of indices, not values"}};

}  // namespace qtool
