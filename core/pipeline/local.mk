# SPDX-License-Identifier: Apache-2.0
libhost_la_SOURCES += \
	core/pipeline/choose.c core/pipeline/choose_store.c core/pipeline/choose.h \
	core/pipeline/ask.c core/pipeline/ask.h core/pipeline/child.c core/pipeline/child.h \
	core/pipeline/confine.c core/pipeline/confine.h \
	core/pipeline/confine_calls.c core/pipeline/confine_calls.h \
	core/pipeline/discover.c core/pipeline/discover.h \
	core/pipeline/setup.c core/pipeline/setup.h \
	core/pipeline/diag.c core/pipeline/diag.h \
	core/pipeline/init.c core/pipeline/init.h \
	core/pipeline/keys.c core/pipeline/keys.h \
	core/pipeline/label.c core/pipeline/label.h \
	core/pipeline/message.c core/pipeline/message.h \
	core/pipeline/plan.c core/pipeline/plan.h core/pipeline/plan_parts.h \
	core/pipeline/plan_describe.c core/pipeline/plan_finish.c core/pipeline/plan_json.c \
	core/pipeline/plan_ways.c \
	core/pipeline/run.c core/pipeline/run.h core/pipeline/run_parts.h \
	core/pipeline/run_build.c core/pipeline/run_commit.c core/pipeline/run_data.c \
	core/pipeline/run_finish.c core/pipeline/run_limits.c core/pipeline/run_phase.h \
	core/pipeline/run_plan.c \
	core/pipeline/run_race.c core/pipeline/run_share.c core/pipeline/run_share.h \
	core/pipeline/run_time.c core/pipeline/run_view.c \
	core/pipeline/reference.c core/pipeline/reference.h \
	core/pipeline/schema.c core/pipeline/schema.h \
	core/pipeline/spec.c core/pipeline/spec.h core/pipeline/spec_parts.h \
	core/pipeline/spec_env.c core/pipeline/spec_env.h \
	core/pipeline/spec_select.c core/pipeline/spec_stages.c \
	core/pipeline/values.c core/pipeline/values.h core/pipeline/values_parts.h \
	core/pipeline/values_settings.c core/pipeline/values_units.c \
	core/pipeline/worker.c core/pipeline/worker.h \
	core/pipeline/yaml.c core/pipeline/yaml_set.c core/pipeline/yaml.h \
	core/select/constraint.c core/select/constraint.h

pipeline_corpus = \
	tests/fuzz/corpus/yaml/full.yaml \
	tests/fuzz/corpus/yaml/groups.yaml \
	tests/fuzz/corpus/yaml/laughs.yaml \
	tests/fuzz/corpus/yaml/layerwise.yaml \
	tests/fuzz/corpus/yaml/mistakes.yaml
EXTRA_DIST += bench/cheap.sh $(pipeline_corpus) tests/unit/pipeline_env.h

if HAVE_CHECK
pipeline_tests = tests/unit/test_yaml tests/unit/test_plan tests/fuzz/replay_yaml
check_PROGRAMS += $(pipeline_tests)
TESTS += $(pipeline_tests)
tests_unit_test_yaml_SOURCES = tests/unit/test_yaml.c
tests_unit_test_yaml_LDADD = $(TEST_LIBS)
tests_unit_test_plan_SOURCES = tests/unit/test_plan.c
tests_unit_test_plan_LDADD = $(TEST_LIBS)
# The fuzz target over its corpus, with an ordinary main.
tests_fuzz_replay_yaml_SOURCES = tests/fuzz/fuzz_yaml.c tests/fuzz/replay.h
tests_fuzz_replay_yaml_CPPFLAGS = $(AM_CPPFLAGS) -DPARE_REPLAY
tests_fuzz_replay_yaml_LDADD = $(TEST_LIBS)
endif

if FUZZ
noinst_PROGRAMS += tests/fuzz/fuzz_yaml
tests_fuzz_fuzz_yaml_SOURCES = tests/fuzz/fuzz_yaml.c
tests_fuzz_fuzz_yaml_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_yaml_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_yaml_LDADD = $(TEST_LIBS)
endif
