/* SPDX-License-Identifier: Apache-2.0 */
/* The post-processors of tokenizer.json: what is put around one text and two. */
#include "text/json_reader.h"

#include <string.h>

#define ITEMS_MAX 64 /* no template comes near */

struct items {
    struct pare_template_item at[ITEMS_MAX];
    size_t n;
};

static int add(struct pare_json_reader *r, struct items *items, int what, long long id,
               long long type)
{
    if (items->n == ITEMS_MAX)
        return pare_json_fail(r, PARE_INVALID, "the template has more than %d items", ITEMS_MAX);
    if (type < 0 || type > 255)
        return pare_json_fail(r, PARE_INVALID, "the type_id %lld is out of range", type);
    struct pare_template_item *item = &items->at[items->n++];
    item->what = what;
    item->type = (uint8_t)type;
    item->id = (int32_t)id;
    if (what != PARE_TEMPLATE_TOKEN)
        return PARE_OK;
    if (id < 0 || id >= PARE_ID_LIMIT)
        return pare_json_fail(r, PARE_INVALID, "the id %lld is out of range", id);
    return pare_json_pass(r, pare_vocab_reach(&r->t->vocab, id, r->err));
}

static int keep(struct pare_json_reader *r, const struct items *items, struct pare_template *out)
{
    struct pare_template_item *copy = pare_pool_alloc(&r->t->pool, items->n, sizeof *copy);
    if (!copy)
        return pare_error_nomem(r->err, 0);
    if (out->n > 0)
        return pare_json_fail(r, PARE_UNSUPPORTED, "more than one template in a Sequence");
    if (items->n > 0)
        memcpy(copy, items->at, items->n * sizeof *copy);
    *out = (struct pare_template){copy, items->n};
    return PARE_OK;
}

/* One element of TemplateProcessing's "single" or "pair". */
static int element(struct pare_json_reader *r, const json_t *json, const json_t *specials,
                   struct items *items)
{
    const json_t *text = json_object_get(json, "Sequence");
    const json_t *token = json_object_get(json, "SpecialToken");
    const json_t *body = text ? text : token;
    const char *name = json_string_value(json_object_get(body, "id"));
    const json_int_t type = json_integer_value(json_object_get(body, "type_id"));
    int rc = PARE_OK;
    if (!name)
        return pare_json_fail(r, PARE_INVALID, "not a Sequence or SpecialToken with an id");
    if (text) {
        if (strcmp(name, "A") != 0 && strcmp(name, "B") != 0)
            return pare_json_fail(r, PARE_INVALID, "the Sequence '%.60s' is not A or B", name);
        return add(r, items, *name == 'A' ? PARE_TEMPLATE_A : PARE_TEMPLATE_B, -1, type);
    }
    const json_t *ids = json_object_get(json_object_get(specials, name), "ids");
    if (!json_is_array(ids))
        return pare_json_fail(r, PARE_INVALID, "'special_tokens' has no ids for '%.60s'", name);
    for (size_t i = 0; i < json_array_size(ids) && rc == PARE_OK; i++) {
        const json_t *id = json_array_get(ids, i);
        if (!json_is_integer(id))
            return pare_json_fail(r, PARE_INVALID, "an id of '%.60s' is not an integer", name);
        rc = add(r, items, PARE_TEMPLATE_TOKEN, json_integer_value(id), type);
    }
    return rc;
}

static int template_of(struct pare_json_reader *r, const json_t *json, const char *key,
                       struct pare_template *out)
{
    const json_t *list = json_object_get(json, key);
    const size_t len = strlen(r->place);
    struct items items = {.n = 0};
    int rc = PARE_OK;
    if (!json_is_array(list))
        return pare_json_fail(r, PARE_INVALID, "'%s' is not an array", key);
    for (size_t i = 0; i < json_array_size(list); i++) {
        snprintf(r->place + len, sizeof r->place - len, ".%s[%zu]", key, i);
        PARE_TRY(
            element(r, json_array_get(list, i), json_object_get(json, "special_tokens"), &items));
    }
    PARE_TRY(keep(r, &items, out));
out:
    r->place[len] = '\0';
    return rc;
}

static int template_processing(struct pare_json_reader *r, const json_t *json)
{
    const int rc = template_of(r, json, "single", &r->t->one);
    return rc != PARE_OK ? rc : template_of(r, json, "pair", &r->t->two);
}

/* BertProcessing and RobertaProcessing: cls A sep, and then B sep or sep B sep. */
static int bert_like(struct pare_json_reader *r, const json_t *json, bool roberta)
{
    const json_t *sep = json_array_get(json_object_get(json, "sep"), 1);
    const json_t *cls = json_array_get(json_object_get(json, "cls"), 1);
    struct items items = {.n = 0};
    int rc;
    if (!json_is_integer(sep) || !json_is_integer(cls))
        return pare_json_fail(r, PARE_INVALID, "'sep' or 'cls' is not a token and its id");
    const json_int_t s = json_integer_value(sep), c = json_integer_value(cls);
    PARE_TRY(add(r, &items, PARE_TEMPLATE_TOKEN, c, 0));
    PARE_TRY(add(r, &items, PARE_TEMPLATE_A, -1, 0));
    PARE_TRY(add(r, &items, PARE_TEMPLATE_TOKEN, s, 0));
    PARE_TRY(keep(r, &items, &r->t->one));
    if (roberta)
        PARE_TRY(add(r, &items, PARE_TEMPLATE_TOKEN, s, 0));
    PARE_TRY(add(r, &items, PARE_TEMPLATE_B, -1, roberta ? 0 : 1));
    PARE_TRY(add(r, &items, PARE_TEMPLATE_TOKEN, s, roberta ? 0 : 1));
    PARE_TRY(keep(r, &items, &r->t->two));
out:
    return rc;
}

static int bert_processing(struct pare_json_reader *r, const json_t *json)
{
    return bert_like(r, json, false);
}

static int roberta_processing(struct pare_json_reader *r, const json_t *json)
{
    return bert_like(r, json, true);
}

/* ByteLevel only trims offsets, which are not kept. */
static int nothing(struct pare_json_reader *r, const json_t *json)
{
    (void)r;
    (void)json;
    return PARE_OK;
}

int pare_json_postprocessor(struct pare_json_reader *r, const json_t *json)
{
    static const struct pare_json_type types[] = {{"BertProcessing", bert_processing},
                                                  {"ByteLevel", nothing},
                                                  {"RobertaProcessing", roberta_processing},
                                                  {"TemplateProcessing", template_processing}};
    return pare_json_typed(r, json, "post_processor", "processors", types, PARE_COUNT(types));
}
