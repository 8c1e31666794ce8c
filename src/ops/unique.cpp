// Unique: the distinct elements, or slices along an axis, with their places and counts.
#include <algorithm>
#include <numeric>

#include "ops/movable.hpp"

namespace qtool {
namespace {

// Total order with NaN last and equal to itself.
template <typename T>
int compare(const T& a, const T& b) {
  if (a < b) return -1;
  if (b < a) return 1;
  return static_cast<int>(a != a) - static_cast<int>(b != b);
}

struct Groups {
  std::vector<int64_t> first, inverse, counts;
};

// Items are rows of `length` elements. Groups are sorted by value, or by first occurrence.
template <typename T>
Groups group(const T* data, int64_t items, int64_t length, bool sorted) {
  const auto order_of = [&](int64_t a, int64_t b) {
    for (int64_t i = 0; i < length; ++i) {
      if (const int c = compare(data[a * length + i], data[b * length + i])) return c;
    }
    return 0;
  };
  std::vector<int64_t> order(static_cast<size_t>(items));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return order_of(a, b) < 0; });
  std::vector<int64_t> first;                  // by value
  std::vector<size_t> group_of(order.size());  // of each item
  for (size_t i = 0; i < order.size(); ++i) {
    if (i == 0 || order_of(order[i - 1], order[i]) != 0) first.push_back(order[i]);
    group_of[static_cast<size_t>(order[i])] = first.size() - 1;
  }
  std::vector<size_t> listed(first.size());  // groups in the order of the output
  std::iota(listed.begin(), listed.end(), 0);
  if (!sorted) {
    std::sort(listed.begin(), listed.end(),
              [&](size_t a, size_t b) { return first[a] < first[b]; });
  }
  std::vector<int64_t> place(first.size());
  Groups out{{}, std::vector<int64_t>(order.size()), std::vector<int64_t>(first.size(), 0)};
  for (size_t i = 0; i < listed.size(); ++i) {
    place[listed[i]] = static_cast<int64_t>(i);
    out.first.push_back(first[listed[i]]);
  }
  for (size_t i = 0; i < order.size(); ++i) {
    out.inverse[i] = place[group_of[i]];
    ++out.counts[static_cast<size_t>(out.inverse[i])];
  }
  return out;
}

// x with `axis` moved to the front, so that an item is one row.
Tensor axis_first(const Tensor& x, int64_t axis) {
  Shape shape = x.shape(), strides = strides_of(shape);
  std::rotate(shape.begin(), shape.begin() + axis, shape.begin() + axis + 1);
  std::rotate(strides.begin(), strides.begin() + axis, strides.begin() + axis + 1);
  return strided(x, shape, strides);
}

Groups group_tensor(const Call& call, const Tensor& rows, int64_t items, bool sorted) {
  const int64_t length = items == 0 ? 0 : rows.size() / items;
  if (rows.dtype() == DType::kString) {
    return group(rows.string_data().data(), items, length, sorted);
  }
  if (rows.dtype() == DType::kBool) return group(rows.data<bool>().data(), items, length, sorted);
  return with_number(call, rows.dtype(), [&](auto zero) {
    return group(rows.data<decltype(zero)>().data(), items, length, sorted);
  });
}

std::vector<Tensor> eval_unique(const Call& call) {
  const bool flat = find_attribute(call.node, "axis") == nullptr;
  const Tensor x = flat ? call.in(0).reshaped({call.in(0).size()}) : call.in(0);
  const int64_t axis = flat ? 0 : normalize_axis(call.integer("axis", 0), x.rank(), call.node);
  const Movable m(call, {x});
  const Tensor rows = m.restore(axis_first(m[0], axis));
  const Groups groups = group_tensor(call, rows, x.dim(axis), call.integer("sorted", 1) != 0);
  const auto list = [](const std::vector<int64_t>& v) {
    return Tensor::of({static_cast<int64_t>(v.size())}, v);
  };
  return {m.restore(take(m[0], axis, groups.first)), list(groups.first), list(groups.inverse),
          list(groups.counts)};
}

}  // namespace

extern const OpDef kUnique{.type = "Unique",
                           .since = 11,
                           .eval = half_as_float<eval_unique>,
                           .quant = {.reason = "the output's size depends on the data"}};

}  // namespace qtool
