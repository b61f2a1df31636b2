/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_MESSAGE_H
#define PARE_PIPELINE_MESSAGE_H

#include <jansson.h>

#include "base/status.h"
#include "base/str.h"

/* Messages between the supervisor and its workers: JSON objects with a member "type", each in a
 * frame of magic, length and CRC-32, so that a torn or foreign byte stream is noticed. */

/* Write one message, whole (blocking). The reference to `message` is taken. PARE_IO: the other side
 * is gone. */
int pare_message_send(int fd, json_t *message, struct pare_error *err);

/* What arrived so far; zero-initialise, release with pare_str_free(&r->bytes). */
struct pare_message_reader {
    struct pare_str bytes;
};

/* Read what is there (one read call). PARE_NOT_FOUND: the other side has closed. */
int pare_message_fill(struct pare_message_reader *r, int fd, struct pare_error *err);
/* The next whole message (a new reference), or NULL in *out when there is none yet. PARE_INVALID:
 * the stream is damaged. */
int pare_message_next(struct pare_message_reader *r, json_t **out, struct pare_error *err);
/* Wait for the next message. PARE_NOT_FOUND: the other side has closed. */
int pare_message_wait(struct pare_message_reader *r, int fd, json_t **out, struct pare_error *err);

/* A member as text ("" when missing) and as a number (0 when missing). */
const char *pare_message_text(const json_t *message, const char *key);
double pare_message_number(const json_t *message, const char *key);

/* {"type": "failed", ...} from an error, and back. */
json_t *pare_message_failure(const struct pare_error *err);
void pare_message_error(const json_t *message, struct pare_error *err);

#endif
