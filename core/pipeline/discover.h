/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_DISCOVER_H
#define PARE_PIPELINE_DISCOVER_H

#include <stdbool.h>

#include "base/status.h"

/* Plugins are looked at in a process of their own before this one loads them, so that one that
 * crashes or hangs when it is loaded is told about and left out. What was found is kept in
 * $XDG_CACHE_HOME/pare/plugins.json (~/.cache without it) by path, time, size, program and ABI. */

/* From here on every catalogue of this process asks first. `program` is this one. One thread. */
void pare_discover_first(const char *program);

/* Forget which plugins were blocked or refused: they are looked at again. */
void pare_discover_again(void);

/* "ok", "refused" (it is no plugin for this program), "blocked" (it crashed or hung), or "" of a
 * file that nobody asked for. */
const char *pare_discover_state(const char *path);

#endif
