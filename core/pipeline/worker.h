/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_WORKER_H
#define PARE_PIPELINE_WORKER_H

#include <jansson.h>

#include "base/status.h"

/* The life of a worker process: take jobs from PARE_CHILD_FD until it closes, do them, answer.
 * Returns the exit status. Jobs and their answers ("type" in front of the dot is the job's): build
 * model, baseline, steps, data, seed, threads, out, about -> built: bytes, sha256, parameters,
 * macs, size_bytes, unit_values, cpu_seconds, peak_rss_bytes, macs_run, macs_naive eval    model,
 * data, batch, threads -> evaluated: n, correct, predicted, nll, target, first_logits, ... bench
 * model, data, batch, threads -> ready: first_logits visit   -> visited: ns, nivcsw, steal, load1,
 * mhz, first_logits, peak_rss_bytes check plugin, check -> checked: level, text. Any of them may be
 * answered by failed (status, what, detail, hint). Meanwhile: progress (share), log (level, text).
 */
int pare_worker_main(void);

/* Do one job in this process: for a debugger. `*answer` is a new reference. */
int pare_worker_do(const json_t *job, json_t **answer, struct pare_error *err);

#endif
