# SPDX-License-Identifier: Apache-2.0
# Every plugin is a module of its own that links to libc and libm alone: see <pare/plugin.h>. Each has
# its page and its test beside it.
plugin_flags = $(PARE_SANITIZE) -module -avoid-version -shared -export-symbols-regex '^pare_plugin_v1$$'
plugin_cflags = -std=c11 $(PARE_WARNINGS) $(PARE_SANITIZE) -fvisibility=hidden
plugin_cppflags = -D_GNU_SOURCE -I$(top_srcdir)/core/include

plugin_LTLIBRARIES =
plugin_tests =
dist_doc_DATA = README.md docs/abi.md docs/pipelines.md docs/plugin-api.md docs/plugin-authors.md
pluginpagesdir = $(docdir)/plugins
dist_pluginpages_DATA = docs/plugins/allocate.md docs/plugins/encoding.md docs/plugins/metric.md \
	docs/plugins/score.md docs/plugins/transform.md
EXTRA_DIST += tests/unit/allocator_test.h tests/unit/plugin_test.h tests/unit/random_bert.h \
	tests/unit/text_world.h

plugin_LTLIBRARIES += plugins/cosine/cosine.la
plugin_tests += plugins/cosine/test_cosine
dist_doc_DATA += plugins/cosine/cosine.md
plugins_cosine_cosine_la_SOURCES = plugins/cosine/cosine.c
plugins_cosine_cosine_la_CPPFLAGS = $(plugin_cppflags)
plugins_cosine_cosine_la_CFLAGS = $(plugin_cflags)
plugins_cosine_cosine_la_LDFLAGS = $(plugin_flags)
plugins_cosine_cosine_la_LIBADD = -lm
plugins_cosine_test_cosine_SOURCES = plugins/cosine/test_cosine.c
plugins_cosine_test_cosine_LDADD = $(TEST_LIBS) $(ZLIB_LIBS)

plugin_LTLIBRARIES += plugins/greedy/greedy.la
plugin_tests += plugins/greedy/test_greedy
dist_doc_DATA += plugins/greedy/greedy.md
plugins_greedy_greedy_la_SOURCES = plugins/greedy/greedy.c
plugins_greedy_greedy_la_CPPFLAGS = $(plugin_cppflags)
plugins_greedy_greedy_la_CFLAGS = $(plugin_cflags)
plugins_greedy_greedy_la_LDFLAGS = $(plugin_flags)
plugins_greedy_greedy_la_LIBADD = -lm
plugins_greedy_test_greedy_SOURCES = plugins/greedy/test_greedy.c
plugins_greedy_test_greedy_LDADD = $(TEST_LIBS) $(ZLIB_LIBS)

plugin_LTLIBRARIES += plugins/kv-quant/kv-quant.la
plugin_tests += plugins/kv-quant/test_kv-quant
dist_doc_DATA += plugins/kv-quant/kv-quant.md
plugins_kv_quant_kv_quant_la_SOURCES = plugins/kv-quant/kv-quant.c
plugins_kv_quant_kv_quant_la_CPPFLAGS = $(plugin_cppflags)
plugins_kv_quant_kv_quant_la_CFLAGS = $(plugin_cflags)
plugins_kv_quant_kv_quant_la_LDFLAGS = $(plugin_flags)
plugins_kv_quant_kv_quant_la_LIBADD = -lm
plugins_kv_quant_test_kv_quant_SOURCES = plugins/kv-quant/test_kv-quant.c
plugins_kv_quant_test_kv_quant_LDADD = $(TEST_LIBS) $(ZLIB_LIBS)

plugin_LTLIBRARIES += plugins/layer-drop/layer-drop.la
plugin_tests += plugins/layer-drop/test_layer-drop
dist_doc_DATA += plugins/layer-drop/layer-drop.md
plugins_layer_drop_layer_drop_la_SOURCES = plugins/layer-drop/layer-drop.c
plugins_layer_drop_layer_drop_la_CPPFLAGS = $(plugin_cppflags)
plugins_layer_drop_layer_drop_la_CFLAGS = $(plugin_cflags)
plugins_layer_drop_layer_drop_la_LDFLAGS = $(plugin_flags)
plugins_layer_drop_layer_drop_la_LIBADD = -lm
plugins_layer_drop_test_layer_drop_SOURCES = plugins/layer-drop/test_layer-drop.c
plugins_layer_drop_test_layer_drop_LDADD = $(TEST_LIBS) $(ZLIB_LIBS)

plugin_LTLIBRARIES += plugins/output-change/output-change.la
plugin_tests += plugins/output-change/test_output-change
dist_doc_DATA += plugins/output-change/output-change.md
plugins_output_change_output_change_la_SOURCES = plugins/output-change/output-change.c
plugins_output_change_output_change_la_CPPFLAGS = $(plugin_cppflags)
plugins_output_change_output_change_la_CFLAGS = $(plugin_cflags)
plugins_output_change_output_change_la_LDFLAGS = $(plugin_flags)
plugins_output_change_output_change_la_LIBADD = -lm
plugins_output_change_test_output_change_SOURCES = plugins/output-change/test_output-change.c
plugins_output_change_test_output_change_LDADD = $(TEST_LIBS) $(ZLIB_LIBS)

