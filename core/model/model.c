/* SPDX-License-Identifier: Apache-2.0 */
/* Models as a whole: families, hashes, another graph. */
#include "model/model.h"
#include "base/mem.h"
#include "model/encoding.h"
#include "model/family_parts.h"
#include "model/native.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct pare_family *const families[] = {&pare_family_vit, &pare_family_llama,
                                                     &pare_family_gpt2, &pare_family_bert};

const struct pare_family *pare_family_find(const char *name)
{
    for (size_t i = 0; i < PARE_COUNT(families); i++) {
        if (strcmp(families[i]->name, name) == 0)
            return families[i];
    }
    return NULL;
}

const struct pare_family *pare_family_of(const char *model_type)
{
    for (size_t i = 0; model_type && i < PARE_COUNT(families); i++) {
        for (const char *const *t = families[i]->model_types; *t; t++) {
            if (strcmp(*t, model_type) == 0)
                return families[i];
        }
    }
    return NULL;
}

void pare_family_names(char out[128])
{
    size_t at = 0;
    for (size_t i = 0; i < PARE_COUNT(families); i++)
        at += (size_t)snprintf(out + at, 128 - at, "%s%s", i ? ", " : "", families[i]->name);
}

void pare_family_types(char out[256])
{
    size_t at = 0;
    for (size_t i = 0; i < PARE_COUNT(families); i++) {
        for (const char *const *t = families[i]->model_types; *t; t++)
            at += (size_t)snprintf(out + at, 256 - at, "%s%s", at ? ", " : "", *t);
    }
}

void pare_model_free(struct pare_model *model)
{
    if (!model)
        return;
    pare_graph_free(model->graph);
    for (uint32_t i = 0; i < model->n_labels; i++)
        free(model->labels[i]);
    free(model->labels);
    free(model->family);
    json_decref(model->config);
    json_decref(model->about);
    free(model->tokenizer);
    free(model);
}

/* ---- hash
 * ---------------------------------------------------------------------------------------- */

static int check_weight(const struct pare_node *node, struct pare_error *err)
{
    int rc = pare_weight_check(node->weight, err);
    if (rc != PARE_OK && err && !err->detail[0])
        pare_error_detail(err, "in the weight of %s", node->path);
    return rc;
}

int pare_model_hash(struct pare_model *model, const char **out, struct pare_error *err)
{
    struct pare_tensors tensors = {0};
    struct pare_hash h;
    *out = model->hash;
    if (model->hash[0])
        return PARE_OK;
    json_t *graph = NULL, *preprocess = pare_preprocess_json(&model->preprocess);
    char *text = NULL, *how = NULL;
    int rc;
    PARE_TRY(pare_native_store(model->graph, &tensors, &graph, err));
    text = json_dumps(graph, JSON_COMPACT | JSON_SORT_KEYS);
    how = json_dumps(preprocess, JSON_COMPACT | JSON_SORT_KEYS);
    if (!text || !how) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    pare_hash_begin(&h);
    for (uint32_t i = 0; i < model->graph->n_nodes; i++) {
        const struct pare_weight *w = model->graph->nodes[i].weight;
        if (!w)
            continue;
        PARE_TRY(check_weight(&model->graph->nodes[i], err));
        if (w->values == PARE_VALUES_PLUGIN)
            pare_hash_text(&h, w->encoding->sha256);
    }
    pare_hash_text(&h, text);
    pare_hash_text(&h, how);
    pare_tensors_hash(&tensors, &h);
    pare_hash_end(&h, model->hash);
out:
    free(text);
    free(how);
    json_decref(graph);
    json_decref(preprocess);
    pare_tensors_free(&tensors);
    return rc;
}

int pare_model_with_graph(const struct pare_model *old, struct pare_graph *graph,
                          struct pare_model **out, struct pare_error *err)
{
    struct pare_model *model = calloc(1, sizeof *model);
    int rc = PARE_OK;
    if (!model) {
        pare_graph_free(graph);
        return pare_error_nomem(err, sizeof *model);
    }
    model->graph = graph;
    model->preprocess = old->preprocess;
    model->config = json_incref(old->config);
    model->tokenizer_source = old->tokenizer_source;
    model->tokenizer = old->tokenizer ? pare_strdup(old->tokenizer) : NULL;
    model->family = pare_strdup(old->family);
    model->labels = pare_calloc(old->n_labels, sizeof *model->labels);
    if (!model->family || !model->labels || (old->tokenizer && !model->tokenizer)) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    for (; model->n_labels < old->n_labels; model->n_labels++) {
        model->labels[model->n_labels] = pare_strdup(old->labels[model->n_labels]);
        if (!model->labels[model->n_labels]) {
            rc = pare_error_nomem(err, 0);
            goto out;
        }
    }
    PARE_TRY(pare_graph_infer(graph, err));
    *out = model;
    model = NULL;
out:
    pare_model_free(model);
    return rc;
}
