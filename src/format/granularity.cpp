#include "format/granularity.hpp"

#include <cmath>

namespace qtool {
namespace {

// Rows shorter than this are gone through across channels, with one grid an element.
constexpr int64_t kShortRow = 32;

[[noreturn]] void fail(const std::string& message) {
  throw_model("QT-E351", "quantization parameters: " + message);
}

int64_t product(const Shape& shape, size_t begin, size_t end) {
  return element_count(Shape(shape.begin() + static_cast<std::ptrdiff_t>(begin),
                             shape.begin() + static_cast<std::ptrdiff_t>(end)));
}

}  // namespace

std::pair<int64_t, int64_t> container_range(DType storage) {
  const int bits = dtype_bits(storage);
  if (!is_integer(storage) || bits > 16) {
    fail(cat(dtype_name(storage), " cannot hold the codes of a uniform grid"));
  }
  const int64_t count = int64_t{1} << bits;
  return is_signed(storage) ? std::pair{-count / 2, count / 2 - 1}
                            : std::pair{int64_t{0}, count - 1};
}

Granularity::Granularity(const Shape& shape, const QParams& p) {
  check(p);
  if (p.axis < 0) {
    if (p.scale.size() != 1) fail(cat(p.scale.size(), " scales for one tensor"));
    row_length_ = group_length_ = element_count(shape);
    take(p, 1);
    return;
  }
  const auto axis = static_cast<size_t>(p.axis);
  if (axis >= shape.size()) fail(cat("axis ", p.axis, " of the shape ", shape_text(shape)));
  const Layout layout{product(shape, 0, axis), shape[axis], product(shape, axis + 1, shape.size())};
  const int64_t entries = p.block > 0
                              ? layout.outer * ((layout.dim + p.block - 1) / p.block) * layout.inner
                              : layout.dim;
  if (static_cast<int64_t>(p.scale.size()) != entries) {
    fail(cat(p.scale.size(), " scales where axis ", p.axis, " of the shape ", shape_text(shape),
             " needs ", entries));
  }
  if (element_count(shape) == 0) {
    rows_ = 0;
  } else if (p.block > 0) {
    blocked(layout, p);
  } else {
    per_axis(layout, p);
  }
}

void Granularity::check(const QParams& p) {
  const auto [lowest, highest] = container_range(p.storage);
  if (p.zero_point.size() != p.scale.size()) {
    fail(cat(p.scale.size(), " scales, but ", p.zero_point.size(), " zero points"));
  }
  for (const auto* const bounds : {&p.code_min, &p.code_max}) {
    if (bounds->size() != 1 && bounds->size() != p.scale.size()) {
      fail(cat(p.scale.size(), " scales, but ", bounds->size(), " code bounds"));
    }
  }
  for (size_t i = 0; i < p.scale.size(); ++i) {
    if (!std::isfinite(p.scale[i]) || p.scale[i] <= 0)
      fail(cat("scale ", p.scale[i], " is not positive"));
    if (p.zero_point[i] < lowest || p.zero_point[i] > highest) {
      fail(cat("zero point ", p.zero_point[i], " does not fit ", dtype_name(p.storage)));
    }
    if (p.min_at(i) < lowest || p.max_at(i) > highest || p.min_at(i) > p.max_at(i)) {
      fail(cat("codes ", p.min_at(i), " to ", p.max_at(i), " do not fit ", dtype_name(p.storage)));
    }
  }
}

void Granularity::take(const QParams& p, int64_t repeat) {
  const size_t count = p.scale.size() * static_cast<size_t>(repeat);
  for (auto* const values : {&scale_, &low_, &high_}) values->reserve(count);
  zero_point_.reserve(count);
  for (size_t i = 0; i < p.scale.size(); ++i) {
    const int32_t zero_point = p.zero_point[i];
    for (int64_t k = 0; k < repeat; ++k) {
      scale_.push_back(p.scale[i]);
      low_.push_back(static_cast<float>(p.min_at(i) - zero_point));
      high_.push_back(static_cast<float>(p.max_at(i) - zero_point));
      zero_point_.push_back(zero_point);
    }
  }
}

void Granularity::per_axis(const Layout& layout, const QParams& p) {
  group_length_ = layout.dim * layout.inner;
  one_each_ = layout.inner < kShortRow;
  if (one_each_) {
    rows_ = layout.outer;
    row_length_ = group_length_;
    take(p, layout.inner);
  } else {
    rows_in_group_ = layout.dim;
    rows_ = layout.outer * layout.dim;
    row_length_ = layout.inner;
    take(p, 1);
  }
}

void Granularity::blocked(const Layout& layout, const QParams& p) {
  const int64_t blocks = (layout.dim + p.block - 1) / p.block;
  group_length_ = layout.dim * layout.inner;
  params_in_group_ = blocks * layout.inner;
  one_each_ = layout.inner > 1;
  take(p, 1);
  if (one_each_) {
    rows_in_group_ = layout.dim;
    row_length_ = layout.inner;
    rows_in_step_ = p.block;
    step_ = layout.inner;
  } else {
    rows_in_group_ = blocks;  // the last block of a group may be shorter
    row_length_ = p.block;
  }
  rows_ = layout.outer * rows_in_group_;
}

}  // namespace qtool
