# SPDX-License-Identifier: Apache-2.0
# Images are part of what runs a model; data sets and measuring are the program's.
libcore_la_SOURCES += \
	core/measure/dataset.h \
	core/measure/image.c core/measure/image.h \
	core/measure/jpeg.c core/measure/png.c \
	core/measure/preprocess_apply.c \
	core/measure/resize.c
libhost_la_SOURCES += \
	core/measure/activations.c core/measure/activations.h \
	core/measure/array.c core/measure/array.h core/measure/npy.c \
	core/measure/bench.c core/measure/classes.c \
	core/measure/data_json.c core/measure/data_json.h \
	core/measure/dataset.c \
	core/measure/evaluate.c \
	core/measure/host.c \
	core/measure/evaluate_labelled.c core/measure/evaluate_parts.h \
	core/measure/labelled.c core/measure/labelled.h \
	core/measure/records.c core/measure/records.h \
	core/measure/sequences.c core/measure/sequences.h \
	core/measure/spearman.c core/measure/spearman.h \
	core/measure/text_file.c \
	core/measure/image_files.c core/measure/source.h core/measure/split.c \
	core/measure/measure.h \
	core/measure/next_token.c core/measure/next_token.h \
	core/measure/sampling.c core/measure/sampling.h \
	core/measure/tokens.c core/measure/tokens.h \
	core/measure/perplexity.c core/measure/perplexity.h \
	core/measure/windows.c core/measure/windows.h

measure_fixtures = \
	tests/fixtures/fashion-vit.logits \
	tests/fixtures/images/boot.png \
	tests/fixtures/images/cmyk.jpg \
	tests/fixtures/images/expected.txt \
	tests/fixtures/images/full-chroma.jpg \
	tests/fixtures/images/grey-alpha.png \
	tests/fixtures/images/grey.jpg \
	tests/fixtures/images/grey.png \
	tests/fixtures/images/grey1.png \
	tests/fixtures/images/grey16.png \
	tests/fixtures/images/grey2.png \
	tests/fixtures/images/grey4.png \
	tests/fixtures/images/interlaced.png \
	tests/fixtures/images/palette-clear.png \
	tests/fixtures/images/palette.png \
	tests/fixtures/images/progressive.jpg \
	tests/fixtures/images/rgb.jpg \
	tests/fixtures/images/rgb.png \
	tests/fixtures/images/rgb16.png \
	tests/fixtures/images/rgba.png \
	tests/fixtures/images/turned2.jpg \
	tests/fixtures/images/turned3.jpg \
	tests/fixtures/images/turned4.jpg \
	tests/fixtures/images/turned5.jpg \
	tests/fixtures/images/turned6.jpg \
	tests/fixtures/images/turned7.jpg \
	tests/fixtures/images/turned8.jpg \
	tests/fixtures/make_images.py \
	tests/fixtures/make_logits.py
EXTRA_DIST += $(measure_fixtures) tests/unit/fashion_logits.h

data_corpus = \
	tests/fuzz/corpus/data/choices.jsonl \
	tests/fuzz/corpus/data/classes.jsonl \
	tests/fuzz/corpus/data/classes.tsv \
	tests/fuzz/corpus/data/pairs.jsonl \
	tests/fuzz/corpus/data/pairs.tsv \
	tests/fuzz/corpus/data/cmyk.jpg \
	tests/fuzz/corpus/data/dataset.yaml \
	tests/fuzz/corpus/data/grey16.png \
	tests/fuzz/corpus/data/images.idx \
	tests/fuzz/corpus/data/images.idx.gz \
	tests/fuzz/corpus/data/interlaced.png \
	tests/fuzz/corpus/data/labels-i64.npy \
	tests/fuzz/corpus/data/labels.idx \
	tests/fuzz/corpus/data/nchw-f32.npy \
	tests/fuzz/corpus/data/nhwc.npy \
	tests/fuzz/corpus/data/palette-clear.png \
	tests/fuzz/corpus/data/progressive.jpg \
	tests/fuzz/corpus/data/rgb.png \
	tests/fuzz/corpus/data/turned6.jpg
EXTRA_DIST += $(data_corpus)

# What runs a model in other people's programs: nothing but pare_rt_* is visible.
lib_LTLIBRARIES += libpare.la
libpare_la_SOURCES = core/runtime/runtime.c core/plugin/open.c
libpare_la_LIBADD = libcore.la
libpare_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 -export-symbols-regex '^pare_rt_'
runtimeincludedir = $(includedir)/pare
dist_runtimeinclude_HEADERS = core/include/pare/runtime.h
examplesdir = $(pkgdatadir)/share/examples
dist_examples_DATA = share/examples/classify.c

if HAVE_CHECK
measure_tests = tests/unit/test_labelled tests/unit/test_measure tests/unit/test_perplexity tests/unit/test_restart tests/unit/test_runtime \
	tests/fuzz/replay_data
check_PROGRAMS += $(measure_tests) share/examples/classify
TESTS += $(measure_tests)
tests_unit_test_labelled_SOURCES = tests/unit/test_labelled.c
tests_unit_test_labelled_LDADD = $(TEST_LIBS)
tests_unit_test_perplexity_SOURCES = tests/unit/test_perplexity.c
tests_unit_test_perplexity_LDADD = $(TEST_LIBS)
tests_unit_test_measure_SOURCES = tests/unit/test_measure.c
tests_unit_test_measure_LDADD = $(TEST_LIBS)
tests_unit_test_restart_SOURCES = tests/unit/test_restart.c
tests_unit_test_restart_LDADD = $(TEST_LIBS)
# The library as it is installed, and what writes models for it.
tests_unit_test_runtime_SOURCES = tests/unit/test_runtime.c
tests_unit_test_runtime_LDADD = libpare.la $(TEST_LIBS)
share_examples_classify_SOURCES = share/examples/classify.c
share_examples_classify_CPPFLAGS = -I$(top_srcdir)/core/include
share_examples_classify_LDADD = libpare.la
# The fuzz target over its corpus, with an ordinary main.
tests_fuzz_replay_data_SOURCES = tests/fuzz/fuzz_data.c tests/fuzz/replay.h
tests_fuzz_replay_data_CPPFLAGS = $(AM_CPPFLAGS) -DPARE_REPLAY
tests_fuzz_replay_data_LDADD = $(TEST_LIBS)
endif

if FUZZ
noinst_PROGRAMS += tests/fuzz/fuzz_data
tests_fuzz_fuzz_data_SOURCES = tests/fuzz/fuzz_data.c
tests_fuzz_fuzz_data_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_data_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_data_LDADD = $(TEST_LIBS)
endif
