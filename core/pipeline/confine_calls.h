/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_CONFINE_CALLS_H
#define PARE_PIPELINE_CONFINE_CALLS_H

#include <stdbool.h>

/* The half of confine.h that is a seccomp filter: calls that no plugin needs are refused. False:
 * errno tells why. */
bool pare_confine_calls_able(void);
bool pare_confine_calls(void);

#endif
