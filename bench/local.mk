# SPDX-License-Identifier: Apache-2.0
# Benchmarks are built when asked for, and are no tests: bench/README.md.
EXTRA_PROGRAMS += bench/serve bench/rates
bench_serve_SOURCES = bench/serve.c bench/random_vit.h bench/variant.h
bench_serve_LDADD = libcore.la
bench_rates_SOURCES = bench/rates.c bench/onednn.h bench/random_vit.h
bench_rates_CFLAGS = $(AM_CFLAGS) -O3
bench_rates_LDADD = libcore.la $(DNNL_LIBS)
CLEANFILES += bench/serve$(EXEEXT) bench/rates$(EXEEXT)
