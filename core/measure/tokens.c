/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/tokens.h"

#include "model/gguf.h"

static int from_gguf(const char *path, struct pare_tokenizer **out, struct pare_error *err)
{
    struct pare_gguf *file = NULL;
    int rc = pare_gguf_open(path, &file, err);
    if (rc == PARE_OK)
        rc = pare_tokenizer_from_gguf(file, out, err);
    pare_gguf_close(file);
    return rc;
}

int pare_model_tokenizer(const struct pare_model *model, struct pare_tokenizer **out,
                         struct pare_error *err)
{
    int rc;
    if (!pare_graph_reads_text(model->graph))
        return pare_error_set(err, PARE_INVALID, "the model reads images, not text");
    if (!model->tokenizer) {
        rc = pare_error_set(err, PARE_NOT_FOUND, "the model came without a tokenizer");
        pare_error_hint(err, "put tokenizer.json beside its config.json");
        return rc;
    }
    rc = model->tokenizer_source == PARE_TOKENIZER_GGUF
             ? from_gguf(model->tokenizer, out, err)
             : pare_tokenizer_open(model->tokenizer, out, err);
    if (rc == PARE_OK && pare_tokenizer_size(*out) > model->graph->vocabulary) {
        rc = pare_error_set(err, PARE_INVALID, "%s has tokens up to %zu, the model up to %u",
                            model->tokenizer, pare_tokenizer_size(*out) - 1,
                            model->graph->vocabulary - 1);
        pare_tokenizer_free(*out);
        *out = NULL;
    }
    return rc;
}
