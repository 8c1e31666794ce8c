// Functions of one value, over floats in any layout.
#pragma once

#include <algorithm>
#include <cstring>

#include "exec/floats/kernels.hpp"
#include "exec/parallel_blocks.hpp"

namespace qtool::floats {

typedef float Lanes __attribute__((vector_size(64)));
typedef int32_t IntLanes __attribute__((vector_size(64)));

// function(v) of sixteen values at a time, in place; to be called from a function with clones, and `function` always
// inline, as what it is made of.
template <typename Function>
inline __attribute__((always_inline)) void map(const float* x, float* y, int64_t count,
                                               const Function& function) {
  constexpr int64_t kLanes = 16;
  for (int64_t i = 0; i < count; i += kLanes) {
    const auto bytes = static_cast<size_t>(std::min(kLanes, count - i)) * sizeof(float);
    Lanes v{};
    if (bytes == sizeof v) {
      std::memcpy(&v, x + i, sizeof v);
      function(v);
      std::memcpy(y + i, &v, sizeof v);
    } else {
      std::memcpy(&v, x + i, bytes);
      function(v);
      std::memcpy(y + i, &v, bytes);
    }
  }
}

template <void (*function)(Lanes&)>
inline __attribute__((always_inline)) void map(const float* x, float* y, int64_t count) {
  map(
      x, y, count, [](Lanes & v) __attribute__((always_inline)) { function(v); });
}

template <typename Map>
void run_parallel(const Map& map, const float* x, float* y, int64_t count) {
  parallel_blocks(count, 1 << 13, [&](int64_t begin, int64_t n) { map(x + begin, y + begin, n); });
}

// Channels padded to a block hold zeros, and shall: functions of another f(0) go plain there.
enum class AtZero { kZero, kOther };

// map(from, to, count) of all elements of an array of floats, where they lie; in its own memory if nobody else holds it.
template <typename Map>
Array mapped(Array x, AtZero at_zero, const Map& map) {
  const bool padded = x.layout && x.tensor.bytes() != byte_size(x.dtype, element_count(x.shape));
  if (padded && at_zero == AtZero::kOther) x = Array(x.plain());
  Array y;
  if (x.tensor.is_unique()) {
    y = std::move(x);
  } else {
    y = Array(x.dtype, x.shape, Tensor::uninitialized(x.tensor.dtype(), x.tensor.shape()),
              x.layout);
  }
  auto* to = static_cast<float*>(y.tensor.mutable_raw());
  const auto* from = x.defined() ? static_cast<const float*>(x.tensor.raw()) : to;
  run_parallel(map, from, to, y.tensor.bytes() / static_cast<int64_t>(sizeof(float)));
  return y;
}

class MapKernel : public Kernel {
 public:
  using Map = void (*)(const float*, float*, int64_t);
  MapKernel(Map map, std::string name, AtZero at_zero = AtZero::kZero)
      : map_(map), name_(std::move(name)), at_zero_(at_zero) {}

  void run(std::span<Array> inputs, std::span<Array> outputs) const override {
    outputs[0] = mapped(std::move(inputs[0]), at_zero_, map_);
  }
  std::string name() const override { return name_; }

 private:
  Map map_;
  std::string name_;
  AtZero at_zero_;
};

}  // namespace qtool::floats
