/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_BASE_CLOCK_H
#define PARE_BASE_CLOCK_H

#include <stdint.h>

uint64_t pare_clock_ns(void);      /* CLOCK_MONOTONIC_RAW, for timing */
double pare_clock_seconds(void);   /* the same in seconds */
void pare_clock_utc(char out[32]); /* now, as 2026-11-23T02:27:58.123Z */

#endif
