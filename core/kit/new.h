/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_KIT_NEW_H
#define PARE_KIT_NEW_H

#include "base/status.h"

/* Write a plugin to start from into `folder`, which is made and must not be there: source, Makefile
 * and meson.build, test, manual page, pipeline and an example for CI. `name`: "drop-small", or an
 * id of its own, "com.example.drop-small"; `kind`: "transform", "score", "allocate", "encoding" or
 * "metric"; `share`: the folder of Pare's own models and data, for the pipeline. PARE_INVALID: no
 * name for a file, no such kind, a folder that is there. */
int pare_plugin_new(const char *name, const char *kind, const char *folder, const char *share,
                    struct pare_error *err);

#endif
