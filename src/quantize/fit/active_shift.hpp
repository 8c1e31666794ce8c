// What a layer's output lacks where the activation behind it passes changes on.
#pragma once

#include <utility>

#include "qtool/exec.hpp"

namespace qtool::qdq {

// The step of Gauss and Newton towards the shift of each channel that leaves the least square error behind the
// activation: the mean of clamp(want) − have over the positions where `have` lies inside `range`, outside of which the
// activation is constant; exact where its slope is 1 inside (Relu, Clip), near it for HardSwish. The plain mean of want − have in channels that are never inside.
class ActiveShift {
 public:
  explicit ActiveShift(std::pair<double, double> range)
      : low_(static_cast<float>(range.first)), high_(static_cast<float>(range.second)) {}
  // Outputs of the same shape, channels on axis 1 or, `rows`, on the last one; sums have one order, whatever the blocks.
  void add(const ChannelBlocks& want, const ChannelBlocks& have, bool rows);
  void merge(const ActiveShift& other);
  std::vector<float> shift() const;

  struct Sums {
    double all = 0, active = 0;
    int64_t inside = 0;
  };

 private:
  float low_, high_;
  std::vector<Sums> channels_;
  int64_t per_channel_ = 0;
};

}  // namespace qtool::qdq
