// Functions compiled for several instruction sets, the best of which is chosen at run time.
//
// Such functions give the same bits on all of them: no contraction, sums in lanes of their own whose order is fixed. What
// they inline is compiled as part of them.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
// The baseline, AVX2 and AVX-512.
#define QTOOL_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
// Where vectors of AVX-512 gain nothing over those of AVX2.
#define QTOOL_AVX2_CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define QTOOL_CLONES
#define QTOOL_AVX2_CLONES
#endif
