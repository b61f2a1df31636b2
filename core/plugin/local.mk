# SPDX-License-Identifier: Apache-2.0
libhost_la_SOURCES += \
	core/plugin/catalog.c core/plugin/catalog.h \
	core/plugin/context.c core/plugin/context.h \
	core/plugin/descriptor.c core/plugin/descriptor.h \
	core/plugin/distance.c \
	core/plugin/fit.c core/plugin/fit.h \
	core/plugin/fpstate.h \
	core/plugin/lapack.c \
	core/plugin/metric.c core/plugin/metric.h \
	core/plugin/open.c core/plugin/open.h \
	core/plugin/pass.c \
	core/plugin/race.c \
	core/plugin/restart.c \
	core/plugin/service_choice.c \
	core/plugin/service_data.c \
	core/plugin/service_model.c \
	core/plugin/setting.c \
	core/plugin/stage.c core/plugin/stage.h \
	core/plugin/statistics.c \
	core/plugin/step.h
libhost_la_CPPFLAGS = $(AM_CPPFLAGS) -DPARE_PLUGIN_DIR='"$(plugindir)"'

# Plugins that misbehave, for tests: modules in tests/plugins/.libs, never installed. Their flags are
# those of the real ones.
if HAVE_CHECK
host_module_flags = $(PARE_SANITIZE) -module -avoid-version -shared -rpath /nowhere
host_modules =
check_LTLIBRARIES += $(host_modules)

