# SPDX-License-Identifier: Apache-2.0
libhost_la_SOURCES += \
	core/kit/check.c core/kit/check.h core/kit/check_parts.h \
	core/kit/check_encoding.c core/kit/check_file.c core/kit/check_metric.c \
	core/kit/check_runs.c \
	core/kit/check_settings.c \
	core/kit/check_world.c \
	core/kit/new.c core/kit/new.h core/kit/new_parts.h
nodist_libhost_la_SOURCES += core/kit/templates.c

# What `pare plugin new` writes.
plugin_templates = \
	share/template/transform.c share/template/score.c share/template/allocate.c share/template/encoding.c \
	share/template/metric.c share/template/metric.yaml \
	share/template/transform.yaml share/template/score.yaml share/template/allocate.yaml share/template/encoding.yaml \
	share/template/Makefile share/template/meson.build share/template/test.sh \
	share/template/transform.7 share/template/score.7 share/template/allocate.7 share/template/encoding.7 \
	share/template/metric.7 share/template/ci.yml
core/kit/templates.c: $(plugin_templates) core/kit/embed.awk
	$(AM_V_GEN)$(MKDIR_P) core/kit && cd $(srcdir) && \
	LC_ALL=C $(AWK) -f core/kit/embed.awk $(plugin_templates) > $(abs_top_builddir)/core/kit/templates.c.part && \
	mv $(abs_top_builddir)/core/kit/templates.c.part $(abs_top_builddir)/core/kit/templates.c
CLEANFILES += core/kit/templates.c
EXTRA_DIST += core/kit/embed.awk $(plugin_templates)
