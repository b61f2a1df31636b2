/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_SETUP_H
#define PARE_PIPELINE_SETUP_H

#include "pipeline/values.h"

/* What a worker is told before its first job: what it may touch, before any plugin is loaded, and
 * the files of the encodings that models can name, which are loaded when one does. */
struct pare_setup {
    const struct pare_used *used; /* plugins; NULL: those of the search path only */
    bool confine;
    const json_t *reads; /* paths of models and data; NULL: none */
    const char *writes;  /* a folder; NULL: none */
};

/* As a message, with the links below what is read, whose targets are allowed, too. A new reference;
 * NULL: memory ran out. */
json_t *pare_setup_new(const struct pare_setup *setup);

/* In the worker: do as told. */
int pare_setup_follow(const json_t *setup, struct pare_error *err);

#endif
