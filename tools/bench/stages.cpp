// Observers, quantizers and solvers.
#include <benchmark/benchmark.h>

#include <cmath>
#include <qtool/calibrate.hpp>
#include <qtool/format.hpp>
#include <qtool/search.hpp>

namespace {

using namespace qtool;

Tensor normal_tensor(Shape shape) {
  Rng rng(1);
  Tensor t(DType::kFloat, std::move(shape));
  for (float& v : t.mutable_data<float>()) v = static_cast<float>(rng.normal());
  return t;
}

// Channels and positions of the observed value; eight samples.
void Observe(benchmark::State& state) {
  const Tensor value = normal_tensor({8, state.range(0), state.range(1)});
  ValueStats stats;
  for (auto _ : state) stats.observe(value, 8);
  state.SetBytesProcessed(state.iterations() * value.bytes());
}
BENCHMARK(Observe)->Args({16, 1024})->Args({64, 64})->Args({384, 1})->Args({96, 12544});

void Quantize(benchmark::State& state) {
  const Tensor value = normal_tensor({state.range(0)});
  const QParams params = affine_params(-4, 4, {.bits = 8});
  for (auto _ : state) benchmark::DoNotOptimize(quantize(value, params));
  state.SetBytesProcessed(state.iterations() * value.bytes());
}
BENCHMARK(Quantize)->Arg(1 << 12)->Arg(1 << 20);

void FakeQuantize(benchmark::State& state) {
  Tensor value = normal_tensor({state.range(0)});
  for (auto _ : state) fake_quantize_inplace(value.mutable_data<float>(), 0.03f, 128, 0, 255);
  state.SetBytesProcessed(state.iterations() * value.bytes());
}
BENCHMARK(FakeQuantize)->Arg(1 << 12)->Arg(1 << 20);

// Groups of six choices under one limit of half the bits.
void Solve(benchmark::State& state, const char* solver) {
  Rng rng(1);
  Problem p;
  p.cost.resize(1);
  int64_t most = 0;
  for (int64_t g = 0; g < state.range(0); ++g) {
    const auto size = static_cast<int64_t>(100 + rng.below(10000));
    std::vector<double> loss;
    std::vector<int64_t> cost;
    for (const int64_t bits : {2, 3, 4, 5, 6, 8}) {
      loss.push_back(std::exp2(-2.0 * static_cast<double>(bits)) * (1 + std::abs(rng.normal())));
      cost.push_back(size * bits);
    }
    p.loss.push_back(std::move(loss));
    p.cost[0].push_back(std::move(cost));
    most += size * 8;
  }
  p.limit = {most / 2};
  for (auto _ : state) benchmark::DoNotOptimize(solve(p, solver));
}
BENCHMARK_CAPTURE(Solve, automatic, "auto")->Arg(50)->Arg(400);

}  // namespace
