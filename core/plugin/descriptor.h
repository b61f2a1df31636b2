/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PLUGIN_DESCRIPTOR_H
#define PARE_PLUGIN_DESCRIPTOR_H

#include <jansson.h>
#include <stdbool.h>

#include "base/mem.h"
#include "plugin/catalog.h"

/* Copy a plugin's descriptor into `out->desc`, as much as both sides know, and check all of it:
 * sizes, identity, entry points, parameters. */
int pare_descriptor_take(const struct pare_plugin *theirs, struct pare_plugin_file *out,
                         struct pare_error *err);

/* Ids are also names of files: lower case, digits, '-', '_' and '.', which does not come first. */
bool pare_plugin_id_is_plain(const char *id);

/* Whether an id is in a descriptor's `precedes` or `follows`, "a,b", which may be NULL. */
bool pare_plugin_lists(const char *list, const char *id);

/* The selectors of a descriptor's `on` or `except`, "a,b" (`*` is all: `**`), as a NULL-terminated
 * list in the pool; NULL: memory ran out. */
const char **pare_descriptor_selectors(struct pare_pool *pool, const char *text);

/* Whether a value in text is of the parameter's type and within its bounds; `why` (may be NULL)
 * gets what was expected. */
int pare_param_check_text(const struct pare_param *param, const char *text, struct pare_error *err);

/* Whether the parameter has a part in this setting of its plugin (`when`), and whether the plugin
 * needs what it declares for it (`needs_when`). */
bool pare_param_counts(const struct pare_param *param, const json_t *setting);
bool pare_plugin_needs(const struct pare_plugin *plugin, const json_t *setting);

#endif
