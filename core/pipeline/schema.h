/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_SCHEMA_H
#define PARE_PIPELINE_SCHEMA_H

#include <jansson.h>

#include "plugin/catalog.h"

/* A JSON Schema (draft-07, what editors understand) of pipelines with these plugins: keys, plugins'
 * names, their parameters with help, bounds and choices. From the same descriptors that `plan`
 * checks against. A new reference; NULL: no memory. Thread safe. */
json_t *pare_schema(const struct pare_plugin_file *const *plugins, size_t n);

#endif
