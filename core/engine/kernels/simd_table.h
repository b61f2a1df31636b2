/* SPDX-License-Identifier: Apache-2.0 */
/* The table of one instruction set; PARE_TABLE names it. */
#include "engine/kernels/rope.h"
#include "engine/kernels/simd_attend.h"
#include "engine/kernels/simd_bf16.h"
#include "engine/kernels/simd_blocks.h"
#include "engine/kernels/simd_int8.h"
#include "engine/kernels/simd_nm.h"
#include "engine/kernels/simd_ops.h"
#include "engine/kernels/simd_panels.h"
#include "engine/kernels/simd_sparse.h"

const struct pare_kernels PARE_TABLE = {
    .isa = PARE_TABLE_ISA,
    .lanes = VL,
    .panel = TILE_VECS * VL,
    .rows = TILE_ROWS,
    .token_block = TOKEN_BLOCK,
    .sparse_chunk = SPARSE_CHUNK,
    .sparse_panels = SPARSE_PANELS,
    .code_size = CODE_SIZE,
    .k_chunk = K_CHUNK,
    .k_step = K_STEP,
    .product =
        {
            [PARE_PRODUCT_DENSE] = simd_dense,
            [PARE_PRODUCT_NM] = simd_nm,
            [PARE_PRODUCT_SPARSE] = simd_sparse,
            [PARE_PRODUCT_F16] = simd_f16,
            [PARE_PRODUCT_BF16] = simd_bf16_weight,
            [PARE_PRODUCT_CODES4] = simd_codes4,
            [PARE_PRODUCT_CODES8] = simd_codes8,
            [PARE_PRODUCT_DYNAMIC] = simd_dynamic,
            [PARE_PRODUCT_BLOCKS8] = simd_blocks8,
            [PARE_PRODUCT_BLOCKS4] = simd_blocks4,
            [PARE_PRODUCT_PLUGIN] = simd_plugin,
#ifdef PARE_BF16
            [PARE_PRODUCT_BF16_DOT] = simd_bf16,
#endif
#ifdef PARE_VNNI
            [PARE_PRODUCT_DYNAMIC_SPARSE] = simd_dynamic_sparse,
#endif
        },
    .quantize = simd_quantize,
    .quantize_blocks = simd_quantize_blocks,
#ifdef PARE_BF16
    .to_bf16 = simd_to_bf16,
#endif
    .transpose = simd_transpose,
    .activate = simd_activate,
    .add = simd_add,
    .add_vector = simd_add_vector,
    .norm = simd_norm,
    .mean = simd_mean,
    .attention = simd_attention,
    .rms_norm = simd_rms_norm,
    .mul = simd_mul,
    .rope = plain_rope,
    .keep = simd_keep,
    .attend = simd_attend,
    .attend_end = simd_attend_end,
    .dot = simd_dot,
    .log_sum = simd_log_sum,
    .divergence = simd_divergence,
    .nearest = simd_nearest,
};
