# SPDX-License-Identifier: Apache-2.0
libcore_la_SOURCES += \
	core/base/clock.c core/base/clock.h \
	core/base/cpu.c core/base/cpu.h \
	core/base/file.c core/base/file.h \
	core/base/hash.c core/base/hash.h \
	core/base/mem.c core/base/mem.h \
	core/base/random.c core/base/random.h \
	core/base/status.c core/base/status.h \
	core/base/str.c core/base/str.h
