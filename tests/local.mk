# SPDX-License-Identifier: Apache-2.0
# Unit tests use Check and report in TAP, so that every case counts. One program per module.
TEST_LIBS = libhost.la libcore.la $(CHECK_LIBS)
EXTRA_DIST += tests/unit/test.h

if HAVE_CHECK
unit_tests = tests/unit/test_base tests/unit/test_model
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
tests_unit_test_base_SOURCES = tests/unit/test_base.c
tests_unit_test_base_LDADD = $(TEST_LIBS)
tests_unit_test_model_SOURCES = tests/unit/test_model.c
tests_unit_test_model_LDADD = $(TEST_LIBS)
endif
