/* SPDX-License-Identifier: Apache-2.0 */
/* One vocabulary for AVX2 and AVX-512, so that every kernel is written once. Included only by the
 * file of an instruction set, which sets PARE_VEC to 8 or 16 and may set PARE_VNNI. */
#ifndef PARE_SIMD_VEC_H
#define PARE_SIMD_VEC_H

#include <immintrin.h>

#include "engine/kernels/kernels.h"

#define VL PARE_VEC
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")
#define UNROLL_ALL _Pragma("GCC unroll 16")
#define PARE_TOKEN_VECS 8 /* vectors of tokens in a transposed block */

#if PARE_VEC == 16

#define TILE_ROWS 8
#define TILE_VECS 3
typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;

#define vf_zero() _mm512_setzero_ps()
#define vf_set1(x) _mm512_set1_ps(x)
#define vf_load(p) _mm512_loadu_ps(p)
#define vf_store(p, v) _mm512_storeu_ps(p, v)
#define vf_load_m(p, m) _mm512_maskz_loadu_ps(m, p)
#define vf_store_m(p, m, v) _mm512_mask_storeu_ps(p, m, v)
#define vf_add(a, b) _mm512_add_ps(a, b)
#define vf_sub(a, b) _mm512_sub_ps(a, b)
#define vf_mul(a, b) _mm512_mul_ps(a, b)
#define vf_div(a, b) _mm512_div_ps(a, b)
#define vf_fma(a, b, c) _mm512_fmadd_ps(a, b, c)
#define vf_fnma(a, b, c) _mm512_fnmadd_ps(a, b, c)
#define vf_max(a, b) _mm512_max_ps(a, b)
#define vf_min(a, b) _mm512_min_ps(a, b)
#define vf_abs(a) _mm512_abs_ps(a)
#define vf_round(a) _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define vf_select(m, a, b) _mm512_mask_blend_ps(m, b, a) /* m ? a : b */
#define vf_sum(a) _mm512_reduce_add_ps(a)
#define vf_highest(a) _mm512_reduce_max_ps(a)
#define vf_bits(a) _mm512_castps_si512(a)
#define vf_from_int(a) _mm512_cvtepi32_ps(a)
#define vf_to_int(a) _mm512_cvtps_epi32(a)
#define vi_zero() _mm512_setzero_si512()
#define vi_set1(x) _mm512_set1_epi32(x)
#define vi_load(p) _mm512_loadu_si512(p)
#define vi_add(a, b) _mm512_add_epi32(a, b)
#define vi_sub(a, b) _mm512_sub_epi32(a, b)
#define vi_and(a, b) _mm512_and_si512(a, b)
#define vi_shl(a, n) _mm512_slli_epi32(a, n)
#define vi_shr(a, n) _mm512_srli_epi32(a, n)
#define vi_float(a) _mm512_castsi512_ps(a)
#define vi_madd16(a, b) _mm512_madd_epi16(a, b)
#define vi_widen_u8(p) _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#define vi_widen_s8(p) _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#define vf_load_f16(p) _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)(p)))
#define vf_store_f16(p, v)                                                                         \
    _mm256_storeu_si256((__m256i *)(void *)(p),                                                    \
                        _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC))
#define vf_load_bf16(p)                                                                            \
    vi_float(                                                                                      \
        vi_shl(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)(p))), 16))
/* 2 * VL signed bytes to 16 bits */
#define vi_widen_s8_16(p)                                                                          \
    _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)(p)))

INLINE vm vm_first(uint32_t n)
{
    return n >= 16 ? (vm)0xffff : (vm)((1u << n) - 1);
}

/* VL int32 in 0..255 or in int16, to bytes or words in memory. */
INLINE void vi_store_u8(uint8_t *p, vi v)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(v));
}
INLINE void vi_store_s16(int16_t *p, vi v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtepi32_epi16(v));
}
INLINE void vi_store_s8(int8_t *p, vi v)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(v));
}

#else

#define TILE_ROWS 6
#define TILE_VECS 2
typedef __m256 vf;
typedef __m256i vi;
typedef __m256i vm;

#define vf_zero() _mm256_setzero_ps()
#define vf_set1(x) _mm256_set1_ps(x)
#define vf_load(p) _mm256_loadu_ps(p)
#define vf_store(p, v) _mm256_storeu_ps(p, v)
#define vf_load_m(p, m) _mm256_maskload_ps(p, m)
#define vf_store_m(p, m, v) _mm256_maskstore_ps(p, m, v)
#define vf_add(a, b) _mm256_add_ps(a, b)
#define vf_sub(a, b) _mm256_sub_ps(a, b)
#define vf_mul(a, b) _mm256_mul_ps(a, b)
#define vf_div(a, b) _mm256_div_ps(a, b)
#define vf_fma(a, b, c) _mm256_fmadd_ps(a, b, c)
#define vf_fnma(a, b, c) _mm256_fnmadd_ps(a, b, c)
#define vf_max(a, b) _mm256_max_ps(a, b)
#define vf_min(a, b) _mm256_min_ps(a, b)
#define vf_abs(a) _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a)
#define vf_round(a) _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define vf_select(m, a, b) _mm256_blendv_ps(b, a, _mm256_castsi256_ps(m))
#define vf_bits(a) _mm256_castps_si256(a)
#define vf_from_int(a) _mm256_cvtepi32_ps(a)
#define vf_to_int(a) _mm256_cvtps_epi32(a)
#define vi_zero() _mm256_setzero_si256()
#define vi_set1(x) _mm256_set1_epi32(x)
#define vi_load(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define vi_add(a, b) _mm256_add_epi32(a, b)
#define vi_sub(a, b) _mm256_sub_epi32(a, b)
#define vi_and(a, b) _mm256_and_si256(a, b)
#define vi_shl(a, n) _mm256_slli_epi32(a, n)
#define vi_shr(a, n) _mm256_srli_epi32(a, n)
#define vi_float(a) _mm256_castsi256_ps(a)
#define vi_madd16(a, b) _mm256_madd_epi16(a, b)
#define vi_widen_u8(p) _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(p)))
#define vi_widen_s8(p) _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(p)))
#define vf_load_f16(p) _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#define vf_store_f16(p, v)                                                                         \
    _mm_storeu_si128((__m128i *)(void *)(p),                                                       \
                     _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC))
