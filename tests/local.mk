# SPDX-License-Identifier: Apache-2.0
# Unit tests use Check and report in TAP, so that every case counts. One program per module.
TEST_LIBS = libhost.la libcore.la $(CHECK_LIBS)
EXTRA_DIST += tests/unit/ggml_golden.h tests/unit/test.h
EXTRA_DIST += tests/fixtures/families tests/fixtures/stories260K

if HAVE_CHECK
unit_tests = tests/unit/test_base tests/unit/test_family tests/unit/test_gguf \
	tests/unit/test_model
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
tests_unit_test_base_SOURCES = tests/unit/test_base.c
tests_unit_test_base_LDADD = $(TEST_LIBS)
tests_unit_test_family_SOURCES = tests/unit/test_family.c
tests_unit_test_family_LDADD = $(TEST_LIBS)
tests_unit_test_gguf_SOURCES = tests/unit/test_gguf.c
tests_unit_test_gguf_LDADD = $(TEST_LIBS)
tests_unit_test_model_SOURCES = tests/unit/test_model.c
tests_unit_test_model_LDADD = $(TEST_LIBS)
endif

# End-to-end tests: shell scripts in TAP. Under sanitizers only the first pipeline runs, as a whole.
e2e_runs = \
	tests/e2e/examples-plugins.sh \
	tests/e2e/metric.sh \
	tests/e2e/plugin-check.sh \
	tests/e2e/abi.sh \
	tests/e2e/discovery.sh \
	tests/e2e/encoded-model.sh \
	tests/e2e/run-bad-plugins.sh \
	tests/e2e/run-cheap.sh \
	tests/e2e/run-confined.sh \
	tests/e2e/run-disk.sh \
	tests/e2e/run-examples.sh \
	tests/e2e/run-input.sh \
	tests/e2e/run-resume.sh
EXTRA_DIST += tests/e2e/lib.sh tests/old-plugins
check_PROGRAMS += tests/e2e/without
tests_e2e_without_SOURCES = tests/e2e/without.c
dist_check_SCRIPTS += $(e2e_runs)
if SANITIZE
TESTS += tests/e2e/run-examples.sh
first_only = 1
else
TESTS += $(e2e_runs)
first_only =
endif

# Models from strangers: the fuzz targets, and the same over damaged models with an ordinary main.
gguf_corpus = \
	tests/fuzz/corpus/gguf/array-length.gguf \
	tests/fuzz/corpus/gguf/big-endian.gguf \
	tests/fuzz/corpus/gguf/counts.gguf \
	tests/fuzz/corpus/gguf/k-quants.gguf \
	tests/fuzz/corpus/gguf/metadata.gguf \
	tests/fuzz/corpus/gguf/nested.gguf \
	tests/fuzz/corpus/gguf/nibbles.gguf \
	tests/fuzz/corpus/gguf/overlap.gguf \
	tests/fuzz/corpus/gguf/rank.gguf \
	tests/fuzz/corpus/gguf/shape.gguf \
	tests/fuzz/corpus/gguf/simple.gguf \
	tests/fuzz/corpus/gguf/twice.gguf \
	tests/fuzz/corpus/gguf/type.gguf \
	tests/fuzz/corpus/gguf/version1.gguf \
	tests/fuzz/corpus/gguf/version2.gguf
EXTRA_DIST += $(gguf_corpus)
if HAVE_CHECK
check_PROGRAMS += tests/fuzz/replay_gguf
TESTS += tests/fuzz/replay_gguf
tests_fuzz_replay_gguf_SOURCES = tests/fuzz/fuzz_gguf.c tests/fuzz/replay.h
tests_fuzz_replay_gguf_CPPFLAGS = $(AM_CPPFLAGS) -DPARE_REPLAY
tests_fuzz_replay_gguf_LDADD = $(TEST_LIBS)
check_PROGRAMS += tests/fuzz/replay_model
TESTS += tests/fuzz/replay_model
tests_fuzz_replay_model_SOURCES = tests/fuzz/fuzz_model.c
tests_fuzz_replay_model_CPPFLAGS = $(AM_CPPFLAGS) -DPARE_REPLAY
tests_fuzz_replay_model_LDADD = $(TEST_LIBS)
endif
if FUZZ
noinst_PROGRAMS += tests/fuzz/fuzz_gguf
tests_fuzz_fuzz_gguf_SOURCES = tests/fuzz/fuzz_gguf.c
tests_fuzz_fuzz_gguf_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_gguf_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_gguf_LDADD = $(TEST_LIBS)
noinst_PROGRAMS += tests/fuzz/fuzz_model
tests_fuzz_fuzz_model_SOURCES = tests/fuzz/fuzz_model.c
tests_fuzz_fuzz_model_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_model_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_model_LDADD = $(TEST_LIBS)
endif
