# SPDX-License-Identifier: Apache-2.0
# Every plugin is a module of its own that links to libc and libm alone: see <pare/plugin.h>.
plugin_flags = $(PARE_SANITIZE) -module -avoid-version -shared -export-symbols-regex '^pare_plugin_v1$$'
plugin_cflags = -std=c11 $(PARE_WARNINGS) $(PARE_SANITIZE) -fvisibility=hidden
plugin_cppflags = -D_GNU_SOURCE -I$(top_srcdir)/core/include

plugin_LTLIBRARIES =

plugin_LTLIBRARIES += plugins/cosine/cosine.la
plugins_cosine_cosine_la_SOURCES = plugins/cosine/cosine.c
plugins_cosine_cosine_la_CPPFLAGS = $(plugin_cppflags)
plugins_cosine_cosine_la_CFLAGS = $(plugin_cflags)
plugins_cosine_cosine_la_LDFLAGS = $(plugin_flags)
plugins_cosine_cosine_la_LIBADD = -lm

plugin_LTLIBRARIES += plugins/greedy/greedy.la
plugins_greedy_greedy_la_SOURCES = plugins/greedy/greedy.c
plugins_greedy_greedy_la_CPPFLAGS = $(plugin_cppflags)
plugins_greedy_greedy_la_CFLAGS = $(plugin_cflags)
plugins_greedy_greedy_la_LDFLAGS = $(plugin_flags)
plugins_greedy_greedy_la_LIBADD = -lm

plugin_LTLIBRARIES += plugins/layer-drop/layer-drop.la
plugins_layer_drop_layer_drop_la_SOURCES = plugins/layer-drop/layer-drop.c
plugins_layer_drop_layer_drop_la_CPPFLAGS = $(plugin_cppflags)
plugins_layer_drop_layer_drop_la_CFLAGS = $(plugin_cflags)
plugins_layer_drop_layer_drop_la_LDFLAGS = $(plugin_flags)
plugins_layer_drop_layer_drop_la_LIBADD = -lm

plugin_LTLIBRARIES += plugins/output-change/output-change.la
plugins_output_change_output_change_la_SOURCES = plugins/output-change/output-change.c
plugins_output_change_output_change_la_CPPFLAGS = $(plugin_cppflags)
plugins_output_change_output_change_la_CFLAGS = $(plugin_cflags)
plugins_output_change_output_change_la_LDFLAGS = $(plugin_flags)
plugins_output_change_output_change_la_LIBADD = -lm

plugin_LTLIBRARIES += plugins/proportional/proportional.la
plugins_proportional_proportional_la_SOURCES = plugins/proportional/proportional.c
plugins_proportional_proportional_la_CPPFLAGS = $(plugin_cppflags)
plugins_proportional_proportional_la_CFLAGS = $(plugin_cflags)
plugins_proportional_proportional_la_LDFLAGS = $(plugin_flags)
plugins_proportional_proportional_la_LIBADD = -lm

plugin_LTLIBRARIES += plugins/prune/prune.la
plugins_prune_prune_la_SOURCES = plugins/prune/prune.c
plugins_prune_prune_la_CPPFLAGS = $(plugin_cppflags)
plugins_prune_prune_la_CFLAGS = $(plugin_cflags)
plugins_prune_prune_la_LDFLAGS = $(plugin_flags)
plugins_prune_prune_la_LIBADD = -lm

plugin_LTLIBRARIES += plugins/quantize/quantize.la
plugins_quantize_quantize_la_SOURCES = plugins/quantize/quantize.c
plugins_quantize_quantize_la_CPPFLAGS = $(plugin_cppflags)
plugins_quantize_quantize_la_CFLAGS = $(plugin_cflags)
plugins_quantize_quantize_la_LDFLAGS = $(plugin_flags)
plugins_quantize_quantize_la_LIBADD = -lm

plugin_LTLIBRARIES += plugins/token-merge/token-merge.la
plugins_token_merge_token_merge_la_SOURCES = plugins/token-merge/token-merge.c
plugins_token_merge_token_merge_la_CPPFLAGS = $(plugin_cppflags)
plugins_token_merge_token_merge_la_CFLAGS = $(plugin_cflags)
plugins_token_merge_token_merge_la_LDFLAGS = $(plugin_flags)
plugins_token_merge_token_merge_la_LIBADD = -lm

plugin_LTLIBRARIES += plugins/two-level/two-level.la
plugins_two_level_two_level_la_SOURCES = plugins/two-level/two-level.c
plugins_two_level_two_level_la_CPPFLAGS = $(plugin_cppflags)
plugins_two_level_two_level_la_CFLAGS = $(plugin_cflags)
plugins_two_level_two_level_la_LDFLAGS = $(plugin_flags)
plugins_two_level_two_level_la_LIBADD = -lm

plugin_LTLIBRARIES += plugins/uniform/uniform.la
plugins_uniform_uniform_la_SOURCES = plugins/uniform/uniform.c
plugins_uniform_uniform_la_CPPFLAGS = $(plugin_cppflags)
plugins_uniform_uniform_la_CFLAGS = $(plugin_cflags)
plugins_uniform_uniform_la_LDFLAGS = $(plugin_flags)
plugins_uniform_uniform_la_LIBADD = -lm

plugin_LTLIBRARIES += plugins/zd/zd.la
plugins_zd_zd_la_SOURCES = plugins/zd/zd.c
plugins_zd_zd_la_CPPFLAGS = $(plugin_cppflags)
plugins_zd_zd_la_CFLAGS = $(plugin_cflags)
plugins_zd_zd_la_LDFLAGS = $(plugin_flags)
plugins_zd_zd_la_LIBADD = -lm
