// Which parameters belong to which elements of a tensor.
#pragma once

#include <algorithm>
#include <vector>

#include "format/kernels.hpp"
#include "qtool/format.hpp"

namespace qtool {

// Lowest and highest code of a container; throws Error{kModel, QT-E351} for other types.
std::pair<int64_t, int64_t> container_range(DType storage);

// A tensor cut into rows of contiguous elements, each with its grid or with one grid an element.
class Granularity {
 public:
  // Throws Error{kModel, QT-E351} when the parameters do not fit the shape or each other, when a scale
  // is not a positive finite number, or when codes or zero points lie outside the container.
  Granularity(const Shape& shape, const QParams& p);

  static constexpr int64_t kMaxRun = 1024;

  // Calls fn(begin, count, grid) in order for runs of at most kMaxRun elements; `grid` is a Grid, or
  // Grids where neighbours differ.
  template <typename Fn>
  void for_each_run(const Fn& fn) const {
    for (int64_t row = 0; row < rows_; ++row) {
      const int64_t group = row / rows_in_group_, place = row % rows_in_group_;
      const int64_t begin = group * group_length_ + place * row_length_;
      const int64_t length = std::min(row_length_, group_length_ - place * row_length_);
      const int64_t first = group * params_in_group_ + place / rows_in_step_ * step_;
      for (int64_t at = 0; at < length; at += kMaxRun) {
        const int64_t count = std::min(kMaxRun, length - at);
        if (one_each_) {
          fn(begin + at, count, grids(first + at));
        } else {
          fn(begin + at, count, grid(first));
        }
      }
    }
  }

 private:
  struct Layout {
    int64_t outer, dim, inner;  // elements before, along and after the axis
  };
  void check(const QParams& p);
  void take(const QParams& p, int64_t repeat);
  void per_axis(const Layout& layout, const QParams& p);
  void blocked(const Layout& layout, const QParams& p);

  Grid grid(int64_t i) const {
    const auto at = static_cast<size_t>(i);
    return {scale_[at], low_[at], high_[at], zero_point_[at]};
  }
  Grids grids(int64_t i) const {
    return {scale_.data() + i, low_.data() + i, high_.data() + i, zero_point_.data() + i};
  }

  int64_t rows_ = 1, rows_in_group_ = 1, group_length_ = 0, row_length_ = 0;
  // The parameters of a row begin at group · params_in_group + (place / rows_in_step) · step.
  int64_t params_in_group_ = 0, rows_in_step_ = 1, step_ = 1;
  bool one_each_ = false;
  std::vector<float> scale_, low_, high_;
  std::vector<int32_t> zero_point_;
};

}  // namespace qtool
