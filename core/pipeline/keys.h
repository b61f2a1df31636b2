/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_KEYS_H
#define PARE_PIPELINE_KEYS_H

#include <jansson.h>

#include "base/hash.h"
#include "base/str.h"

/* Raised by one whenever code of the host changes what a build computes, so that results of before
 * and after are never taken for each other. */
#define PARE_ENGINE_NUMERICS 5

/* Keys are SHA-256 over canonical text. Labels, paths, jobs and the threads that work are in none
 * of them (the threads of a measured shape are, in that of its latency). Pure functions; thread
 * safe. */

/* Append JSON as canonical text: keys sorted by bytes, no spaces, whole numbers as integers, others
 * in their shortest form that reads back the same. Sets s->failed when memory runs out. */
void pare_canonical_append(struct pare_str *s, const json_t *value);

/* The same as a text of its own, freed with free(); NULL: no memory. */
char *pare_canonical_text(const json_t *value);

/* The recipe of a model after some steps, built up step by step: begin with the model's content
 * hash, then add each step's canonical text. A state may be copied at any point: that is how all
 * prefixes of a variant get theirs. */
struct pare_recipe {
    struct pare_hash steps; /* what is done */
    struct pare_hash files; /* by which shared objects */
};

void pare_recipe_begin(struct pare_recipe *r, const char *model);

/* `text`: canonical text of the step; `files`: the SHA-256 of each plugin file that takes part in
 * it. */
void pare_recipe_add(struct pare_recipe *r, const char *text, const char *const *files,
                     size_t n_files);
void pare_recipe_key(const struct pare_recipe *r, char hex[PARE_HASH_HEX]);

/* The build of a recipe, which is the variant's id. `calibration`: hash of the samples read, NULL
 * when there are none; `numerics`: PARE_ENGINE_NUMERICS. */
void pare_build_key(const struct pare_recipe *r, const char *calibration, uint64_t seed,
                    unsigned numerics, char hex[PARE_HASH_HEX]);

/* One metric of one build on one set of samples (NULL for what needs none, as size). */
void pare_outcome_key(const char *build, const char *metric, const char *samples,
                      char hex[PARE_HASH_HEX]);

/* A metric by a plugin: of the plugin's file and its settings as canonical text. */
void pare_metric_key(const char *file, const char *settings, char hex[PARE_HASH_HEX]);

/* One build timed at one shape on one host, by one build of this program, in one session. */
void pare_latency_key(const char *build, unsigned batch, unsigned threads, const char *host,
                      const char *program, const char *session, char hex[PARE_HASH_HEX]);

#endif
