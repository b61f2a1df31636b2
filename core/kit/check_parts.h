/* SPDX-License-Identifier: Apache-2.0 */
/* What the checks share. Internal to core/kit. */
#ifndef PARE_KIT_CHECK_PARTS_H
#define PARE_KIT_CHECK_PARTS_H

#include <jansson.h>

#include "base/hash.h"
#include "base/mem.h"
#include "kit/check.h"
#include "model/graph.h"
#include "model/unit.h"
#include "plugin/stage.h"

/* One check at work. */
struct pare_check {
    const char *plugin; /* as it was named */
    struct pare_catalog *catalog;
    const struct pare_plugin_file *file; /* NULL: it could not be loaded, and `why` says why */
    struct pare_error why;
    struct pare_check_result *result;
};

/* Say something about the plugin: the worst counts, of equals the first. */
void pare_check_say(struct pare_check *check, enum pare_check_level level, const char *fmt, ...)
    PARE_PRINTF(3, 4);
/* It failed there: on a model, with a setting. */
void pare_check_say_error(struct pare_check *check, const char *where,
                          const struct pare_error *why);
bool pare_check_failed(const struct pare_check *check);

/* ---- tiny models (check_world.c) */

/* A random model of a family with random calibration samples. */
struct pare_check_model {
    const char *name; /* "vit", "bert", ..., "odd vit" */
    struct pare_model *model;
    float *inputs;
    uint32_t *labels; /* NULL: its outputs are no classes */
    uint32_t n;
};
/* One per family, then those of odd shapes (widths that are prime, one head, one token more than a
 * vector); by number. False: no more, or (said) that one could not be made. */
#define PARE_CHECK_FAMILIES 4u
bool pare_check_model(struct pare_check *check, size_t i, struct pare_check_model *out);
void pare_check_model_free(struct pare_check_model *m);

/* The plugin's settings as in a pipeline: `yaml` is a map of its parameters, "{bits: 4}"; what it
 * leaves open has its default, or, where there is none, the first value worth trying. A new
 * reference; NULL: refused, and `why` (may be NULL) says so. */
json_t *pare_check_setting(struct pare_check *check, const char *yaml, struct pare_error *why);

/* How the plugin is run on a model. */
struct pare_check_use {
    const json_t *setting; /* of the plugin */
    uint32_t threads;      /* 0: 1 */
    uint64_t seed;
    const struct pare_host *host; /* NULL: the host's own */
};
/* What came out. A transform and what allocates for one give a graph; a score and a metric give
 * values. */
struct pare_check_outcome {
    int rc;
    struct pare_error err;
    char hash[PARE_HASH_HEX]; /* of the graph or the values */
    struct pare_graph *graph;
    bool no_values; /* of a metric: ordinary logits have none */
    bool own_words; /* the plugin itself said why it failed, not a service that it used wrongly */
};
void pare_check_apply(struct pare_check *check, const struct pare_check_model *m,
                      const struct pare_check_use *use, struct pare_check_outcome *out);
void pare_check_outcome_free(struct pare_check_outcome *o);
/* check_metric.c: a metric's values on what the model says and on logits that were made up; each
 * sample's is the same in batches of other sizes. */
void pare_check_measure(const struct pare_check *check, const struct pare_check_model *m,
                        struct pare_stage_env *env, const json_t *setting,
                        struct pare_check_outcome *out);
/* The plugin's defaults, and the first model where they work. */
struct pare_check_subject {
    json_t *setting;
    struct pare_check_model m;
};
/* False: they work on none, and that was said. */
bool pare_check_subject_begin(struct pare_check *check, struct pare_check_subject *s);
void pare_check_subject_end(struct pare_check_subject *s);
/* Hash of all that a graph is. */
int pare_check_graph_hash(const struct pare_graph *graph, char hash[PARE_HASH_HEX],
                          struct pare_error *err);

/* The host's first table, which notes what the plugin says; to be changed in parts. */
struct pare_host pare_check_host(void);

/* A refusal is an answer: the plugin said that it cannot, and why. What a service finds wrong with
 * its arguments is none. */
bool pare_check_refused(const struct pare_check_outcome *o);

/* ---- the checks */

/* check_file.c */
void pare_check_handshake(struct pare_check *check);
void pare_check_symbols(struct pare_check *check);
void pare_check_libraries(struct pare_check *check);
void pare_check_load_time(struct pare_check *check);
void pare_check_metadata(struct pare_check *check);
/* check_settings.c */
void pare_check_parameters(struct pare_check *check);
void pare_check_in_range(struct pare_check *check);
void pare_check_out_of_range(struct pare_check *check);
void pare_check_identity(struct pare_check *check);
void pare_check_layer_wise(struct pare_check *check);
/* check_runs.c */
void pare_check_families(struct pare_check *check);
void pare_check_odd_shapes(struct pare_check *check);
void pare_check_same_bytes(struct pare_check *check);
void pare_check_quiet(struct pare_check *check);
void pare_check_leaks(struct pare_check *check);
void pare_check_no_memory(struct pare_check *check);
void pare_check_no_extension(struct pare_check *check);
void pare_check_cancel(struct pare_check *check);
void pare_check_size(struct pare_check *check);
/* check_encoding.c */
void pare_check_kernel(struct pare_check *check);
void pare_check_bytes(struct pare_check *check);

#endif
