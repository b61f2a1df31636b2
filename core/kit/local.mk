# SPDX-License-Identifier: Apache-2.0
libhost_la_SOURCES += \
	core/kit/check.c core/kit/check.h core/kit/check_parts.h \
	core/kit/check_file.c \
	core/kit/check_runs.c \
	core/kit/check_settings.c \
	core/kit/check_world.c
