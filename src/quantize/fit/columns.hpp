// What a layer's weights multiply: its input as rows of columns, one row an output position.
#pragma once

#include <span>

#include "qtool/plan.hpp"

namespace qtool::qdq {

// Convolutions: the patch under the kernel, columns in (kernel position, input channel) order, as
// rows_of() lays out the weight. Dense layers: the last axis.
// For layers that are column products alone.
class ColumnReader {
 public:
  ColumnReader(const Node& node, const LayerSite& site, const Tensor& weight);
  int64_t groups() const { return groups_; }
  int64_t columns() const { return columns_; }
  int64_t channels_per_group() const { return outputs_; }
  // Output positions of all samples of an input of this shape.
  int64_t positions(const Shape& input) const;
  // Columns of `group` at `positions`, as rows of out [positions.size()][columns()].
  void read(const Tensor& input, std::span<const int64_t> positions, int64_t group,
            float* out) const;
  // The output's channels of `group` at `positions`, as rows of out [positions.size()][channels_per_group()].
  void read_output(const Tensor& output, std::span<const int64_t> positions, int64_t group,
                   float* out) const;

 private:
  // Where the kernel's elements lie, from the first on, in an input of one shape.
  struct Taps {
    Window window;
    int64_t plane = 0;
    std::vector<int64_t> reach = {};   // from the first to the last, by dimension
    std::vector<int64_t> at = {};      // [tap][dimension]
    std::vector<int64_t> offset = {};  // of a tap, in elements
  };
  Window window(const Shape& input) const;
  Taps taps(const Shape& input) const;
  void read_patch(const float* image, const Taps& taps, int64_t position, float* out) const;

  const Node* node_;
  bool dense_;
  int64_t groups_ = 1, columns_ = 0, channels_ = 0;  // channels: of one group's input
  int64_t outputs_ = 0;
  std::vector<int64_t> kernel_;
};

}  // namespace qtool::qdq
