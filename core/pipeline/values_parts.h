/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_VALUES_PARTS_H
#define PARE_PIPELINE_VALUES_PARTS_H

#include "pipeline/values.h"

/* Between values.c (scalars and lists), values_units.c (what varies over units, plugins within
 * parameters) and values_settings.c (whole settings). All return a new reference, or NULL when
 * something is wrong, which was said. */

/* `outer`: lists, try, range and search may stand here. */
json_t *pare_checked_value(struct pare_checker *c, const struct pare_plugin_file *plugin,
                           const struct pare_param *p, const struct pare_yaml *node, bool outer);
json_t *pare_checked_single(struct pare_checker *c, json_t *value);
json_t *pare_checked_own_text(struct pare_checker *c, const struct pare_plugin_file *plugin,
                              const struct pare_param *p, const char *text,
                              const struct pare_yaml *at);
json_t *pare_checked_by(struct pare_checker *c, const struct pare_plugin_file *plugin,
                        const struct pare_param *p, const struct pare_yaml *map);
json_t *pare_checked_allocate(struct pare_checker *c, const struct pare_plugin_file *plugin,
                              const struct pare_param *p, const struct pare_yaml *map);
json_t *pare_checked_scored(struct pare_checker *c, const struct pare_plugin_file *plugin,
                            const struct pare_param *p, const struct pare_yaml *node);
json_t *pare_checked_nomem(struct pare_checker *c);

#endif
