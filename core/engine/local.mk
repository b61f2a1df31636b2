# SPDX-License-Identifier: Apache-2.0
libcore_la_SOURCES += \
	core/engine/compile.c core/engine/compile.h \
	core/engine/engine.h \
	core/engine/isa.c \
	core/engine/merge.c \
	core/engine/plan.c core/engine/plan.h \
	core/engine/steps.c core/engine/steps_text.c \
	core/engine/text.c core/engine/text.h \
	core/engine/team.c \
	core/engine/kernels/kernels.h \
	core/engine/kernels/pack.c \
	core/engine/kernels/rope.h \
	core/engine/kernels/scalar.c core/engine/kernels/scalar.h \
	core/engine/kernels/scalar_attend.c

# Each instruction set is a library of its own: only its file may use its instructions, and it is called
# only after the CPU was asked. No contraction: sums are what is written.
if X86
engine_simd = \
	core/engine/kernels/simd_attend.h \
	core/engine/kernels/simd_bf16.h \
	core/engine/kernels/simd_blocks.h \
	core/engine/kernels/simd_gemm.h \
	core/engine/kernels/simd_int8.h \
	core/engine/kernels/simd_math.h \
	core/engine/kernels/simd_nm.h \
	core/engine/kernels/simd_ops.h \
	core/engine/kernels/simd_panels.h \
	core/engine/kernels/simd_sparse.h \
	core/engine/kernels/simd_table.h \
	core/engine/kernels/simd_vec.h
engine_avx512 = -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512vl -mavx512dq -mprefer-vector-width=512
noinst_LTLIBRARIES += libkernels-avx2.la libkernels-avx512.la libkernels-avx512vnni.la libkernels-avx512bf16.la
libkernels_avx2_la_SOURCES = core/engine/kernels/avx2.c $(engine_simd)
libkernels_avx2_la_CFLAGS = $(AM_CFLAGS) -ffp-contract=off -mavx2 -mfma -mf16c
libkernels_avx512_la_SOURCES = core/engine/kernels/avx512.c $(engine_simd)
libkernels_avx512_la_CFLAGS = $(AM_CFLAGS) -ffp-contract=off $(engine_avx512)
libkernels_avx512vnni_la_SOURCES = core/engine/kernels/avx512vnni.c $(engine_simd)
libkernels_avx512vnni_la_CFLAGS = $(AM_CFLAGS) -ffp-contract=off $(engine_avx512) -mavx512vnni
libkernels_avx512bf16_la_SOURCES = core/engine/kernels/avx512bf16.c $(engine_simd)
libkernels_avx512bf16_la_CFLAGS = $(AM_CFLAGS) -ffp-contract=off $(engine_avx512) -mavx512vnni -mavx512bf16
libcore_la_LIBADD += libkernels-avx2.la libkernels-avx512.la libkernels-avx512vnni.la libkernels-avx512bf16.la
endif

EXTRA_DIST += bench/onednn.h bench/random_vit.h
EXTRA_PROGRAMS = bench/kernels
bench_kernels_SOURCES = bench/kernels.c
bench_kernels_LDADD = libcore.la $(DNNL_LIBS)
CLEANFILES += bench/kernels$(EXEEXT)

if HAVE_CHECK
engine_tests = tests/unit/test_engine tests/unit/test_kernels tests/unit/test_text
check_PROGRAMS += $(engine_tests)
TESTS += $(engine_tests)
tests_unit_test_engine_SOURCES = tests/unit/test_engine.c
tests_unit_test_engine_LDADD = $(TEST_LIBS)
tests_unit_test_text_SOURCES = tests/unit/test_text.c tests/unit/random_llama.h
tests_unit_test_text_LDADD = $(TEST_LIBS)
tests_unit_test_kernels_SOURCES = tests/unit/test_kernels.c
tests_unit_test_kernels_LDADD = $(TEST_LIBS) $(DNNL_LIBS)
endif
