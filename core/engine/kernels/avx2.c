/* SPDX-License-Identifier: Apache-2.0 */
#define PARE_VEC 8
#define PARE_TABLE pare_kernels_avx2
#define PARE_TABLE_ISA PARE_ISA_AVX2
#include "engine/kernels/simd_table.h"
