/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif
#include <omp.h>

#include "engine/kernels/kernels.h"

static const char *const isa_names[PARE_ISA_COUNT] = {"scalar", "avx2", "avx512", "avx512vnni",
                                                      "avx512bf16"};

const char *pare_isa_name(enum pare_isa isa)
{
    return (unsigned)isa < PARE_ISA_COUNT ? isa_names[isa] : "unknown";
}

#if defined(__x86_64__)
/* Not every compiler's __builtin_cpu_supports() knows its name. */
static bool has_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
#endif

static enum pare_isa isa_of_cpu(void)
{
#if defined(__x86_64__)
    __builtin_cpu_init(); /* asks the system, too, whether it saves the registers */
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !has_f16c())
        return PARE_ISA_SCALAR;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq"))
        return PARE_ISA_AVX2;
    if (!__builtin_cpu_supports("avx512vnni"))
        return PARE_ISA_AVX512;
    return __builtin_cpu_supports("avx512bf16") ? PARE_ISA_AVX512BF16 : PARE_ISA_AVX512VNNI;
#else
    return PARE_ISA_SCALAR;
#endif
}

enum pare_isa pare_isa_best(void)
{
    enum pare_isa best = isa_of_cpu();
    const char *wish = getenv("PARE_ISA");
    for (int i = 0; wish && i < (int)best; i++)
        if (strcmp(wish, isa_names[i]) == 0)
            best = (enum pare_isa)i;
    return best;
}

const struct pare_kernels *pare_kernels_of(enum pare_isa isa)
{
#if defined(__x86_64__)
    static const struct pare_kernels *const tables[PARE_ISA_COUNT] = {
        &pare_kernels_scalar, &pare_kernels_avx2, &pare_kernels_avx512, &pare_kernels_avx512vnni,
        &pare_kernels_avx512bf16};
#else
    static const struct pare_kernels *const tables[PARE_ISA_COUNT] = {&pare_kernels_scalar};
#endif
    return (unsigned)isa < PARE_ISA_COUNT && isa <= isa_of_cpu() ? tables[isa] : NULL;
}

static void flush_here(void)
{
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | 0x8040u); /* flush to zero, denormals are zero */
#elif defined(__aarch64__)
    uint64_t control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    __asm__ volatile("msr fpcr, %0" : : "r"(control | 1u << 24));
#endif
}

void pare_flush_denormals(void)
{
    flush_here();
#pragma omp parallel
    flush_here();
}
