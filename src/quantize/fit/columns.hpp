// What a layer's weights multiply: its input as rows of columns, one row an output position.
#pragma once

#include <span>

#include "qtool/exec.hpp"
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
  // Where the patches of some positions lie in an input of one shape, for any group of any such input.
  class Patches;
  Patches patches(const Shape& input, std::span<const int64_t> positions) const;
  // Columns of `group`, as rows of out [positions][columns()].
  void read(const ChannelBlocks& input, const Patches& patches, int64_t group, float* out) const;
  // The output's channels of `group` at `positions`, as rows of out [positions.size()][channels_per_group()].
  void read_output(const ChannelBlocks& output, std::span<const int64_t> positions, int64_t group,
                   float* out) const;

 private:
  Window window(const Shape& input) const;

  const Node* node_;
  bool dense_;
  int64_t groups_ = 1, columns_ = 0, channels_ = 0;  // channels: of one group's input
  int64_t outputs_ = 0;
  std::vector<int64_t> kernel_;
};

class ColumnReader::Patches {
 public:
  int64_t count() const { return std::ssize(at_); }

 private:
  friend class ColumnReader;
  struct Patch {
    int64_t sample, base;  // `base`: of its first element in a channel's plane
    bool inside;           // no padding under it
  };
  int64_t plane_ = 0;             // elements of a channel; dense layers: 0
  std::vector<Patch> at_;         // dense layers: `sample` is the row
  std::vector<int64_t> offsets_;  // of a tap in a plane, from the patch's base on
  std::vector<bool> padding_;     // [position][tap], where any patch has some; empty: none has
};

}  // namespace qtool::qdq
