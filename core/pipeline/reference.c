/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/reference.h"

#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

static const struct pare_reference_row rows[] = {
    {"Top level", "pare", "the version of this format: 1"},
    {"Top level", "name",
     "the pipeline's name in the database (the file's name, without its ending)"},
    {"Top level", "model",
     "a folder with config.json and safetensors, a GGUF file, or a .safetensors file that Pare "
     "wrote"},
    {"Top level", "data", "the samples to calibrate, evaluate and confirm on"},
    {"Top level", "stages", "the compressions, in the order in which they are applied"},
    {"Top level", "exclude", "combinations that are not wanted"},
    {"Top level", "limit", "variants at most, where there are more than 256"},
    {"Top level", "measure",
     "what is measured (what fits `evaluate`, and latency at batch 1 on one thread)"},
    {"Top level", "select", "what the front is made of, and what a variant has to meet"},
    {"Top level", "search", "how combinations are tried"},
    {"Top level", "limits", "bounds of every piece of work"},
    {"Data", "calibrate", "what plugins take statistics from"},
    {"Data", "evaluate", "what the variants are compared on"},
    {"Data", "confirm",
     "what is held back: the chosen ones are measured on it, after choosing; it may not overlap "
     "`evaluate`"},
    {"Samples", "from",
     "a data set: a folder, a file of texts, or a pair of .npy files {inputs: FILE, labels: "
     "FILE}"},
    {"Samples", "split", "which split of the folder (the only one)"},
    {"Samples", "samples", "how many (all)"},
    {"Samples", "skip", "how many to leave out at the front (0)"},
    {"Samples", "shuffle",
     "a seed: take them in a shuffled order of the whole split (as they come)"},
    {"Samples", "window", "tokens of a text that are read together, a sample each (512)"},
    {"Samples", "stride", "tokens from one window of a text to the next (the window)"},
    {"Samples", "method",
     "how windows count: hf, all that no earlier window had; llama.cpp, the second half (hf)"},
    {"A pair of files", "inputs", "an .npy file: samples x height x width, or with channels"},
    {"A pair of files", "labels", "an .npy file: one integer per sample"},
    {"A stage", "id",
     "what the stage is called in keys, labels and the database (the last part of the plugin's "
     "id)"},
    {"A stage", "plugin",
     "the plugin that does it: an id, or a file's name with a slash, relative to this file"},
    {"A stage", "optional", "true: also try without it (false)"},
    {"A stage", "with",
     "the plugin's parameters, each with a value or several; `pare plugins ID` lists them"},
    {"A stage", "try", "values that belong together: a list of maps, each merged over `with`"},
    {"A stage", "on", "selectors of the units to work on (what the plugin says)"},
    {"A stage", "except",
     "selectors of the units to leave alone (what the plugin says); [] for none"},
    {"A stage", "propagate",
     "take statistics of the model as it entered the stage (original), or renew them behind what "
     "was changed already (compressed); the default is the plugin's"},
    {"A stage", "as", "its part of labels, with {PARAMETER} for values (the plugin's)"},
    {"A stage", "limits", "bounds of the stage's own work, in the place of the pipeline's"},
    {"Groups", "order", "any: try the orders that the plugins allow, of six stages at most"},
    {"Groups", "stages", "the stages of the group"},
    {"Groups", "one_of", "alternatives: each stage or group is tried by itself"},
    {"Values", "try", "a list of values to try, where a list alone would not do"},
    {"Values", "range", "[LOWEST, HIGHEST]: the values between, both included"},
    {"Values", "step", "the distance of a range's values (1 for integers)"},
    {"Values", "by",
     "a list of {on: SELECTOR, value: VALUE}: values by hand, unit by unit; a later entry wins"},
    {"Values", "on", "in an entry of `by`: selectors of the units that get its value"},
    {"Values", "value", "in an entry of `by`: their value"},
    {"Values", "allocate",
     "an allocator, by id or as {plugin: ID, PARAMETER: VALUE}: it gives every unit its value"},
    {"Values", "score", "the score that the allocator goes by, written likewise"},
    {"Values", "per",
     "the unit that gets a value: linear, head, channel, branch or block (the score's own); "
     "selected units outside of any keep the parameter's default"},
    {"Measure", "top1", "the share of samples of `evaluate` whose class, or choice, is right"},
    {"Measure", "acc_norm",
     "of choices: the share where the likeliest per byte of its text is the right one"},
    {"Measure", "spearman",
     "of pairs with a score: rank correlation of the scores with the cosines of the embeddings"},
    {"Measure", "perplexity", "of a plain text: e to the mean loss of a token of `evaluate`"},
    {"Measure", "kl",
     "of a language model: how far its next tokens are from the baseline's, in nats"},
    {"Measure", "agreement",
     "of a language model: the share of tokens that it and the baseline find likeliest alike"},
    {"Measure", "latency",
     "named input shapes; the first is `latency_ms`, the others are `latency_ms.NAME`"},
    {"Measure", "PLUGIN",
     "a metric by its plugin's id, or a file's name with a slash: {PARAMETER: VALUE}; of classes"},
    {"A shape", "batch", "samples of one inference (1)"},
    {"A shape", "threads", "threads (1)"},
    {"A shape", "prefill", "of a language model: tokens that are read at once"},
    {"A shape", "decode",
     "of a language model: tokens that are read one by one, as generated (32)"},
    {"A shape", "depth", "of a language model: tokens that were read before (0)"},
    {"Select", "objectives",
     "the metrics that the front trades off (top1, perplexity, spearman, latency_ms, size_bytes, "
     "as far as "
     "measured)"},
    {"Select", "constraints",
     "a list of texts METRIC <= or >= BOUND; what breaks one is infeasible"},
    {"An objective", "tolerance",
     "what is practically the same: a number in the metric's unit, or a share (1%)"},
    {"Search", "strategy", "grid: every combination"},
    {"Search", "racing",
     "true: time first, and stop evaluating what is beaten beyond doubt (false)"},
    {"Limits", "time", "the longest that a piece of work may take, as 30s, 5min, 1h (no limit)"},
    {"Limits", "stall", "the longest without a sign of life (5min)"},
    {"Limits", "memory", "of one worker: a size (500MB, 2GB), or a share of the machine's (80%)"},
    {"Limits", "activations",
     "of the whole run: what files of stored activations may take, a size or none (4GB, and a "
     "quarter of the free disk)"},
    {"Limits", "confine",
     "of the whole run: false lets plugins touch all files and the network, as you may (true)"},
};

