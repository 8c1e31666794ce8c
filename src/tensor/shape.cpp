#include <algorithm>

#include "qtool/tensor.hpp"

namespace qtool {

int64_t element_count(const Shape& shape) {
  int64_t count = 1;
  bool empty = false, overflow = false;
  for (const int64_t dim : shape) {
    if (dim < 0)
      throw_model("QT-E330", cat("the shape ", shape_text(shape), " is not fully known"));
    if (dim == 0) empty = true;
    // An empty tensor may have huge other dimensions; its product is 0 all the same.
    if (dim > 0) overflow |= __builtin_mul_overflow(count, dim, &count);
  }
  if (empty) return 0;
  if (overflow)
    throw_model("QT-E340", cat("the shape ", shape_text(shape), " has too many elements"));
  return count;
}

std::string shape_text(const Shape& shape) {
  constexpr size_t kMaxShown = 16;
  std::string out = "[";
  for (size_t i = 0; i < std::min(shape.size(), kMaxShown); ++i) {
    out += i > 0 ? ", " : "";
    out += shape[i] == -1 ? "?" : std::to_string(shape[i]);
  }
  if (shape.size() > kMaxShown) out += cat(", … ", shape.size() - kMaxShown, " more");
  return out + "]";
}

bool is_static(const Shape& shape) {
  return std::all_of(shape.begin(), shape.end(), [](int64_t dim) { return dim >= 0; });
}

Shape strides_of(const Shape& shape) {
  Shape strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) {
    // Wraps only where another dimension is 0, so that no element uses it.
    strides[i - 1] =
        static_cast<int64_t>(static_cast<uint64_t>(strides[i]) * static_cast<uint64_t>(shape[i]));
  }
  return strides;
}

Shape broadcast(const Shape& a, const Shape& b) {
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape out = longer;
  const size_t offset = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    int64_t& dim = out[offset + i];
    if (dim == shorter[i] || shorter[i] == 1) continue;
    if (dim != 1) {
      throw_model("QT-E330", cat("the shapes ", shape_text(a), " and ", shape_text(b),
                                 " do not broadcast together"));
    }
    dim = shorter[i];
  }
  return out;
}

}  // namespace qtool
