/* SPDX-License-Identifier: Apache-2.0 */
#define PARE_VEC 16
#define PARE_VNNI 1
#define PARE_BF16 1
#define PARE_TABLE pare_kernels_avx512bf16
#define PARE_TABLE_ISA PARE_ISA_AVX512BF16
#include "engine/kernels/simd_table.h"