host_modules += tests/plugins/given-score.la
tests_plugins_given_score_la_SOURCES = tests/plugins/given-score.c
tests_plugins_given_score_la_CPPFLAGS = $(plugin_cppflags)
tests_plugins_given_score_la_CFLAGS = $(plugin_cflags)
tests_plugins_given_score_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/given-metric.la
tests_plugins_given_metric_la_SOURCES = tests/plugins/given-metric.c
tests_plugins_given_metric_la_CPPFLAGS = $(plugin_cppflags)
tests_plugins_given_metric_la_CFLAGS = $(plugin_cflags)
tests_plugins_given_metric_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-crash.la
tests_plugins_bad_crash_la_SOURCES = tests/plugins/bad-crash.c
tests_plugins_bad_crash_la_CPPFLAGS = $(plugin_cppflags)
tests_plugins_bad_crash_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_crash_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-stall.la
tests_plugins_bad_stall_la_SOURCES = tests/plugins/bad-stall.c
tests_plugins_bad_stall_la_CPPFLAGS = $(plugin_cppflags)
tests_plugins_bad_stall_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_stall_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-memory.la
tests_plugins_bad_memory_la_SOURCES = tests/plugins/bad-memory.c
tests_plugins_bad_memory_la_CPPFLAGS = $(plugin_cppflags)
tests_plugins_bad_memory_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_memory_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-nan.la
tests_plugins_bad_nan_la_SOURCES = tests/plugins/bad-nan.c
tests_plugins_bad_nan_la_CPPFLAGS = $(plugin_cppflags)
tests_plugins_bad_nan_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_nan_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-fpstate.la
tests_plugins_bad_fpstate_la_SOURCES = tests/plugins/bad-fpstate.c
tests_plugins_bad_fpstate_la_CPPFLAGS = $(plugin_cppflags)
tests_plugins_bad_fpstate_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_fpstate_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-fpload.la
tests_plugins_bad_fpload_la_SOURCES = tests/plugins/bad-fpload.c
tests_plugins_bad_fpload_la_CPPFLAGS = $(plugin_cppflags)
tests_plugins_bad_fpload_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_fpload_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-silent.la
tests_plugins_bad_silent_la_SOURCES = tests/plugins/bad-silent.c
tests_plugins_bad_silent_la_CPPFLAGS = $(plugin_cppflags)
tests_plugins_bad_silent_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_silent_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-refusal.la
tests_plugins_bad_refusal_la_SOURCES = tests/plugins/bad-refusal.c
tests_plugins_bad_refusal_la_CPPFLAGS = $(plugin_cppflags)
tests_plugins_bad_refusal_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_refusal_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-stdout.la
tests_plugins_bad_stdout_la_SOURCES = tests/plugins/bad-stdout.c
tests_plugins_bad_stdout_la_CPPFLAGS = $(plugin_cppflags)
tests_plugins_bad_stdout_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_stdout_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-kit.la
tests_plugins_bad_kit_la_SOURCES = tests/plugins/bad-kit.c
tests_plugins_bad_kit_la_CPPFLAGS = $(plugin_cppflags)
tests_plugins_bad_kit_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_kit_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-address.la
tests_plugins_bad_address_la_SOURCES = tests/plugins/bad-address.c
tests_plugins_bad_address_la_CPPFLAGS = $(plugin_cppflags)
tests_plugins_bad_address_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_address_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-files.la
tests_plugins_bad_files_la_SOURCES = tests/plugins/bad-files.c
tests_plugins_bad_files_la_CPPFLAGS = $(plugin_cppflags)
tests_plugins_bad_files_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_files_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-encoding.la
tests_plugins_bad_encoding_la_SOURCES = tests/plugins/bad-encoding.c
tests_plugins_bad_encoding_la_CPPFLAGS = $(plugin_cppflags)
tests_plugins_bad_encoding_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_encoding_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/given-encoding.la
tests_plugins_given_encoding_la_SOURCES = tests/plugins/given-encoding.c
tests_plugins_given_encoding_la_CPPFLAGS = $(plugin_cppflags) -DPLUGIN=given-encoding -DWRONG=0
tests_plugins_given_encoding_la_CFLAGS = $(plugin_cflags)
tests_plugins_given_encoding_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-scratch.la
tests_plugins_bad_scratch_la_SOURCES = tests/plugins/given-encoding.c
tests_plugins_bad_scratch_la_CPPFLAGS = $(plugin_cppflags) -DPLUGIN=bad-scratch -DWRONG=1
tests_plugins_bad_scratch_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_scratch_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-again.la
tests_plugins_bad_again_la_SOURCES = tests/plugins/bad-again.c
tests_plugins_bad_again_la_CPPFLAGS = $(plugin_cppflags)
tests_plugins_bad_again_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_again_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-load.la
tests_plugins_bad_load_la_SOURCES = tests/plugins/bad-load.c
tests_plugins_bad_load_la_CPPFLAGS = $(plugin_cppflags)
tests_plugins_bad_load_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_load_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-hang.la
tests_plugins_bad_hang_la_SOURCES = tests/plugins/bad-load.c
tests_plugins_bad_hang_la_CPPFLAGS = $(plugin_cppflags) -DHANG
tests_plugins_bad_hang_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_hang_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-end.la
tests_plugins_bad_end_la_SOURCES = tests/plugins/bad-end.c
tests_plugins_bad_end_la_CPPFLAGS = $(plugin_cppflags)
tests_plugins_bad_end_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_end_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/young-plugin.la
tests_plugins_young_plugin_la_SOURCES = tests/plugins/young-plugin.c
tests_plugins_young_plugin_la_CPPFLAGS = $(plugin_cppflags)
tests_plugins_young_plugin_la_CFLAGS = $(plugin_cflags)
tests_plugins_young_plugin_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-noentry.la
tests_plugins_bad_noentry_la_SOURCES = tests/plugins/bad-noentry.c
tests_plugins_bad_noentry_la_CPPFLAGS = $(plugin_cppflags)
tests_plugins_bad_noentry_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_noentry_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-reach.la
tests_plugins_bad_reach_la_SOURCES = tests/plugins/bad-reach.c
tests_plugins_bad_reach_la_CPPFLAGS = $(plugin_cppflags)
tests_plugins_bad_reach_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_reach_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-score.la
tests_plugins_bad_score_la_SOURCES = tests/plugins/bad-score.c
tests_plugins_bad_score_la_CPPFLAGS = $(plugin_cppflags)
tests_plugins_bad_score_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_score_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-fastmath.la
tests_plugins_bad_fastmath_la_SOURCES = tests/plugins/bad-fastmath.c
tests_plugins_bad_fastmath_la_CPPFLAGS = $(plugin_cppflags)
tests_plugins_bad_fastmath_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_fastmath_la_LDFLAGS = $(host_module_flags) -XCClinker -ffast-math

