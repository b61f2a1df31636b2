# SPDX-License-Identifier: Apache-2.0
libcore_la_SOURCES += core/base/stat.c core/base/stat.h
libhost_la_SOURCES += \
	core/select/bootstrap.c \
	core/select/compare.c \
	core/select/dominance.c core/select/dominance.h \
	core/select/front.c core/select/front_drawn.c core/select/front.h core/select/front_parts.h \
	core/select/pick.c core/select/pick.h \
	core/select/race.c core/select/race.h \
	core/select/settle.c

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_select
TESTS += tests/unit/test_select
tests_unit_test_select_SOURCES = tests/unit/test_select.c
tests_unit_test_select_LDADD = $(TEST_LIBS)
endif
