/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/schema.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "pipeline/reference.h"

/* Parts that do not depend on plugins, as text: it reads better than calls. */
static const char *const frame =
    "{'$schema': 'http://json-schema.org/draft-07/schema#', 'title': 'Pare pipeline',"
    " 'type': 'object', 'required': ['pare', 'model', 'stages'], 'additionalProperties': false,"
    " 'properties': {"
    "  'pare': {'const': 1, 'description': 'version of this format'},"
    "  'name': {'type': 'string', 'pattern': '^[A-Za-z0-9_-]+$'},"
    "  'model': {'type': 'string', 'description': 'a folder with config.json and safetensors;"
    " relative to this file'},"
    "  'data': {'type': 'object', 'additionalProperties': false, 'properties': {"
    "   'calibrate': {'$ref': '#/definitions/samples'},"
    "   'evaluate': {'$ref': '#/definitions/samples'},"
    "   'confirm': {'$ref': '#/definitions/samples'}}},"
    "  'stages': {'$ref': '#/definitions/stages'},"
    "  'exclude': {'type': 'array', 'description': 'combinations not wanted; keys are "
    "STAGE.PARAMETER',"
    "   'items': {'type': 'object', 'minProperties': 1,"
    "    'propertyNames': {'pattern': '^[A-Za-z0-9_-]+[.][a-z0-9_]+$'}}},"
    "  'measure': {'type': 'object', 'additionalProperties': false,"
    "   'patternProperties': {'[./]': {'type': ['object', 'null']}}, 'properties': {"
    "   'top1': {'type': ['object', 'null'], 'additionalProperties': false},"
    "   'acc_norm': {'type': ['object', 'null'], 'additionalProperties': false},"
    "   'spearman': {'type': ['object', 'null'], 'additionalProperties': false},"
    "   'perplexity': {'type': ['object', 'null'], 'additionalProperties': false},"
    "   'kl': {'type': ['object', 'null'], 'additionalProperties': false},"
    "   'agreement': {'type': ['object', 'null'], 'additionalProperties': false},"
    "   'latency': {'type': ['object', 'null'], 'description': 'named shapes; the first is "
    "latency_ms,"
    " others are latency_ms.NAME', 'additionalProperties': {'type': ['object', 'null'],"
    "    'additionalProperties': false, 'properties': {"
    "     'batch': {'type': 'integer', 'minimum': 1, 'default': 1},"
    "     'threads': {'type': 'integer', 'minimum': 1, 'default': 1},"
    "     'prefill': {'type': 'integer', 'minimum': 1},"
    "     'decode': {'type': 'integer', 'minimum': 1},"
    "     'depth': {'type': 'integer', 'minimum': 0, 'default': 0}}}}}},"
    "  'select': {'type': 'object', 'additionalProperties': false, 'properties': {"
    "   'objectives': {'type': 'object', 'minProperties': 1, 'additionalProperties': {"
    "     'type': ['object', 'null'], 'additionalProperties': false, 'properties': {"
    "      'tolerance': {'anyOf': [{'type': 'number', 'minimum': 0},"
    "       {'type': 'string', 'pattern': '^[0-9.]+ ?%$'}]}}}},"
    "   'constraints': {'type': 'array', 'items': {'type': 'string', 'pattern': '(<=|>=)'}}}},"
    "  'search': {'type': 'object', 'additionalProperties': false,"
    "   'properties': {'strategy': {'const': 'grid'}, 'racing': {'type': 'boolean',"
    "    'description': 'time first; stop evaluating what is beaten beyond doubt'}}},"
    "  'limits': {'$ref': '#/definitions/limits'},"
    "  'limit': {'type': 'integer', 'minimum': 1, 'description': 'most variants, when more than "
    "256'}},"
    " 'definitions': {"
    "  'samples': {'type': 'object', 'required': ['from'], 'additionalProperties': false,"
    "   'properties': {'from': {'anyOf': [{'type': 'string'}, {'type': 'object',"
    "     'required': ['inputs', 'labels'], 'additionalProperties': false, 'properties': {"
    "      'inputs': {'type': 'string'}, 'labels': {'type': 'string'}}}]},"
    "    'split': {'type': 'string'}, 'samples': {'type': 'integer', 'minimum': 1},"
    "    'skip': {'type': 'integer', 'minimum': 0}, 'shuffle': {'type': 'integer', 'minimum': 0},"
    "    'window': {'type': 'integer', 'minimum': 2}, 'stride': {'type': 'integer', 'minimum': 1},"
    "    'method': {'enum': ['hf', 'llama.cpp']}}},"
    "  'limits': {'type': 'object', 'additionalProperties': false, 'properties': {"
    "   'time': {'$ref': '#/definitions/duration'}, 'stall': {'$ref': '#/definitions/duration'},"
    "   'memory': {'type': 'string', 'pattern': '^[0-9.]+ ?(kB|MB|GB|%)$'},"
    "   'activations': {'type': 'string', 'pattern': '^(none|[0-9.]+ ?(kB|MB|GB))$'},"
    "   'confine': {'type': 'boolean'}}},"
    "  'duration': {'type': 'string', 'pattern': '^[0-9.]+ ?(s|min|h)$'},"
    "  'selectors': {'anyOf': [{'type': 'string'}, {'type': 'array', 'items': {'type': "
    "'string'}}]},"
    "  'stages': {'type': 'array', 'minItems': 1, 'items': {'anyOf': ["
    "   {'$ref': '#/definitions/stage'},"
    "   {'type': 'object', 'required': ['order', 'stages'], 'additionalProperties': false,"
    "    'properties': {'order': {'const': 'any'}, 'stages': {'$ref': '#/definitions/stages'}}},"
    "   {'type': 'object', 'required': ['one_of'], 'additionalProperties': false,"
    "    'properties': {'one_of': {'$ref': '#/definitions/stages'}}}]}},"
    "  'stage': {'type': 'object', 'required': ['plugin'], 'additionalProperties': false,"
    "   'properties': {'id': {'type': 'string', 'pattern': '^[A-Za-z0-9_-]+$'},"
    "    'plugin': {'type': 'string'}, 'optional': {'type': 'boolean'},"
    "    'with': {'type': ['object', 'null']},"
    "    'try': {'type': 'array', 'minItems': 1, 'items': {'type': 'object'}},"
    "    'on': {'$ref': '#/definitions/selectors'}, 'except': {'$ref': '#/definitions/selectors'},"
    "    'propagate': {'enum': ['original', 'compressed']}, 'as': {'type': 'string'},"
    "    'limits': {'$ref': '#/definitions/limits'}}, 'allOf': []}}}";

