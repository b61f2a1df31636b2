/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/message.h"
#include "base/hash.h"
#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAGIC 0x45524150u /* "PARE" */
#define HEAD 12u          /* magic, length, CRC */
#define LENGTH_MAX (1u << 30)

int pare_message_send(int fd, json_t *message, struct pare_error *err)
{
    struct pare_str frame = {0};
    char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
    int rc = PARE_OK;
    json_decref(message);
    if (!text)
        return pare_error_nomem(err, 0);
    unsigned char head[HEAD];
    uint32_t length = (uint32_t)strlen(text);
    pare_put_le32(head, MAGIC);
    pare_put_le32(head + 4, length);
    pare_put_le32(head + 8, pare_crc32(0, text, length));
    pare_str_append_n(&frame, (const char *)head, HEAD);
    pare_str_append_n(&frame, text, length);
    free(text);
    if (frame.failed) {
        pare_str_free(&frame);
        return pare_error_nomem(err, length);
    }
    for (size_t at = 0; at < frame.len;) {
        ssize_t n = send(fd, frame.data + at, frame.len - at, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            poll(&wait, 1, -1);
            continue;
        }
        if (n < 0) {
            rc = pare_error_errno(err, "the other process does not listen any more");
            break;
        }
        at += (size_t)n;
    }
    pare_str_free(&frame);
    return rc;
}

int pare_message_fill(struct pare_message_reader *r, int fd, struct pare_error *err)
{
    char part[65536];
    ssize_t n;
    do {
        n = read(fd, part, sizeof part);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return PARE_OK;
    if (n < 0 && errno != ECONNRESET)
        return pare_error_errno(err, "cannot hear the other process");
    if (n <= 0)
        return pare_error_set(err, PARE_NOT_FOUND, "the other process has ended");
    pare_str_append_n(&r->bytes, part, (size_t)n);
    return r->bytes.failed ? pare_error_nomem(err, (size_t)n) : PARE_OK;
}

int pare_message_next(struct pare_message_reader *r, json_t **out, struct pare_error *err)
{
    *out = NULL;
    if (r->bytes.len < HEAD)
        return PARE_OK;
    uint32_t length = pare_get_le32(r->bytes.data + 4);
    if (pare_get_le32(r->bytes.data) != MAGIC || length > LENGTH_MAX)
        return pare_error_set(err, PARE_INVALID,
                              "the other process sends something that is no message");
    if (r->bytes.len - HEAD < length)
        return PARE_OK;
    const char *text = r->bytes.data + HEAD;
    if (pare_get_le32(r->bytes.data + 8) != pare_crc32(0, text, length))
        return pare_error_set(err, PARE_INVALID, "a message of the other process is damaged");
    json_error_t why;
    json_t *message = json_loadb(text, length, 0, &why);
    if (!json_is_object(message)) {
        json_decref(message);
        return pare_error_set(err, PARE_INVALID,
                              "a message of the other process is no JSON object");
    }
    size_t used = HEAD + length;
    memmove(r->bytes.data, r->bytes.data + used, r->bytes.len - used);
    r->bytes.len -= used;
    *out = message;
    return PARE_OK;
}

int pare_message_wait(struct pare_message_reader *r, int fd, json_t **out, struct pare_error *err)
{
    int rc;
    for (;;) {
        PARE_TRY(pare_message_next(r, out, err));
        if (*out)
            return PARE_OK;
        PARE_TRY(pare_message_fill(r, fd, err));
    }
out:
    return rc;
}

const char *pare_message_text(const json_t *message, const char *key)
{
    const char *text = json_string_value(json_object_get(message, key));
    return text ? text : "";
}

double pare_message_number(const json_t *message, const char *key)
{
    return json_number_value(json_object_get(message, key));
}

/* Text from a plugin may not be UTF-8, which JSON has to be. */
static json_t *safe_text(const char *text)
{
    json_t *j = json_string(text);
    if (j)
        return j;
    char *copy = pare_strdup(text);
    for (char *p = copy; p && *p; p++) {
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    }
    j = json_string(copy ? copy : "");
    free(copy);
    return j;
}

json_t *pare_message_failure(const struct pare_error *err)
{
    return json_pack("{s:s, s:i, s:o, s:o, s:o}", "type", "failed", "status", err->status, "what",
                     safe_text(err->what), "detail", safe_text(err->detail), "hint",
                     safe_text(err->hint));
}

void pare_message_error(const json_t *message, struct pare_error *err)
{
    int status = (int)pare_message_number(message, "status");
    pare_error_set(err, status > PARE_OK && status <= PARE_BUSY ? status : PARE_FAILED, "%s",
                   pare_message_text(message, "what"));
    pare_error_detail(err, "%s", pare_message_text(message, "detail"));
    pare_error_hint(err, "%s", pare_message_text(message, "hint"));
}
