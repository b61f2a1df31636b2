# SPDX-License-Identifier: Apache-2.0
# Benchmarks are built when asked for, and are no tests: bench/README.md.
EXTRA_PROGRAMS += bench/serve bench/rates bench/scale
bench_serve_SOURCES = bench/serve.c bench/protocol.h bench/random_vit.h bench/variant.h
bench_serve_LDADD = libcore.la
bench_rates_SOURCES = bench/rates.c bench/onednn.h bench/random_vit.h
bench_rates_CFLAGS = $(AM_CFLAGS) -O3
bench_rates_LDADD = libcore.la $(DNNL_LIBS)
bench_scale_SOURCES = bench/scale.c
bench_scale_LDADD = libcli.la libhost.la libcore.la
CLEANFILES += bench/serve$(EXEEXT) bench/rates$(EXEEXT) bench/scale$(EXEEXT)
EXTRA_DIST += bench/README.md bench/RESULTS.md bench/env.sh bench/peers.sh \
	bench/peers/drive.py \
	bench/peers/engines.py \
	bench/peers/export_onnx.py \
	bench/peers/models.py \
	bench/peers/protocol.py \
	bench/peers/report.py \
	bench/peers/rounds.py \
	bench/peers/serve_ort.py \
	bench/peers/serve_torch.py \
	bench/peers/stats.py \
	bench/peers/targets.py