/* The frame with its quotes turned; it holds no other apostrophes. */
static json_t *load_frame(void)
{
    char *text = pare_strdup(frame);
    if (!text)
        return NULL;
    for (char *p = strchr(text, '\''); p; p = strchr(p, '\''))
        *p = '"';
    json_t *schema = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    free(text);
    return schema;
}

/* "a|b" as an array of texts. */
static json_t *words(const char *text)
{
    json_t *list = json_array();
    while (list && text && *text) {
        size_t n = strcspn(text, "|");
        json_array_append_new(list, json_stringn(text, n));
        text += n + (text[n] == '|');
    }
    return list;
}

/* One plain value. */
static json_t *plain_schema(const struct pare_param *p)
{
    static const char *const types[] = {[PARE_INT] = "integer",
                                        [PARE_REAL] = "number",
                                        [PARE_BOOL] = "boolean",
                                        [PARE_TEXT] = "string",
                                        [PARE_INTS] = "integer"};
    json_t *value = NULL;
    if (p->type == PARE_CHOICE)
        return json_pack("{s:o}", "enum", words(p->choices));
    if (p->type == PARE_SCORED)
        return json_pack("{s:[{s:s}, {s:s, s:[s]}]}", "anyOf", "type", "string", "type", "object",
                         "required", "plugin");
    if (p->type >= PARE_COUNT(types) || !types[p->type])
        return json_object();
    value = json_pack("{s:s}", "type", types[p->type]);
    if (value && p->type != PARE_BOOL && p->type != PARE_TEXT && p->min <= p->max) {
        if (isfinite(p->min))
            json_object_set_new(value, "minimum", json_real(p->min));
        if (isfinite(p->max))
            json_object_set_new(value, "maximum", json_real(p->max));
    }
    return p->type == PARE_INTS ? json_pack("{s:s, s:o}", "type", "array", "items", value) : value;
}

/* A map that stands for a value, as {range: ...}. */
static json_t *key_object(const char *key)
{
    return json_pack("{s:s, s:[s], s:s*}", "type", "object", "required", key, "description",
                     pare_reference_of("Values", key));
}

