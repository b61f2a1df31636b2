/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_CONFINE_H
#define PARE_PIPELINE_CONFINE_H

#include <jansson.h>

#include "base/status.h"

/* A worker gives up what its plugins have no use for: files by Landlock; the network, programs and
 * other processes by a seccomp filter. What is refused fails with EACCES or EPERM, as it does
 * everywhere, so that a plugin can say so. */
enum { PARE_CONFINE_FILES = 1, PARE_CONFINE_CALLS = 2 };

/* Which of them this kernel has. */
unsigned pare_confine_able(void);

/* What that leaves open, as a note for people; NULL: nothing. */
const char *pare_confine_note(void);

/* Do so, for good: this thread, which has to be the only one yet, and those it starts. Besides what
 * programs need, files can be read below `read` and `write` (arrays of paths; links are followed)
 * and made, changed and removed below `write`. A path that is not there is passed over, and so is
 * what the kernel lacks; an error is that it has it and refuses. */
int pare_confine(const json_t *read, const json_t *write, struct pare_error *err);

#endif
