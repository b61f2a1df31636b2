/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MEASURE_TOKENS_H
#define PARE_MEASURE_TOKENS_H

#include "model/model.h"
#include "text/tokenizer.h"

/* The tokenizer that came with a model. PARE_NOT_FOUND: it has none; PARE_INVALID: it has tokens
 * that the model's vocabulary lacks. Freed with pare_tokenizer_free(). */
int pare_model_tokenizer(const struct pare_model *model, struct pare_tokenizer **out,
                         struct pare_error *err);

#endif