/* Where the schema keeps the properties of a heading. */
static const struct {
    const char *where, *path;
} places[] = {
    {"Top level", "properties"},
    {"Data", "properties/data/properties"},
    {"Samples", "definitions/samples/properties"},
    {"A pair of files", "definitions/samples/properties/from/anyOf/1/properties"},
    {"A stage", "definitions/stage/properties"},
    {"Groups", "definitions/stages/items/anyOf/1/properties"},
    {"Groups", "definitions/stages/items/anyOf/2/properties"},
    {"Measure", "properties/measure/properties"},
    {"A shape", "properties/measure/properties/latency/additionalProperties/properties"},
    {"Select", "properties/select/properties"},
    {"An objective", "properties/select/properties/objectives/additionalProperties/properties"},
    {"Search", "properties/search/properties"},
    {"Limits", "definitions/limits/properties"},
};

const struct pare_reference_row *pare_references(size_t *n)
{
    *n = PARE_COUNT(rows);
    return rows;
}

const char *pare_reference_of(const char *where, const char *key)
{
    for (size_t i = 0; i < PARE_COUNT(rows); i++) {
        if (strcmp(rows[i].where, where) == 0 && strcmp(rows[i].key, key) == 0)
            return rows[i].what;
    }
    return NULL;
}

/* "a/b/1/c" from a value on; NULL: not there. */
static json_t *walk(json_t *value, const char *path)
{
    char part[64];
    while (value && *path) {
        size_t n = strcspn(path, "/");
        snprintf(part, sizeof part, "%.*s", (int)n, path);
        value = json_is_array(value) ? json_array_get(value, (size_t)(part[0] - '0'))
                                     : json_object_get(value, part);
        path += n + (path[n] == '/');
    }
    return value;
}

/* A $ref hides what stands beside it, by draft 7: it is put into an `allOf`. */
static bool describe(json_t *properties, const char *key, const char *what)
{
    json_t *property = json_object_get(properties, key), *ref = json_object_get(property, "$ref");
    if (ref) {
        json_t *wrapped = json_pack("{s:[{s:O}]}", "allOf", "$ref", ref);
        if (!wrapped || json_object_set_new(properties, key, wrapped) != 0)
            return false;
        property = wrapped;
    }
    return property && json_object_set_new(property, "description", json_string(what)) == 0;
}

bool pare_reference_describe(json_t *schema)
{
    for (size_t p = 0; p < PARE_COUNT(places); p++) {
        json_t *properties = walk(schema, places[p].path), *property;
        const char *key;
        void *next;
        if (!properties)
            return false;
        json_object_foreach_safe(properties, next, key, property)
        {
            const char *what = pare_reference_of(places[p].where, key);
            if (what && !describe(properties, key, what))
                return false;
        }
    }
    return true;
}
