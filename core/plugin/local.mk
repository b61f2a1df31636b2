# SPDX-License-Identifier: Apache-2.0
libhost_la_SOURCES += \
	core/plugin/catalog.c core/plugin/catalog.h \
	core/plugin/context.c core/plugin/context.h \
	core/plugin/descriptor.c core/plugin/descriptor.h \
	core/plugin/distance.c \
	core/plugin/fit.c core/plugin/fit.h \
	core/plugin/fpstate.h \
	core/plugin/lapack.c \
	core/plugin/restart.c \
	core/plugin/service_choice.c \
	core/plugin/service_data.c \
	core/plugin/service_model.c \
	core/plugin/setting.c \
	core/plugin/stage.c core/plugin/stage.h \
	core/plugin/statistics.c \
	core/plugin/step.h
libhost_la_CPPFLAGS = $(AM_CPPFLAGS) -DPARE_PLUGIN_DIR='"$(plugindir)"'
