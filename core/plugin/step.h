/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PLUGIN_STEP_H
#define PARE_PLUGIN_STEP_H

#include <jansson.h>

#include "plugin/catalog.h"

/* One step of a variant: a transform with all its parameters in canonical form. The same form goes
 * into the keys, the database and the messages to workers. `params` is an object with every
 * parameter of the plugin, keys sorted, each value one of 4, 0.5, true, "mse" a scalar of the
 * declared type (INT as JSON integer) [3, 5]                                        INTS
 *   {"plugin": "cosine", "params": {...}}         SCORED
 *   {"by": [{"on": ["**"], "value": 4}, ...]}     per unit, by hand: the last that matches wins
 *   {"allocate": {"plugin": ID, "params": {...}}, "score": {"plugin": ID, "params": {...}} or null,
 *    "per": "block"}                              per unit, decided when the stage begins
 */
struct pare_step {
    const char *stage; /* id of the stage in the pipeline */
    const struct pare_plugin_file *plugin;
    const char *const *on;     /* NULL-terminated selectors, never empty */
    const char *const *except; /* NULL-terminated, may be empty */
    int compressed;            /* propagate: compressed */
    const json_t *params;
};

#endif
