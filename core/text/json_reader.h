/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_TEXT_JSON_READER_H
#define PARE_TEXT_JSON_READER_H

#include <jansson.h>

#include "text/tokenizer_parts.h"

/* Reading tokenizer.json: what is filled in, and where in the file we are, for messages. */
struct pare_json_reader {
    struct pare_tokenizer *t;
    const char *name; /* of the file */
    char place[200];  /* "normalizer.normalizers[2]" */
    size_t depth;     /* of Sequences */
    struct pare_error *err;
};

/* Set the message, with the file and the place in it; returns `status`. */
int pare_json_fail(struct pare_json_reader *r, int status, const char *fmt, ...) PARE_PRINTF(3, 4);

/* Add the place to a message that a lower level has set, and pass its status on. */
int pare_json_pass(struct pare_json_reader *r, int status);

/* Members of an object. Absent or null: `*out` keeps its value. Another type: PARE_INVALID. Texts
 * belong to the JSON. */
int pare_json_bool(struct pare_json_reader *r, const json_t *json, const char *key, bool *out);
int pare_json_count(struct pare_json_reader *r, const json_t *json, const char *key, size_t *out);
int pare_json_text(struct pare_json_reader *r, const json_t *json, const char *key,
                   struct pare_bytes *out);

/* A text that has to be there, copied into the tokenizer. */
int pare_json_keep(struct pare_json_reader *r, const json_t *json, const char *key,
                   struct pare_bytes *out);

/* "pattern": {"String": ...} or {"Regex": ...}. */
int pare_json_pattern(struct pare_json_reader *r, const json_t *json, struct pare_bytes *literal,
                      struct pare_regex **regex);

/* One of the objects that have a "type": look it up and read it. A "Sequence" reads its `parts`,
 * one after another. JSON null reads nothing. PARE_UNSUPPORTED: a type that is not listed. */
struct pare_json_type {
    const char *name;
    int (*read)(struct pare_json_reader *r, const json_t *json);
};
int pare_json_typed(struct pare_json_reader *r, const json_t *json, const char *place,
                    const char *parts, const struct pare_json_type *types, size_t n);

/* The parts of tokenizer.json. */
int pare_json_normalizer(struct pare_json_reader *r, const json_t *json);
int pare_json_pretokenizer(struct pare_json_reader *r, const json_t *json);
int pare_json_decoder(struct pare_json_reader *r, const json_t *json);
int pare_json_model(struct pare_json_reader *r, const json_t *json);
int pare_json_postprocessor(struct pare_json_reader *r, const json_t *json);

/* What tokenizer_config.json or special_tokens_map.json says: which tokens are special for what,
 * and whether text begins and ends with them. */
int pare_json_config(struct pare_json_reader *r, const json_t *config);

#endif
