// One layer a benchmark, run by the executor on one thread; the counter is operations a second.
#include <benchmark/benchmark.h>

#include <qtool/exec.hpp>
#include <qtool/onnx.hpp>

namespace {

using namespace qtool;

Tensor random_tensor(DType type, Shape shape, uint64_t seed) {
  Rng rng(seed);
  Tensor t(type, std::move(shape));
  for (int64_t i = 0; i < t.size(); ++i) {
    if (type == DType::kFloat)
      t.set_number(i, rng.normal());
    else
      t.set_number(i, static_cast<double>(rng.below(64)) - (type == DType::kInt8 ? 32 : 0));
  }
  return t;
}

// Inputs whose name begins with x are fed, all others are weights.
void run_layer(benchmark::State& state, const std::string& text, double macs) {
  Model model =
      model_from_text("<ir_version: 8, opset_import: [\"\": 17, \"qtool\": 1]> g " + text);
  Feed feed;
  uint64_t seed = 1;
  for (const ValueId v : std::vector<ValueId>(model.graph.inputs)) {
    const Value& value = model.graph.value(v);
    Tensor t = random_tensor(value.dtype, *value.shape, seed++);
    if (value.name[0] == 'x')
      feed[value.name] = std::move(t);
    else
      model.graph.initializers[v].data = std::move(t);
  }
  const Executor executor(model);
  for (auto _ : state) benchmark::DoNotOptimize(executor.run(feed));
  state.SetLabel(executor.steps()[0].kernel);
  state.counters["ops"] =
      benchmark::Counter(2 * macs, benchmark::Counter::kIsIterationInvariantRate);
}

std::string dims(std::initializer_list<int64_t> sizes) {
  std::string text;
  for (const int64_t s : sizes) text += cat(text.empty() ? "" : ",", s);
  return text;
}

// Channels, side of the picture, side of the kernel.
void Convolution(benchmark::State& state) {
  const int64_t c = state.range(0), s = state.range(1), k = state.range(2), p = k / 2;
  run_layer(
      state,
      cat("(float[1,", dims({c, s, s}), "] x, float[", dims({c, c, k, k}), "] w, float[", c,
          "] b) => (float y) { c = Conv<pads=[", dims({p, p, p, p}), "]>(x, w, b)  y = Relu(c) }"),
      static_cast<double>(c * c * k * k * s * s));
}
BENCHMARK(Convolution)->Args({16, 32, 3})->Args({64, 8, 3})->Args({64, 56, 3})->Args({256, 14, 1});

void Depthwise(benchmark::State& state) {
  const int64_t c = state.range(0), s = state.range(1), k = state.range(2), p = k / 2;
  run_layer(
      state,
      cat("(float[1,", dims({c, s, s}), "] x, float[", dims({c, 1, k, k}),
          "] w) => (float y) { y = Conv<group=", c, ", pads=[", dims({p, p, p, p}), "]>(x, w) }"),
      static_cast<double>(c * k * k * s * s));
}
BENCHMARK(Depthwise)->Args({144, 56, 3})->Args({672, 14, 5});

// Rows, depth, columns.
void Product(benchmark::State& state) {
  const int64_t m = state.range(0), k = state.range(1), n = state.range(2);
  run_layer(state,
            cat("(float[", dims({m, k}), "] x, float[", dims({k, n}), "] w, float[", n,
                "] b) => (float y) { p = MatMul(x, w)  y = Add(p, b) }"),
            static_cast<double>(m * k * n));
}
BENCHMARK(Product)->Args({64, 384, 1536})->Args({2048, 384, 384})->Args({1, 1280, 1000});

void ProductOfCodes(benchmark::State& state) {
  const int64_t m = state.range(0), k = state.range(1), n = state.range(2);
  run_layer(state,
            cat("(uint8[", dims({m, k}), "] x, int8[", dims({k, n}),
                "] w) => (float y) <float s = {0.01}, uint8 z = {30}, int8 o = {0}> { y = "
                "qtool.QMatMul(x, s, z, w, s, o, \"\") }"),
            static_cast<double>(m * k * n));
}
BENCHMARK(ProductOfCodes)->Args({64, 384, 1536})->Args({2048, 384, 384})->Args({1, 1280, 1000});

// Rows and their length.
void Rows(benchmark::State& state, const char* body) {
  const int64_t m = state.range(0), n = state.range(1);
  run_layer(state,
            cat("(float[", dims({m, n}), "] x, float[", n, "] w) => (float y) { ", body, " }"),
            static_cast<double>(m * n) / 2);
}
BENCHMARK_CAPTURE(Rows, LayerNormalization, "y = LayerNormalization(x, w)")->Args({64, 384});
BENCHMARK_CAPTURE(Rows, Softmax, "y = Softmax(x)")->Args({768, 64});
BENCHMARK_CAPTURE(Rows, Erf, "y = Erf(x)")->Args({64, 1536});
BENCHMARK_CAPTURE(Rows, Add, "y = Add(x, x)")->Args({64, 1536});

}  // namespace
