// Micro-benchmarks of the parts that decide about speed: kernels, observers, quantizers, solvers.
// Optional: cmake -DQTOOL_BUILD_BENCHMARKS=ON, then build/<preset>/qtool_bench --benchmark_filter=Conv
#include <benchmark/benchmark.h>

BENCHMARK_MAIN();
