# SPDX-License-Identifier: Apache-2.0
# libcli.la holds everything but main(), so that tests can link it.
noinst_LTLIBRARIES += libcli.la
libcli_la_CPPFLAGS = $(AM_CPPFLAGS) -DPARE_VERSION='"$(PACKAGE_VERSION)"' \
	-DPARE_DATA_DIR='"$(pkgdatadir)"'
libcli_la_SOURCES = \
	core/cli/cmd_apply.c \
	core/cli/cmd_bench.c \
	core/cli/cmd_complete.c \
	core/cli/cmd_db.c \
	core/cli/cmd_diff.c \
	core/cli/cmd_eval.c \
	core/cli/cmd_export.c \
	core/cli/cmd_generate.c \
	core/cli/eval_metric.c core/cli/eval_metric.h \
	core/cli/eval_text.c core/cli/eval_text.h \
	core/cli/cmd_front.c core/cli/front_view.c core/cli/front_view.h \
	core/cli/cmd_help.c \
	core/cli/cmd_init.c \
	core/cli/cmd_list.c \
	core/cli/cmd_model.c \
	core/cli/cmd_note.c \
	core/cli/cmd_pick.c \
	core/cli/cmd_plan.c \
	core/cli/cmd_plugin.c \
	core/cli/cmd_plugins.c \
	core/cli/cmd_predict.c \
	core/cli/cmd_query.c \
	core/cli/cmd_run.c \
	core/cli/cmd_schema.c \
	core/cli/cmd_show.c \
	core/cli/cmd_tag.c \
	core/cli/cmd_why.c \
	core/cli/cmd_worker.c \
	core/cli/command.c core/cli/command.h \
	core/cli/commands.c core/cli/commands.h \
	core/cli/progress.c core/cli/progress.h \
	core/cli/show.c core/cli/show.h \
	core/cli/show_cost.c core/cli/show_cost.h \
	core/cli/show_plot.c core/cli/show_plot.h \
	core/cli/show_profile.c core/cli/show_profile.h \
	core/cli/table.c core/cli/table.h

bin_PROGRAMS += pare
pare_CPPFLAGS = $(libcli_la_CPPFLAGS)
pare_SOURCES = core/cli/main.c
pare_LDADD = libcli.la libhost.la libcore.la

# A database with known figures, for tests of the commands that read.
check_PROGRAMS += tests/e2e/fill_store
tests_e2e_fill_store_SOURCES = tests/e2e/fill_store.c
tests_e2e_fill_store_LDADD = libhost.la libcore.la

cli_e2e = tests/e2e/cli-complete.sh tests/e2e/cli-front.sh tests/e2e/cli-input.sh tests/e2e/cli-labelled.sh \
	tests/e2e/cli-model.sh tests/e2e/cli-text.sh
dist_check_SCRIPTS += $(cli_e2e)
TESTS += $(cli_e2e)

man_MANS += docs/pare.1
EXTRA_DIST += docs/pare.1
bashcompdir = $(datadir)/bash-completion/completions
dist_bashcomp_DATA = share/completions/pare.bash
fishcompdir = $(datadir)/fish/vendor_completions.d
dist_fishcomp_DATA = share/completions/pare.fish
zshcompdir = $(datadir)/zsh/site-functions
EXTRA_DIST += share/completions/pare.zsh
install-data-local: # zsh goes by the file's name
	$(MKDIR_P) '$(DESTDIR)$(zshcompdir)'
	$(INSTALL_DATA) $(srcdir)/share/completions/pare.zsh '$(DESTDIR)$(zshcompdir)/_pare'
uninstall-local:
	rm -f '$(DESTDIR)$(zshcompdir)/_pare'
