// What this machine can do: instruction set, saturation of integer products, peak speed.
#include <omp.h>

#include <algorithm>
#include <limits>

#include "exec/onednn/common.hpp"
#include "qtool/exec.hpp"

namespace qtool {
namespace {

struct IsaName {
  dnnl::cpu_isa isa;
  const char* name;
  bool saturates;  // adds pairs of u8×s8 products in 16 bits
};

constexpr IsaName kIsas[] = {
    {dnnl::cpu_isa::sse41, "SSE4.1", true},
    {dnnl::cpu_isa::avx, "AVX", true},
    {dnnl::cpu_isa::avx2, "AVX2", true},
    {dnnl::cpu_isa::avx2_vnni, "AVX2_VNNI", false},
    {dnnl::cpu_isa::avx512_core, "AVX512", true},
    {dnnl::cpu_isa::avx512_core_vnni, "AVX512_VNNI", false},
    {dnnl::cpu_isa::avx512_core_bf16, "AVX512_BF16", false},
    {dnnl::cpu_isa::avx512_core_amx, "AMX", false},
};

const IsaName* effective_isa() {
  const dnnl::cpu_isa isa = dnnl::get_effective_cpu_isa();
  for (const IsaName& known : kIsas)
    if (known.isa == isa) return &known;
  return nullptr;
}

// Square matrix products of one type, repeated for a moment; billions of operations a second, the best run.
double peak_gops(dnnl::memory::data_type left, dnnl::memory::data_type right,
                 dnnl::memory::data_type result) {
  constexpr int64_t kSide = 768;
  constexpr double kSeconds = 0.08;
  const auto descriptor = [](dnnl::memory::data_type type) {
    return onednn::Descriptor({kSide, kSide}, type, dnnl::memory::format_tag::ab);
  };
  const onednn::Descriptor a = descriptor(left), c = descriptor(result);
  const onednn::Descriptor any({kSide, kSide}, right, dnnl::memory::format_tag::any);
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc pd(onednn::engine(), a, any, c, onednn::user_scratchpad());
#else
  const dnnl::matmul::primitive_desc pd(dnnl::matmul::desc(a, any, c), onednn::user_scratchpad(),
                                        onednn::engine());
#endif
  const dnnl::matmul matmul(pd);
  const auto zeros = [](const onednn::Descriptor& d) {
    return Tensor(DType::kUint8, {static_cast<int64_t>(d.get_size())});
  };
  Tensor x = zeros(a), w = zeros(pd.weights_desc()), y = zeros(c);
  double best = std::numeric_limits<double>::infinity();
  for (const double end = now_seconds() + kSeconds; now_seconds() < end;) {
    onednn::Arguments arguments{{DNNL_ARG_SRC, onednn::memory_of(a, x.raw())},
                                {DNNL_ARG_WEIGHTS, onednn::memory_of(pd.weights_desc(), w.raw())},
                                {DNNL_ARG_DST, onednn::memory_of(c, y.mutable_raw())}};
    const double begin = now_seconds();
    onednn::execute(matmul, pd.scratchpad_desc(), arguments);
    best = std::min(best, now_seconds() - begin);
  }
  return 2.0 * kSide * kSide * kSide / best * 1e-9;
}

}  // namespace

std::string cpu_isa() {
  const IsaName* isa = effective_isa();
  return isa ? isa->name : "unknown";
}

bool saturates_u8s8() {
  const IsaName* isa = effective_isa();
  return isa && isa->saturates;
}

bool threads_have_cores(int threads) {
  // A layer of a small network takes about as long; a thread that has lost its core comes back after milliseconds.
  constexpr double kWork = 30e-6, kSlow = 1.6;
  constexpr int kRegions = 200, kWarmups = 20, kMajority = 3;
  const auto run = [&](int regions) {
    const double begin = now_seconds();
    for (int region = 0; region < regions; ++region) {
#pragma omp parallel num_threads(threads)
      {
        const double end = now_seconds() + kWork;
        while (now_seconds() < end) {
        }
      }
    }
    return now_seconds() - begin;
  };
  run(kWarmups);
  // One pause of the machine is no busy core: the majority of some milliseconds each.
  int fast = 0, slow = 0;
  while (fast < kMajority && slow < kMajority)
    ++(run(kRegions) < kSlow * kRegions * kWork ? fast : slow);
  return fast == kMajority;
}

MachinePeak measure_peak(int threads) {
  using Type = dnnl::memory::data_type;
  const int before = omp_get_max_threads();
  omp_set_num_threads(std::max(1, threads));
  MachinePeak peak;
  peak.float_gflops = peak_gops(Type::f32, Type::f32, Type::f32);
  peak.int8_gops = peak_gops(Type::u8, Type::s8, Type::s32);
  omp_set_num_threads(before);
  return peak;
}

}  // namespace qtool