/* Everything that may stand for a parameter. */
static json_t *param_schema(const struct pare_param *p)
{
    json_t *plain = plain_schema(p), *any = json_array();
    double number;
    if (!plain || !any) {
        json_decref(plain);
        json_decref(any);
        return NULL;
    }
    json_array_append(any, plain);
    if (p->type != PARE_INTS)
        json_array_append_new(any,
                              json_pack("{s:s, s:i, s:{s:[O, {s:s}]}}", "type", "array", "minItems",
                                        1, "items", "anyOf", plain, "type", "object"));
    json_array_append_new(any, key_object("try"));
    if (p->type == PARE_INT || p->type == PARE_REAL)
        json_array_append_new(any, key_object("range"));
    if (p->search || p->type == PARE_CHOICE || p->type == PARE_BOOL)
        json_array_append_new(any, json_pack("{s:s}", "const", "search"));
    if (p->varies)
        json_array_append_new(any, key_object("by"));
    if (p->varies && (p->type == PARE_INT || p->type == PARE_REAL || p->type == PARE_BOOL))
        json_array_append_new(any, key_object("allocate"));
    json_decref(plain);
    json_t *schema = json_pack("{s:o}", "anyOf", any);
    if (schema && p->help)
        json_object_set_new(schema, "description", json_string(p->help));
    if (schema && p->dflt) {
        json_t *dflt = json_string(p->dflt);
        if ((p->type == PARE_INT || p->type == PARE_REAL) && pare_parse_double(p->dflt, &number)) {
            json_decref(dflt);
            dflt = p->type == PARE_INT ? json_integer((json_int_t)number) : json_real(number);
        } else if (p->type == PARE_BOOL) {
            json_decref(dflt);
            dflt = json_boolean(!strcmp(p->dflt, "true"));
        }
        json_object_set_new(schema, "default", dflt);
    }
    return schema;
}

/* Nothing is required: `with` and `try` are merged before it counts. */
static json_t *params_schema(const struct pare_plugin *plugin)
{
    json_t *properties = json_object();
    for (size_t i = 0; properties && i < plugin->n_params; i++)
        json_object_set_new(properties, plugin->params[i].name, param_schema(&plugin->params[i]));
    return json_pack("{s:[s, s], s:b, s:o}", "type", "object", "null", "additionalProperties", 0,
                     "properties", properties);
}

/* A metric's parameters have one value each. */
static json_t *metric_schema(const struct pare_plugin *plugin)
{
    json_t *properties = json_object();
    for (size_t i = 0; properties && i < plugin->n_params; i++) {
        const struct pare_param *p = &plugin->params[i];
        json_t *value = plain_schema(p);
        json_object_set_new(value, "description", json_string(p->help));
        json_object_set_new(properties, p->name, value);
    }
    return json_pack("{s:[s, s], s:b, s:s, s:o}", "type", "object", "null", "additionalProperties",
                     0, "description", plugin->summary, "properties", properties);
}

/* If the stage's plugin is this one, `with` and `try` have its parameters. */
static json_t *condition(const struct pare_plugin *plugin)
{
    json_t *params = params_schema(plugin);
    if (!params)
        return NULL;
    return json_pack("{s:{s:{s:{s:s}}, s:[s]}, s:{s:{s:{s:s?}, s:O, s:{s:o}}}}", "if", "properties",
                     "plugin", "const", plugin->id, "required", "plugin", "then", "properties",
                     "plugin", "description", plugin->summary, "with", params, "try", "items",
                     params);
}

json_t *pare_schema(const struct pare_plugin_file *const *plugins, size_t n)
{
    json_t *schema = load_frame();
    json_t *stage = json_object_get(json_object_get(schema, "definitions"), "stage");
    json_t *all = json_object_get(stage, "allOf");
    json_t *names = json_array();
    json_t *measure = json_object_get(
        json_object_get(json_object_get(schema, "properties"), "measure"), "properties");
    bool ok = all && names && pare_reference_describe(schema);
    for (size_t i = 0; ok && i < n; i++) {
        const struct pare_plugin *desc = &plugins[i]->desc;
        if (desc->kind == PARE_METRIC)
            ok = json_object_set_new(measure, desc->id, metric_schema(desc)) == 0;
        if (!pare_plugin_transforms(desc))
            continue;
        ok = json_array_append_new(names, json_string(desc->id)) == 0 &&
             json_array_append_new(all, condition(desc)) == 0;
    }
    if (ok) { /* a path to a file is also a plugin's name */
        json_t *name =
            json_pack("{s:[{s:O}, {s:s, s:s}], s:s*}", "anyOf", "enum", names, "type", "string",
                      "pattern", "/", "description", pare_reference_of("A stage", "plugin"));
        ok = json_object_set_new(json_object_get(stage, "properties"), "plugin", name) == 0;
    }
    json_decref(names);
    if (ok)
        return schema;
    json_decref(schema);
    return NULL;
}