plugin_LTLIBRARIES += plugins/proportional/proportional.la
plugin_tests += plugins/proportional/test_proportional
dist_doc_DATA += plugins/proportional/proportional.md
plugins_proportional_proportional_la_SOURCES = plugins/proportional/proportional.c
plugins_proportional_proportional_la_CPPFLAGS = $(plugin_cppflags)
plugins_proportional_proportional_la_CFLAGS = $(plugin_cflags)
plugins_proportional_proportional_la_LDFLAGS = $(plugin_flags)
plugins_proportional_proportional_la_LIBADD = -lm
plugins_proportional_test_proportional_SOURCES = plugins/proportional/test_proportional.c
plugins_proportional_test_proportional_LDADD = $(TEST_LIBS) $(ZLIB_LIBS)

plugin_LTLIBRARIES += plugins/prune/prune.la
plugin_tests += plugins/prune/test_prune
dist_doc_DATA += plugins/prune/prune.md
plugins_prune_prune_la_SOURCES = plugins/prune/prune.c
plugins_prune_prune_la_CPPFLAGS = $(plugin_cppflags)
plugins_prune_prune_la_CFLAGS = $(plugin_cflags)
plugins_prune_prune_la_LDFLAGS = $(plugin_flags)
plugins_prune_prune_la_LIBADD = -lm
plugins_prune_test_prune_SOURCES = plugins/prune/test_prune.c
plugins_prune_test_prune_LDADD = $(TEST_LIBS) $(ZLIB_LIBS)

plugin_LTLIBRARIES += plugins/quantize/quantize.la
plugin_tests += plugins/quantize/test_quantize
dist_doc_DATA += plugins/quantize/quantize.md
plugins_quantize_quantize_la_SOURCES = plugins/quantize/quantize.c
plugins_quantize_quantize_la_CPPFLAGS = $(plugin_cppflags)
plugins_quantize_quantize_la_CFLAGS = $(plugin_cflags)
plugins_quantize_quantize_la_LDFLAGS = $(plugin_flags)
plugins_quantize_quantize_la_LIBADD = -lm
plugins_quantize_test_quantize_SOURCES = plugins/quantize/test_quantize.c
plugins_quantize_test_quantize_LDADD = $(TEST_LIBS) $(ZLIB_LIBS)

plugin_LTLIBRARIES += plugins/token-merge/token-merge.la
plugin_tests += plugins/token-merge/test_token-merge
dist_doc_DATA += plugins/token-merge/token-merge.md
plugins_token_merge_token_merge_la_SOURCES = plugins/token-merge/token-merge.c
plugins_token_merge_token_merge_la_CPPFLAGS = $(plugin_cppflags)
plugins_token_merge_token_merge_la_CFLAGS = $(plugin_cflags)
plugins_token_merge_token_merge_la_LDFLAGS = $(plugin_flags)
plugins_token_merge_token_merge_la_LIBADD = -lm
plugins_token_merge_test_token_merge_SOURCES = plugins/token-merge/test_token-merge.c
plugins_token_merge_test_token_merge_LDADD = $(TEST_LIBS) $(ZLIB_LIBS)

plugin_LTLIBRARIES += plugins/two-level/two-level.la
plugin_tests += plugins/two-level/test_two-level
dist_doc_DATA += plugins/two-level/two-level.md
plugins_two_level_two_level_la_SOURCES = plugins/two-level/two-level.c
plugins_two_level_two_level_la_CPPFLAGS = $(plugin_cppflags)
plugins_two_level_two_level_la_CFLAGS = $(plugin_cflags)
plugins_two_level_two_level_la_LDFLAGS = $(plugin_flags)
plugins_two_level_two_level_la_LIBADD = -lm
plugins_two_level_test_two_level_SOURCES = plugins/two-level/test_two-level.c
plugins_two_level_test_two_level_LDADD = $(TEST_LIBS) $(ZLIB_LIBS)

plugin_LTLIBRARIES += plugins/uniform/uniform.la
plugin_tests += plugins/uniform/test_uniform
dist_doc_DATA += plugins/uniform/uniform.md
plugins_uniform_uniform_la_SOURCES = plugins/uniform/uniform.c
plugins_uniform_uniform_la_CPPFLAGS = $(plugin_cppflags)
plugins_uniform_uniform_la_CFLAGS = $(plugin_cflags)
plugins_uniform_uniform_la_LDFLAGS = $(plugin_flags)
plugins_uniform_uniform_la_LIBADD = -lm
plugins_uniform_test_uniform_SOURCES = plugins/uniform/test_uniform.c
plugins_uniform_test_uniform_LDADD = $(TEST_LIBS) $(ZLIB_LIBS)

plugin_LTLIBRARIES += plugins/zd/zd.la
plugin_tests += plugins/zd/test_zd
dist_doc_DATA += plugins/zd/zd.md
plugins_zd_zd_la_SOURCES = plugins/zd/zd.c
plugins_zd_zd_la_CPPFLAGS = $(plugin_cppflags)
plugins_zd_zd_la_CFLAGS = $(plugin_cflags)
plugins_zd_zd_la_LDFLAGS = $(plugin_flags)
plugins_zd_zd_la_LIBADD = -lm
plugins_zd_test_zd_SOURCES = plugins/zd/test_zd.c
plugins_zd_test_zd_LDADD = $(TEST_LIBS) $(ZLIB_LIBS)

if HAVE_CHECK
check_PROGRAMS += $(plugin_tests) tests/unit/test_factorize tests/unit/test_text_plugins
TESTS += $(plugin_tests) tests/unit/test_factorize tests/unit/test_text_plugins
tests_unit_test_factorize_SOURCES = tests/unit/test_factorize.c
tests_unit_test_factorize_LDADD = $(TEST_LIBS) $(ZLIB_LIBS)
tests_unit_test_text_plugins_SOURCES = tests/unit/test_text_plugins.c
tests_unit_test_text_plugins_LDADD = $(TEST_LIBS) $(ZLIB_LIBS)
endif
