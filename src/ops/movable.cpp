#include "ops/movable.hpp"

#include <algorithm>
#include <utility>

#include "ops/lanes.hpp"
#include "qtool/transpose.hpp"

namespace qtool {
namespace {

bool is_packed(DType type) { return dtype_bits(type) > 0 && dtype_bits(type) < 8; }

// Numbers of the strings in `table`, to which they are appended.
Tensor numbered(const Tensor& text, std::vector<std::string>& table) {
  Tensor numbers = Tensor::uninitialized(DType::kInt64, text.shape());
  const auto out = numbers.mutable_data<int64_t>();
  for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<int64_t>(table.size() + i);
  table.insert(table.end(), text.string_data().begin(), text.string_data().end());
  return numbers;
}

// The nest's runs, one after the other.
template <size_t kWidth>
void copy_runs(const LoopNest<2>& loops, char* to, const char* from) {
  for_each_run(loops, [&](const auto& at, int64_t count, const auto& step) {
    constexpr auto kStep = static_cast<int64_t>(kWidth);
    char* y = to + at[0] * kStep;
    const char* x = from + at[1] * kStep;
    const int64_t y_step = step[0] * kStep, x_step = step[1] * kStep;
    if (step[0] == 1 && step[1] == 1) {
      std::memcpy(y, x, static_cast<size_t>(count) * kWidth);
    } else {
      for (int64_t i = 0; i < count; ++i) std::memcpy(y + i * y_step, x + i * x_step, kWidth);
    }
  });
}

// The dimension along which neighbours are read while the innermost one writes neighbours; −1 when
// there is none, or when there is nothing to win.
int64_t transposed_dimension(const LoopNest<2>& loops) {
  constexpr int64_t kWorthwhile = 8;
  const size_t inner = loops.shape.size() - 1;
  const int64_t step = loops.strides[1][inner];
  if (loops.strides[0][inner] != 1 || step == 0 || step == 1) return -1;
  if (loops.shape[inner] < kWorthwhile) return -1;
  for (size_t d = 0; d < inner; ++d) {
    if (loops.strides[1][d] == 1 && loops.shape[d] >= kWorthwhile) return static_cast<int64_t>(d);
  }
  return -1;
}

// The nest with dimension `row` and the innermost one walked in square tiles, which stay in cache.
template <size_t kWidth>
void copy_transposed(LoopNest<2> loops, size_t row, char* to, const char* from) {
  constexpr int64_t kTile = 16;
  constexpr auto kStep = static_cast<int64_t>(kWidth);
  const size_t inner = loops.shape.size() - 1;
  const int64_t rows = std::exchange(loops.shape[row], 1);
  const int64_t columns = std::exchange(loops.shape[inner], 1);
  const int64_t y_row = loops.strides[0][row] * kStep, x_column = loops.strides[1][inner] * kStep;
  const auto copy_tile = [&](char* y, const char* x, int64_t r0, int64_t c0) {
    const int64_t r_end = std::min(rows, r0 + kTile), c_end = std::min(columns, c0 + kTile);
    if constexpr (kWidth == 4) {
      if (r_end - r0 == kTile && c_end - c0 == kTile) {
        for (int64_t r = r0; r < r_end; r += 4)
          for (int64_t c = c0; c < c_end; c += 4)
            transpose_square(y + r * y_row + c * kStep, x + r * kStep + c * x_column, y_row,
                             x_column);
        return;
      }
    }
    for (int64_t r = r0; r < r_end; ++r) {
      for (int64_t c = c0; c < c_end; ++c) {
        std::memcpy(y + r * y_row + c * kStep, x + r * kStep + c * x_column, kWidth);
      }
    }
  };
  for_each_run(loops, [&](const auto& at, int64_t, const auto&) {
    char* y = to + at[0] * kStep;
    const char* x = from + at[1] * kStep;
    for (int64_t r = 0; r < rows; r += kTile) {
      for (int64_t c = 0; c < columns; c += kTile) copy_tile(y, x, r, c);
    }
  });
}

}  // namespace

Movable::Movable(const Call& call, std::vector<Tensor> tensors) : tensors_(std::move(tensors)) {
  if (tensors_.empty()) return;
  type_ = tensors_[0].dtype();
  for (const Tensor& t : tensors_) {
    require(t.dtype() == type_, call, "inputs are ", dtype_name(type_), " and ",
            dtype_name(t.dtype()));
  }
  if (type_ == DType::kString) {
    table_.emplace_back();
    for (Tensor& t : tensors_) t = numbered(t, table_);
  } else if (is_packed(type_)) {
    for (Tensor& t : tensors_) t = unpack_bits(t);
  }
}

Tensor Movable::restore(Tensor moved) const {
  if (is_packed(type_)) return pack_bits(moved, type_);
  if (type_ != DType::kString) return moved;
  int64_t bytes = 0;
  for (int64_t n : moved.data<int64_t>()) {
    bytes += static_cast<int64_t>(sizeof(std::string) + table_[static_cast<size_t>(n)].size());
  }
  check_allocation(bytes);
  std::vector<std::string> text;
  text.reserve(static_cast<size_t>(moved.size()));
  for (int64_t n : moved.data<int64_t>()) text.push_back(table_[static_cast<size_t>(n)]);
  return Tensor::strings(moved.shape(), std::move(text));
}

void copy_elements(const LoopNest<2>& nest, void* to, const void* from, int64_t width) {
  const LoopNest<2> loops = simplified(nest);
  char* out = static_cast<char*>(to);
  const char* in = static_cast<const char*>(from);
  with_width(width, [&](auto constant) {
    constexpr size_t kWidth = constant;
    if (const int64_t d = transposed_dimension(loops); d >= 0) {
      copy_transposed<kWidth>(loops, static_cast<size_t>(d), out, in);
    } else {
      copy_runs<kWidth>(loops, out, in);
    }
  });
}

Tensor strided(const Tensor& x, const Shape& shape, const Shape& strides, int64_t first) {
  Tensor out = Tensor::uninitialized(x.dtype(), shape);
  if (out.size() == 0) return out;
  const int64_t width = width_of(x);
  copy_elements({shape, {strides_of(shape), strides}}, bytes_of(out), bytes_of(x) + first * width,
                width);
  return out;
}

Taking::Taking(std::vector<int64_t> positions, AxisView view, int64_t width)
    : positions_(std::move(positions)), view_(view), block_(view.inner * width) {
  if (block_ == sizeof(int32_t)) windows_ = windows(positions_, view.length);
}

std::vector<Taking::Window> Taking::windows(std::span<const int64_t> positions, int64_t length) {
  constexpr int64_t kWords = std::tuple_size_v<decltype(Window::choice)>;
  const auto count = static_cast<int64_t>(positions.size());
  std::vector<Window> all;
  if (count < kWords || length < kWords) return all;
  for (int64_t at = 0; at < count; at += kWords) {
    const int64_t to = std::min(at, count - kWords);  // the last may overlap the one before it
    const auto eight = positions.subspan(static_cast<size_t>(to), kWords);
    const auto [low, high] = std::ranges::minmax(eight);
    Window& w = all.emplace_back(Window{to, std::min(low, length - kWords), {}});
    if (high - w.from >= kWords) return {};
    for (size_t k = 0; k < eight.size(); ++k) w.choice[k] = static_cast<int32_t>(eight[k] - w.from);
  }
  return all;
}

QTOOL_CLONES void Taking::take_windows(const Taking& taking, const char* from, char* to) {
  typedef int32_t Words __attribute__((vector_size(32)));
  const auto count = static_cast<int64_t>(taking.positions_.size());
  const int64_t step = taking.view_.length * taking.block_;
  for (int64_t o = 0; o < taking.view_.outer; ++o, from += step, to += count * taking.block_) {
    for (const Window& w : taking.windows_) {
      Words v, choice;
      std::memcpy(&choice, &w.choice, sizeof choice);
      std::memcpy(&v, from + w.from * taking.block_, sizeof v);
      v = __builtin_shuffle(v, choice);
      std::memcpy(to + w.to * taking.block_, &v, sizeof v);
    }
  }
}

void Taking::run(const char* from, char* to) const {
  if (!windows_.empty()) return take_windows(*this, from, to);
  const auto copy = [&](auto bytes) {
    for (int64_t o = 0; o < view_.outer; ++o, from += view_.length * block_) {
      for (const int64_t p : positions_) {
        std::memcpy(to, from + p * block_, static_cast<size_t>(bytes));
        to += block_;
      }
    }
  };
  // One element at a time is by far quicker when its width is a constant.
  if (view_.inner == 1)
    with_width(block_, copy);
  else
    copy(block_);
}

Tensor take(const Tensor& x, int64_t axis, std::span<const int64_t> positions) {
  Shape shape = x.shape();
  shape[static_cast<size_t>(axis)] = static_cast<int64_t>(positions.size());
  Tensor out = Tensor::uninitialized(x.dtype(), shape);
  if (out.size() == 0) return out;
  const Taking taking({positions.begin(), positions.end()}, view_axis(x.shape(), axis),
                      width_of(x));
  taking.run(bytes_of(x), bytes_of(out));
  return out;
}

Tensor filled(const Tensor& value, const Shape& shape) {
  return strided(value, shape, Shape(shape.size(), 0));
}

std::vector<int64_t> index_data(const Call& call, size_t i) {
  const Tensor& t = call.in(i);
  if (t.dtype() == DType::kInt64) {
    const auto data = t.data<int64_t>();
    return {data.begin(), data.end()};
  }
  const auto data = input_data<int32_t>(call, i);
  return {data.begin(), data.end()};
}

int64_t index_scalar(const Call& call, size_t i) {
  const std::vector<int64_t> values = index_data(call, i);
  require(values.size() == 1, call, "input ", i, " has ", values.size(), " elements, expected 1");
  return values[0];
}

int64_t checked_index(int64_t index, int64_t size, const Call& call) {
  require(index >= -size && index < size, call, "index ", index, " is outside a dimension of ",
          size);
  return index < 0 ? index + size : index;
}

int64_t checked_add(int64_t a, int64_t b, const Call& call) {
  int64_t sum = 0;
  require(!__builtin_add_overflow(a, b, &sum), call, "a dimension of ", a, " + ", b, " overflows");
  return sum;
}

int64_t checked_multiply(int64_t a, int64_t b, const Call& call) {
  int64_t product = 0;
  require(!__builtin_mul_overflow(a, b, &product), call, "a dimension of ", a, " * ", b,
          " overflows");
  return product;
}

void check_allocation(int64_t bytes) { Tensor::uninitialized(DType::kUint8, {bytes}); }

DType checked_dtype(int64_t value, const Call& call) {
  require(value > 0 && value < 256 && is_known_dtype(static_cast<int>(value)), call,
          "element type ", value, " is not known");
  return static_cast<DType>(value);
}

void require_parts(const Call& call, const std::vector<int64_t>& parts, int64_t length) {
  int64_t sum = 0;
  for (const int64_t part : parts) {
    require(part >= 0, call, "a part of ", part);
    sum = checked_add(sum, part, call);
  }
  require(sum == length, call, "parts add up to ", sum, ", the dimension is ", length);
}

}  // namespace qtool
