/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_SETUP_H
#define PARE_PIPELINE_SETUP_H

#include "pipeline/values.h"

/* What a worker is told before its first job: the files of the encodings that models can name. A
 * new reference; NULL: memory ran out. */
json_t *pare_setup_new(const struct pare_used *used);

/* In the worker: do as told. */
int pare_setup_follow(const json_t *setup, struct pare_catalog *catalog, struct pare_error *err);

#endif
