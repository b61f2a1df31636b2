# SPDX-License-Identifier: Apache-2.0
# libcli.la holds everything but main(), so that tests can link it.
noinst_LTLIBRARIES += libcli.la
libcli_la_CPPFLAGS = $(AM_CPPFLAGS) -DPARE_VERSION='"$(PACKAGE_VERSION)"' \
	-DPARE_DATA_DIR='"$(pkgdatadir)"'
libcli_la_SOURCES = \
	core/cli/cmd_help.c \
	core/cli/command.h \
	core/cli/commands.c core/cli/commands.h \
	core/cli/table.c core/cli/table.h

bin_PROGRAMS += pare
pare_CPPFLAGS = $(libcli_la_CPPFLAGS)
pare_SOURCES = core/cli/main.c
pare_LDADD = libcli.la libhost.la libcore.la
