/* SPDX-License-Identifier: Apache-2.0 */
#include "select/constraint.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static const struct pare_metric builtin[] = {
    {"top1", PARE_METRIC_FRACTION, true},      {"latency_ms", PARE_METRIC_MS, false},
    {"size_bytes", PARE_METRIC_BYTES, false},  {"macs", PARE_METRIC_COUNT, false},
    {"parameters", PARE_METRIC_COUNT, false},  {"peak_rss_bytes", PARE_METRIC_BYTES, false},
    {"perplexity", PARE_METRIC_NUMBER, false}, {"kl", PARE_METRIC_NUMBER, false},
    {"agreement", PARE_METRIC_FRACTION, true}, {"acc_norm", PARE_METRIC_FRACTION, true},
    {"spearman", PARE_METRIC_NUMBER, true},
};

/* Which unit may be written after a number, and what it is worth in the metric's own unit. */
static const struct {
    const char *text;
    enum pare_metric_unit unit;
    double factor;
} units[] = {
    {"kB", PARE_METRIC_BYTES, 1e3}, {"MB", PARE_METRIC_BYTES, 1e6},
    {"GB", PARE_METRIC_BYTES, 1e9}, {"ms", PARE_METRIC_MS, 1},
    {"s", PARE_METRIC_MS, 1e3},     {"pp", PARE_METRIC_FRACTION, 0.01},
};

static const char *const own_unit[] = {
    [PARE_METRIC_FRACTION] = "a fraction (or %, pp)", [PARE_METRIC_MS] = "ms or s",
    [PARE_METRIC_BYTES] = "bytes, kB, MB or GB",      [PARE_METRIC_COUNT] = "a plain number",
    [PARE_METRIC_NUMBER] = "a plain number",
};

const struct pare_metric *pare_metrics(size_t *n)
{
    *n = PARE_COUNT(builtin);
    return builtin;
}

const struct pare_metric *pare_metric_find(const char *name, const struct pare_metric *known,
                                           size_t n_known)
{
    for (size_t i = 0; i < n_known; i++) {
        if (!strcmp(known[i].name, name))
            return &known[i];
    }
    return NULL;
}

void pare_metric_hint(const char *name, const struct pare_metric *known, size_t n_known,
                      char out[PARE_METRIC_HINT])
{
    const char *names[64] = {0};
    const size_t n = PARE_MIN(n_known, PARE_COUNT(names));
    for (size_t i = 0; i < n; i++)
        names[i] = known[i].name;
    const char *near = pare_nearest(name, names, n);
    size_t used =
        near ? (size_t)snprintf(out, PARE_METRIC_HINT, "did you mean '%.100s'? ", near) : 0;
    for (size_t i = 0; i < n && used < PARE_METRIC_HINT; i++)
        used += (size_t)snprintf(out + used, PARE_METRIC_HINT - used, "%s%s",
                                 i ? ", " : "there are ", names[i]);
}

struct scan {
    const char *text;
    const char *at;
    size_t *column;
    struct pare_error *err;
};

static const char *const grammar =
    "METRIC <= or >= NUMBER, baseline + NUMBER, baseline - NUMBER or NUMBER * baseline";

static void skip(struct scan *s)
{
    s->at += strspn(s->at, " ");
}

static int expected(struct scan *s, const char *what)
{
    if (s->column)
        *s->column = (size_t)(s->at - s->text) + 1;
    size_t n = strcspn(s->at, " ");
    int rc = *s->at ? pare_error_set(s->err, PARE_INVALID, "expected %s, got '%.*s'", what,
                                     (int)PARE_MIN(n, (size_t)40), s->at)
                    : pare_error_set(s->err, PARE_INVALID, "expected %s, got the end", what);
    pare_error_hint(s->err, "a constraint is %s", grammar);
    return rc;
}

static bool take(struct scan *s, const char *token)
{
    size_t n = strlen(token);
    if (strncmp(s->at, token, n) != 0)
        return false;
    s->at += n;
    return true;
}

static size_t word_length(const char *p)
{
    return strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
}

/* A number without sign, its value in *out. */
static int take_number(struct scan *s, double *out)
{
    char text[64];
    size_t n = strspn(s->at, "0123456789.");
    if (n && (s->at[n] == 'e' || s->at[n] == 'E')) {
        size_t sign = s->at[n + 1] == '-' || s->at[n + 1] == '+';
        size_t digits = strspn(s->at + n + 1 + sign, "0123456789");
        n += digits ? 1 + sign + digits : 0;
    }
    if (n == 0 || n >= sizeof text)
        return expected(s, "a number");
    memcpy(text, s->at, n);
    text[n] = '\0';
    if (!pare_parse_double(text, out))
        return expected(s, "a number");
    s->at += n;
    return PARE_OK;
}

enum suffix { SUFFIX_NONE, SUFFIX_PERCENT, SUFFIX_UNIT };