host_modules += tests/plugins/bad-abi.la
tests_plugins_bad_abi_la_SOURCES = tests/plugins/bad-head.c
tests_plugins_bad_abi_la_CPPFLAGS = $(plugin_cppflags) -DPLUGIN=bad-abi -DWRONG=ABI
tests_plugins_bad_abi_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_abi_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-null.la
tests_plugins_bad_null_la_SOURCES = tests/plugins/bad-head.c
tests_plugins_bad_null_la_CPPFLAGS = $(plugin_cppflags) -DPLUGIN=bad-null -DWRONG=NOTHING
tests_plugins_bad_null_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_null_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-size.la
tests_plugins_bad_size_la_SOURCES = tests/plugins/bad-head.c
tests_plugins_bad_size_la_CPPFLAGS = $(plugin_cppflags) -DPLUGIN=bad-size -DWRONG=SIZE
tests_plugins_bad_size_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_size_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-name.la
tests_plugins_bad_name_la_SOURCES = tests/plugins/bad-head.c
tests_plugins_bad_name_la_CPPFLAGS = $(plugin_cppflags) -DPLUGIN=bad-name -DWRONG=NAME
tests_plugins_bad_name_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_name_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-entry.la
tests_plugins_bad_entry_la_SOURCES = tests/plugins/bad-head.c
tests_plugins_bad_entry_la_CPPFLAGS = $(plugin_cppflags) -DPLUGIN=bad-entry -DWRONG=ENTRY
tests_plugins_bad_entry_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_entry_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-measure.la
tests_plugins_bad_measure_la_SOURCES = tests/plugins/bad-head.c
tests_plugins_bad_measure_la_CPPFLAGS = $(plugin_cppflags) -DPLUGIN=bad-measure -DWRONG=MEASURE
tests_plugins_bad_measure_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_measure_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-units.la
tests_plugins_bad_units_la_SOURCES = tests/plugins/bad-head.c
tests_plugins_bad_units_la_CPPFLAGS = $(plugin_cppflags) -DPLUGIN=bad-units -DWRONG=UNITS
tests_plugins_bad_units_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_units_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-kind.la
tests_plugins_bad_kind_la_SOURCES = tests/plugins/bad-head.c
tests_plugins_bad_kind_la_CPPFLAGS = $(plugin_cppflags) -DPLUGIN=bad-kind -DWRONG=KIND
tests_plugins_bad_kind_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_kind_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-type.la
tests_plugins_bad_type_la_SOURCES = tests/plugins/bad-head.c
tests_plugins_bad_type_la_CPPFLAGS = $(plugin_cppflags) -DPLUGIN=bad-type -DWRONG=TYPE
tests_plugins_bad_type_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_type_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-default.la
tests_plugins_bad_default_la_SOURCES = tests/plugins/bad-head.c
tests_plugins_bad_default_la_CPPFLAGS = $(plugin_cppflags) -DPLUGIN=bad-default -DWRONG=DEFAULT
tests_plugins_bad_default_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_default_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-twice.la
tests_plugins_bad_twice_la_SOURCES = tests/plugins/bad-head.c
tests_plugins_bad_twice_la_CPPFLAGS = $(plugin_cppflags) -DPLUGIN=bad-twice -DWRONG=TWICE
tests_plugins_bad_twice_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_twice_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-bounds.la
tests_plugins_bad_bounds_la_SOURCES = tests/plugins/bad-head.c
tests_plugins_bad_bounds_la_CPPFLAGS = $(plugin_cppflags) -DPLUGIN=bad-bounds -DWRONG=BOUNDS
tests_plugins_bad_bounds_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_bounds_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-when.la
tests_plugins_bad_when_la_SOURCES = tests/plugins/bad-head.c
tests_plugins_bad_when_la_CPPFLAGS = $(plugin_cppflags) -DPLUGIN=bad-when -DWRONG=WHEN
tests_plugins_bad_when_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_when_la_LDFLAGS = $(host_module_flags)

host_modules += tests/plugins/bad-count.la
tests_plugins_bad_count_la_SOURCES = tests/plugins/bad-head.c
tests_plugins_bad_count_la_CPPFLAGS = $(plugin_cppflags) -DPLUGIN=bad-count -DWRONG=COUNT
tests_plugins_bad_count_la_CFLAGS = $(plugin_cflags)
tests_plugins_bad_count_la_LDFLAGS = $(host_module_flags)

check_PROGRAMS += tests/unit/test_plugin_host tests/unit/test_race
TESTS += tests/unit/test_plugin_host tests/unit/test_race
tests_unit_test_race_SOURCES = tests/unit/test_race.c
EXTRA_DIST += tests/fixtures/fashion-vit.race tests/fixtures/make_race.py
tests_unit_test_race_LDADD = $(TEST_LIBS)
tests_unit_test_plugin_host_SOURCES = tests/unit/test_plugin_host.c
tests_unit_test_plugin_host_LDADD = $(TEST_LIBS) $(ZLIB_LIBS)
endif
