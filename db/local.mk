# SPDX-License-Identifier: Apache-2.0
libhost_la_SOURCES += \
	db/store.h db/store_private.h \
	db/store_open.c db/store_file.c db/store_plan.c db/store_run.c db/store_texts.c db/store_latency.c \
	db/store_query.c db/store_trials.c db/store_details.c
nodist_libhost_la_SOURCES += db/sql.c

# The order matters: the schema, the views, then the named queries.
named_queries = \
	db/queries/smallest-not-slower.sql \
	db/queries/plugin-effects.sql \
	db/queries/bits-by-pattern.sql \
	db/queries/failed.sql \
	db/queries/rebuilt.sql \
	db/queries/baseline-drift.sql \
	db/queries/unit-bits.sql \
	db/queries/class-accuracy.sql \
	db/queries/cpu-hours.sql \
	db/queries/whose-file.sql
sql_files = db/schema.sql db/views.sql $(named_queries)
db/sql.c: $(sql_files) db/embed.awk
	$(AM_V_GEN)$(MKDIR_P) db && cd $(srcdir) && \
	LC_ALL=C $(AWK) -f db/embed.awk $(sql_files) > $(abs_top_builddir)/db/sql.c.part && \
	mv $(abs_top_builddir)/db/sql.c.part $(abs_top_builddir)/db/sql.c
CLEANFILES += db/sql.c
EXTRA_DIST += db/embed.awk

sqldir = $(pkgdatadir)/db
dist_sql_DATA = db/schema.sql db/views.sql db/README.md
sqlqueriesdir = $(pkgdatadir)/db/queries
dist_sqlqueries_DATA = $(named_queries)

if HAVE_CHECK
check_PROGRAMS += tests/unit/test_store
TESTS += tests/unit/test_store
tests_unit_test_store_SOURCES = tests/unit/test_store.c
tests_unit_test_store_LDADD = $(TEST_LIBS)
endif
