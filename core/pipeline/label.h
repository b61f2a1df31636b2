/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_LABEL_H
#define PARE_PIPELINE_LABEL_H

#include <jansson.h>

#include <pare/plugin.h>

#include "base/mem.h"
#include "base/str.h"

/* Append the text that a parameter's canonical value has in labels: 4, mse, "1,2"; for what a
 * plugin decides its id; "mixed" for values by hand. */
void pare_label_value(struct pare_str *s, const json_t *value);

/* The part of a label that a stage with one setting gives: the template with {name} replaced by the
 * parameter's value. Strings are the pool's; NULL: no memory. */
const char *pare_label_piece(struct pare_pool *pool, const char *template, const json_t *params);

/* The pieces of all settings of a stage (n = size of the array), made different by [key=value]
 * where two would be the same. False: no memory. */
bool pare_label_pieces(struct pare_pool *pool, const char *template, const json_t *settings,
                       const char **pieces);

/* Whether a template is well formed for the plugin; else *name (up to `size` bytes) is the
 * parameter that it lacks, or empty when a brace is not closed. */
bool pare_label_check(const char *template, const struct pare_plugin *plugin, char *name,
                      size_t size);

#endif
