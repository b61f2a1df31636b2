/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PLUGIN_OPEN_H
#define PARE_PLUGIN_OPEN_H

#include <pare/plugin.h>

#include "base/status.h"

/* Whether a plugin's struct, which can be older than ours, reaches to the end of that field. */
#define PARE_REACHES(given, field)                                                                 \
    ((given)->struct_size >= offsetof(__typeof__(*(given)), field) + sizeof((given)->field))

/* Load a shared object for good and ask for its descriptor, which is of our major version; nothing
 * else of it is checked. PARE_INVALID tells what keeps it from being a plugin, PARE_UNSUPPORTED
 * what it cannot be loaded for, which may be another file. */
int pare_plugin_open(const char *path, const struct pare_plugin **out, struct pare_error *err);

/* From here on this process cannot read all files: what to do where a library is not found, which
 * others find. A literal. */
void pare_plugin_open_narrowed(const char *hint);

#endif
