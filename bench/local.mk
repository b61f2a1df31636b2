# SPDX-License-Identifier: Apache-2.0
# Benchmarks are built when asked for, and are no tests: bench/README.md.
EXTRA_PROGRAMS += bench/serve bench/serve_text bench/rates bench/scale bench/token
bench_serve_SOURCES = bench/serve.c bench/protocol.h bench/random_vit.h bench/variant.h
bench_serve_LDADD = libcore.la
bench_serve_text_SOURCES = bench/serve_text.c bench/protocol.h
bench_serve_text_LDADD = libhost.la libcore.la
bench_rates_SOURCES = bench/rates.c bench/onednn.h bench/random_vit.h
bench_rates_CFLAGS = $(AM_CFLAGS) -O3
bench_rates_LDADD = libcore.la $(DNNL_LIBS)
bench_token_SOURCES = bench/token.c bench/random_vit.h
bench_token_CFLAGS = $(AM_CFLAGS) -O3
bench_token_LDADD = libcore.la
bench_scale_SOURCES = bench/scale.c
bench_scale_LDADD = libcli.la libhost.la libcore.la
CLEANFILES += bench/serve$(EXEEXT) bench/serve_text$(EXEEXT) bench/rates$(EXEEXT) bench/scale$(EXEEXT) bench/token$(EXEEXT)
EXTRA_DIST += bench/README.md bench/RESULTS.md bench/RESULTS-text.md bench/env.sh bench/peers.sh bench/text.sh \
	bench/peers/drive.py \
	bench/peers/engines.py \
	bench/peers/export_f32.py \
	bench/peers/export_onnx.py \
	bench/peers/models.py \
	bench/peers/protocol.py \
	bench/peers/report.py \
	bench/peers/rounds.py \
	bench/peers/serve_llama.py \
	bench/peers/serve_ort.py \
	bench/peers/serve_torch.py \
	bench/peers/serve_transformers.py \
	bench/peers/stats.py \
	bench/peers/targets.py \
	bench/peers/text.py \
	bench/peers/text_engines.py \
	bench/peers/text_front.py \
	bench/peers/text_models.py \
	bench/peers/text_options.py \
	bench/peers/text_report.py \
	bench/peers/text_truth.py
