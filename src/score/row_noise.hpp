// What changes of a layer's weights make along directions of the network's outputs, row by row.
//
// Along a direction v the change δw of a weight row makes Σ over positions of g · δy, with g = ∂(v · outputs)/∂y
// and δy the layer's raw output with δw for its weight: δw · ∂(v · outputs)/∂w. One gradient of the weight a
// sample and direction prices every change.
#pragma once

#include "qtool/gradient.hpp"
#include "qtool/plan.hpp"
#include "score/channel_sums.hpp"

namespace qtool::fisher {

// A layer and what its weight would change by.
struct LayerChanges {
  const LayerSite* site = nullptr;
  std::vector<WeightChange> changes = {};
};

// Sums over samples and directions, by output channel, which several groups' channels may share a row of
// the weight: with a = δw · ∂(v · outputs)/∂w and b = Σ over positions of g.
struct RowSums {
  std::vector<double> bb;
  std::vector<std::vector<double>> aa, ab;  // by change
  // Σ over positions of what one channel's weights multiply, in each group.
  std::vector<double> inputs;
  double positions = 0;  // of one channel, in `inputs`

  explicit RowSums(size_t changes = 0) : aa(changes), ab(changes) {}
  // Another chunk, whose sums but `inputs` are relative to its outputs and count `weight` times.
  void add(const RowSums& chunk, double weight);
};

class RowNoise {
 public:
  // Throws Unsupported (QT-E320) when the layer's weight has no gradient.
  RowNoise(const Model& model, const LayerSite& site);
  const std::string& input() const { return input_; }
  const std::string& output() const { return output_; }

  // Of a chunk of `samples`: `x` is the layer's input, `gradients` those of its raw output, one a direction
  // (undefined: none, but not all of them).
  RowSums sums(const LayerChanges& layer, const Tensor& x, const std::vector<Tensor>& gradients,
               int64_t samples) const;
  // [row][change]: mean square of a − mean δy · b, which the bias takes over where there is one.
  std::vector<std::vector<double>> by_row(const LayerChanges& layer, const RowSums& sums,
                                          double count) const;

 private:
  // Samples that `x` and `y` can be cut into along their first axis.
  int64_t cuts(const Tensor& x, const Tensor& y, int64_t samples) const;
  std::vector<double> mean_shift(const WeightChange& change, const RowSums& sums) const;

  const LayerSite& site_;
  std::string input_, output_;
  int64_t rank_ = 0;  // of the weight
  WeightView view_;
  int64_t groups_ = 1;             // of channels that read the same inputs, in `narrow_`
  WeightGradient whole_, narrow_;  // of the weight, and of one channel in each group
};

}  // namespace qtool::fisher
