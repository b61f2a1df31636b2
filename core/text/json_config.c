/* SPDX-License-Identifier: Apache-2.0 */
/* tokenizer_config.json: the names of the special tokens, and for some tokenizer classes whether
 * text begins and ends with them. */
#include "text/json_reader.h"

#include <string.h>

static const char *const keys[PARE_SPECIAL_COUNT] = {
    [PARE_SPECIAL_BOS] = "bos_token",   [PARE_SPECIAL_EOS] = "eos_token",
    [PARE_SPECIAL_UNK] = "unk_token",   [PARE_SPECIAL_PAD] = "pad_token",
    [PARE_SPECIAL_SEP] = "sep_token",   [PARE_SPECIAL_CLS] = "cls_token",
    [PARE_SPECIAL_MASK] = "mask_token",
};

/* transformers' classes that make their own template from add_bos_token and add_eos_token; for all
 * others tokenizer.json has it. */
static bool decides(const json_t *config)
{
    static const char *const classes[] = {"LlamaTokenizer",     "LlamaTokenizerFast",
                                          "CodeLlamaTokenizer", "CodeLlamaTokenizerFast",
                                          "GemmaTokenizer",     "GemmaTokenizerFast"};
    const char *name = json_string_value(json_object_get(config, "tokenizer_class"));
    for (size_t i = 0; name && i < PARE_COUNT(classes); i++)
        if (strcmp(classes[i], name) == 0)
            return true;
    return false;
}

/* [bos] A [eos], and for two texts the same again. */
static int around(struct pare_json_reader *r, bool bos, bool eos)
{
    struct pare_tokenizer *t = r->t;
    struct pare_template_item *items = pare_pool_alloc(&t->pool, 6, sizeof *items);
    const int32_t b = t->special[PARE_SPECIAL_BOS], e = t->special[PARE_SPECIAL_EOS];
    size_t n = 0;
    if (!items)
        return pare_error_nomem(r->err, 0);
    for (uint8_t i = 0; i < 2; i++) {
        if (bos && b >= 0)
            items[n++] = (struct pare_template_item){PARE_TEMPLATE_TOKEN, b, i};
        items[n++] = (struct pare_template_item){i == 0 ? PARE_TEMPLATE_A : PARE_TEMPLATE_B, -1, i};
        if (eos && e >= 0)
            items[n++] = (struct pare_template_item){PARE_TEMPLATE_TOKEN, e, i};
        if (i == 0)
            t->one = (struct pare_template){items, n};
    }
    t->two = (struct pare_template){items, n};
    return PARE_OK;
}

int pare_json_config(struct pare_json_reader *r, const json_t *config)
{
    bool bos = true, eos = false;
    int rc = PARE_OK;
    for (int i = 0; i < PARE_SPECIAL_COUNT; i++) {
        const json_t *value = json_object_get(config, keys[i]);
        if (json_is_object(value)) /* an AddedToken */
            value = json_object_get(value, "content");
        if (!json_is_string(value))
            continue;
        r->t->special[i] =
            pare_tokenizer_find(r->t, json_string_value(value), json_string_length(value));
    }
    PARE_TRY(pare_json_bool(r, config, "add_bos_token", &bos));
    PARE_TRY(pare_json_bool(r, config, "add_eos_token", &eos));
    if (decides(config))
        rc = around(r, bos, eos);
out:
    return rc;
}