#define vf_load_bf16(p)                                                                            \
    vi_float(vi_shl(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)(p))), 16))
#define vi_widen_s8_16(p) _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)(p)))

INLINE float vf_sum(vf a)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

INLINE float vf_highest(vf a)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

INLINE vm vm_first(uint32_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(n > 8 ? 8 : n)),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE void vi_store_s16(int16_t *p, vi v)
{
    __m256i w = _mm256_permute4x64_epi64(_mm256_packs_epi32(v, v), 0x08);
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_castsi256_si128(w));
}
INLINE void vi_store_s8(int8_t *p, vi v)
{
    __m128i w = _mm256_castsi256_si128(_mm256_permute4x64_epi64(_mm256_packs_epi32(v, v), 0x08));
    _mm_storel_epi64((__m128i *)(void *)p, _mm_packs_epi16(w, w));
}

#endif

/* Weights come from beyond the second cache, while a panel is worked off from the first: the tiles
 * of one panel each fetch a slice of the next. It may lie beyond the end: nothing is read. */
struct ahead {
    const char *at;
    size_t bytes;
};
INLINE void fetch_ahead(struct ahead next, uint32_t tile, uint32_t tiles)
{
    const size_t slice = (next.bytes / tiles + 63) & ~(size_t)63;
    for (size_t i = 0; i < slice; i += 64)
        _mm_prefetch(next.at + tile * slice + i, _MM_HINT_T1);
}

/* How far ahead a single pass over a weight fetches, in bytes; it may lie beyond the end. */
#define STREAM_AHEAD 4096

/* A pair of int16, or 4 or 8 bytes, to every lane. */
INLINE vi vi_spread4(const void *p)
{
    int32_t word;
    __builtin_memcpy(&word, p, sizeof word);
    return vi_set1(word);
}

/* Vector of scales from number i on, f32 or f16. */
INLINE vf load_scale(const char *at, size_t i, bool half)
{
    return half ? vf_load_f16((const uint16_t *)(const void *)at + i)
                : vf_load((const float *)(const void *)at + i);
}

/* Transpose VL vectors in place: log2(VL) rounds, each swapping blocks of twice the size. */
#if PARE_VEC == 16
INLINE void transpose_square(vf v[16])
{
    vf t[16];
    UNROLL_ALL
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_ps(v[i], v[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(v[i], v[i + 1]);
    }
    UNROLL_ALL
    for (int i = 0; i < 16; i += 4) {
        UNROLL_ALL
        for (int j = 0; j < 2; j++) {
            __m512d a = _mm512_castps_pd(t[i + j]), b = _mm512_castps_pd(t[i + j + 2]);
            v[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            v[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        }
    }
    UNROLL_ALL
    for (int i = 0; i < 16; i += 8) {
        UNROLL_ALL
        for (int j = 0; j < 4; j++) {
            t[i + j] = _mm512_shuffle_f32x4(v[i + j], v[i + j + 4], 0x88);
            t[i + j + 4] = _mm512_shuffle_f32x4(v[i + j], v[i + j + 4], 0xdd);
        }
    }
    UNROLL_ALL
    for (int j = 0; j < 8; j++) {
        v[j] = _mm512_shuffle_f32x4(t[j], t[j + 8], 0x88);
        v[j + 8] = _mm512_shuffle_f32x4(t[j], t[j + 8], 0xdd);
    }
}
#else
INLINE void transpose_square(vf v[8])
{
    vf t[8];
    UNROLL
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(v[i], v[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(v[i], v[i + 1]);
    }
    UNROLL
    for (int i = 0; i < 8; i += 4) {
        UNROLL
        for (int j = 0; j < 2; j++) {
            __m256d a = _mm256_castps_pd(t[i + j]), b = _mm256_castps_pd(t[i + j + 2]);
            v[i + 2 * j] = _mm256_castpd_ps(_mm256_unpacklo_pd(a, b));
            v[i + 2 * j + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(a, b));
        }
    }
    UNROLL
    for (int j = 0; j < 4; j++) {
        t[j] = _mm256_permute2f128_ps(v[j], v[j + 4], 0x20);
        t[j + 4] = _mm256_permute2f128_ps(v[j], v[j + 4], 0x31);
    }
    UNROLL
    for (int j = 0; j < 8; j++)
        v[j] = t[j];
}
#endif

#endif
