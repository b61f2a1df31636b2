/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_BASE_CPU_H
#define PARE_BASE_CPU_H

/* CPUs that this process may run on: those of its affinity mask, at least 1. Any thread. */
unsigned pare_cpu_count(void);

#endif