/* The unit after a number, if any; one of the table's is applied to *value. */
static int take_unit(struct scan *s, const struct pare_metric *metric, enum suffix *suffix,
                     double *value)
{
    skip(s);
    *suffix = take(s, "%") ? SUFFIX_PERCENT : SUFFIX_NONE;
    if (*suffix == SUFFIX_PERCENT || !*s->at || *s->at == '*')
        return PARE_OK;
    size_t n = word_length(s->at);
    for (size_t i = 0; i < PARE_COUNT(units); i++) {
        if (strlen(units[i].text) != n || strncmp(units[i].text, s->at, n) != 0)
            continue;
        if (units[i].unit != metric->unit)
            break;
        *value *= units[i].factor;
        s->at += n;
        *suffix = SUFFIX_UNIT;
        return PARE_OK;
    }
    return n ? expected(s, own_unit[metric->unit]) : PARE_OK;
}

static int take_metric(struct scan *s, const struct pare_metric *known, size_t n_known,
                       const struct pare_metric **out)
{
    char name[128], hint[PARE_METRIC_HINT];
    size_t n = word_length(s->at);
    if (n == 0 || n >= sizeof name)
        return expected(s, "a metric");
    memcpy(name, s->at, n);
    name[n] = '\0';
    *out = pare_metric_find(name, known, n_known);
    if (*out) {
        s->at += n;
        return PARE_OK;
    }
    if (s->column)
        *s->column = (size_t)(s->at - s->text) + 1;
    pare_error_set(s->err, PARE_NOT_FOUND, "unknown metric '%s'", name);
    pare_metric_hint(name, known, n_known, hint);
    pare_error_hint(s->err, "%s", hint);
    return PARE_NOT_FOUND;
}

/* baseline [+|- NUMBER] */
static int take_baseline(struct scan *s, struct pare_constraint *c)
{
    enum suffix suffix;
    int rc = PARE_OK;
    skip(s);
    c->bound = PARE_BOUND_PLUS;
    c->value = 0;
    if (!*s->at)
        return PARE_OK;
    bool minus = *s->at == '-';
    if (!take(s, "+") && !take(s, "-"))
        return expected(s, "+ or - and a number");
    skip(s);
    const char *start = s->at;
    PARE_TRY(take_number(s, &c->value));
    PARE_TRY(take_unit(s, c->metric, &suffix, &c->value));
    if (suffix == SUFFIX_PERCENT && c->metric->unit == PARE_METRIC_FRACTION) {
        s->at = start;
        rc = expected(s, "pp (percentage points)");
        pare_error_hint(s->err, "for a share of the baseline write `0.99 * baseline`");
        return rc;
    }
    c->value = minus ? -c->value : c->value;
    if (suffix == SUFFIX_PERCENT) {
        c->bound = PARE_BOUND_TIMES;
        c->value = 1 + c->value / 100;
    }
out:
    return rc;
}

/* NUMBER [unit] or NUMBER * baseline */
static int take_value(struct scan *s, struct pare_constraint *c)
{
    enum suffix suffix;
    int rc;
    const char *start = s->at;
    double sign = take(s, "-") ? -1 : 1;
    PARE_TRY(take_number(s, &c->value));
    double factor = c->value;
    PARE_TRY(take_unit(s, c->metric, &suffix, &c->value));
    skip(s);
    if (take(s, "*")) {
        skip(s);
        if (word_length(s->at) != strlen("baseline") || !take(s, "baseline"))
            return expected(s, "baseline");
        if (sign < 0 || suffix == SUFFIX_UNIT) {
            s->at = start;
            return expected(s, "a plain number before '* baseline'");
        }
        c->bound = PARE_BOUND_TIMES;
        c->value = suffix == SUFFIX_PERCENT ? factor / 100 : factor;
        return PARE_OK;
    }
    if (suffix == SUFFIX_PERCENT && c->metric->unit != PARE_METRIC_FRACTION) {
        rc = expected(s, "'* baseline' after %");
        goto out;
    }
    c->bound = PARE_BOUND_ABSOLUTE;
    c->value = sign * (suffix == SUFFIX_PERCENT ? factor / 100 : c->value);
out:
    return rc;
}

int pare_constraint_parse(const char *text, const struct pare_metric *known, size_t n_known,
                          struct pare_constraint *out, size_t *column, struct pare_error *err)
{
    struct scan s = {text, text, column, err};
    struct pare_constraint c = {0};
    int rc;
    skip(&s);
    PARE_TRY(take_metric(&s, known, n_known, &c.metric));
    skip(&s);
    c.at_most = s.at[0] == '<';
    if (!take(&s, "<=") && !take(&s, ">="))
        return expected(&s, "<= or >=");
    skip(&s);
    size_t n = word_length(s.at);
    if (n == strlen("baseline") && take(&s, "baseline"))
        PARE_TRY(take_baseline(&s, &c));
    else
        PARE_TRY(take_value(&s, &c));
    skip(&s);
    if (*s.at)
        return expected(&s, "the end");
    *out = c;
out:
    return rc;
}

double pare_constraint_limit(const struct pare_constraint *c, double baseline)
{
    switch (c->bound) {
    case PARE_BOUND_PLUS:
        return baseline + c->value;
    case PARE_BOUND_TIMES:
        return baseline * c->value;
    default:
        return c->value;
    }
}

bool pare_constraint_holds(const struct pare_constraint *c, double value, double baseline)
{
    double limit = pare_constraint_limit(c, baseline);
    return c->at_most ? value <= limit : value >= limit;
}
