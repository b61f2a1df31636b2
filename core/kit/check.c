/* SPDX-License-Identifier: Apache-2.0 */
/* The list of checks, and running one here or all of them in workers. */
#include "kit/check_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "pipeline/ask.h"
#include "pipeline/setup.h"

static const struct pare_check_case cases[] = {
    {"handshake", "the file loads, and its descriptor is whole and of this ABI",
     pare_check_handshake},
    {"one-symbol", "exports its entry and nothing else", pare_check_symbols},
    {"libraries", "links to the C and mathematics libraries only", pare_check_libraries},
    {"load-time", "loads in less than 100 ms of the CPU", pare_check_load_time},
    {"metadata", "tells what it is, by whom, since when and under which licence",
     pare_check_metadata},
    {"parameters",
     "every parameter has a sentence of help, bounds, and values worth trying within "
     "them",
     pare_check_parameters},
    {"out-of-range", "values beyond a parameter's bounds are refused", pare_check_out_of_range},
    {"families", "runs on a tiny model of every family, or says why not", pare_check_families},
    {"odd-shapes", "runs where no size is a round number", pare_check_odd_shapes},
    {"in-range", "any settings within the bounds work or are refused with a reason",
     pare_check_in_range},
    {"identity", "the identity setting changes nothing", pare_check_identity},
    {"layer-wise", "a value for one unit changes that unit alone", pare_check_layer_wise},
    {"same-bytes",
     "the same seed gives the same bytes, with 1 thread, with 2, and in another process",
     pare_check_same_bytes},
    {"quiet", "prints nothing", pare_check_quiet},
    {"leaks", "a hundred runs need no more memory and open files than ten", pare_check_leaks},
    {"no-memory", "says so when memory runs out, at any place", pare_check_no_memory},
    {"no-extension", "says so when the host lacks a service", pare_check_no_extension},
    {"cancel", "stops when it is asked to", pare_check_cancel},
    {"size", "what the model is said to take is what its file takes", pare_check_size},
    {"kernel", "an encoding's products are those of its decoded numbers, however they are cut",
     pare_check_kernel},
    {"bytes", "an encoding refuses changed and cut bytes, or reads them without harm",
     pare_check_bytes},
};

const struct pare_check_case *pare_checks(size_t *n)
{
    *n = PARE_COUNT(cases);
    return cases;
}

const char *pare_check_level_name(enum pare_check_level level)
{
    static const char *const names[] = {"pass", "skip", "note", "warn", "fail"};
    return level < PARE_COUNT(names) ? names[level] : "?";
}

void pare_check_say(struct pare_check *check, enum pare_check_level level, const char *fmt, ...)
{
    va_list args;
    if (level <= check->result->level)
        return;
    check->result->level = level;
    va_start(args, fmt);
    vsnprintf(check->result->text, sizeof check->result->text, fmt, args);
    va_end(args);
}

void pare_check_say_error(struct pare_check *check, const char *where, const struct pare_error *why)
{
    const bool more = why->detail[0] != '\0';
    pare_check_say(check, PARE_CHECK_FAIL, "%s: %s%s%s%s", where, why->what, more ? " (" : "",
                   why->detail, more ? ")" : "");
}

bool pare_check_failed(const struct pare_check *check)
{
    return check->result->level == PARE_CHECK_FAIL;
}

/* ---- in this process
 * ----------------------------------------------------------------------------- */

static const struct pare_check_case *find(const char *name)
{
    for (size_t i = 0; i < PARE_COUNT(cases); i++) {
        if (strcmp(cases[i].name, name) == 0)
            return &cases[i];
    }
    return NULL;
}

int pare_check_here(const char *plugin, const char *name, struct pare_check_result *out,
                    struct pare_error *err)
{
    const struct pare_check_case *c = find(name);
    struct pare_check check = {.plugin = plugin, .result = out};
    *out = (struct pare_check_result){0};
    if (!c)
        return pare_error_set(err, PARE_NOT_FOUND, "there is no check '%s'", name);
    int rc = pare_catalog_new(&check.catalog, err);
    if (rc != PARE_OK)
        return rc;
    rc = pare_catalog_find(check.catalog, plugin, NULL, &check.file, &check.why);
    if (rc == PARE_OK || c == &cases[0])
        c->run(&check);
    else
        pare_check_say(&check, PARE_CHECK_SKIP, "it does not load");
    pare_catalog_free(check.catalog);
    return PARE_OK;
}

/* ---- in a worker
 * --------------------------------------------------------------------------------- */

static void take_answer(const json_t *answer, struct pare_check_result *out)
{
    const char *level = pare_message_text(answer, "level");
    *out = (struct pare_check_result){.level = PARE_CHECK_FAIL};
    for (enum pare_check_level l = PARE_CHECK_PASS; l < PARE_CHECK_FAIL; l++) {
        if (strcmp(pare_check_level_name(l), level) == 0)
            out->level = l;
    }
    const char *text = pare_message_text(answer, *level ? "text" : "what");
    snprintf(out->text, sizeof out->text, "%s", text);
}

/* Of a worker, on models of some kilobytes. */
#define MEMORY_MOST 1000000000ULL

static json_t *make_setup(const struct pare_check_run *run)
{
    json_t *reads = strchr(run->plugin, '/') ? json_pack("[s]", run->plugin) : json_array();
    json_t *setup =
        pare_setup_new(&(struct pare_setup){.confine = !run->unconfined, .reads = reads});
    json_decref(reads);
    return setup;
}

static int run_once(const struct pare_check_run *run, const json_t *setup,
                    const struct pare_check_case *c, struct pare_check_result *out,
                    struct pare_error *err)
{
    struct pare_ask ask = {.program = run->program,
                           .threads = 2,
                           .setup = setup,
                           .seconds = run->seconds,
                           .bytes = MEMORY_MOST};
    json_t *job =
        json_pack("{s:s, s:s, s:s}", "type", "check", "plugin", run->plugin, "check", c->name);
    int rc = pare_ask_worker(&ask, job, err);
    *out = (struct pare_check_result){.level = PARE_CHECK_FAIL};
    if (ask.answer)
        take_answer(ask.answer, out);
    else
        snprintf(out->text, sizeof out->text, "%s%s", ask.why,
                 ask.limit && strcmp(ask.limit, "time") == 0 ? " (--seconds gives it longer)" : "");
    json_decref(ask.answer);
    pare_str_free(&ask.log);
    return rc;
}

/* `same-bytes` passes with a hash of what was made. A process of its own has other addresses, where
 * the system chooses them at random: what hangs on them shows in a second one. */
static int run_one(const struct pare_check_run *run, const json_t *setup,
                   const struct pare_check_case *c, struct pare_check_result *out,
                   struct pare_error *err)
{
    int rc = run_once(run, setup, c, out, err);
    if (rc != PARE_OK || c->run != pare_check_same_bytes || out->level != PARE_CHECK_PASS)
        return rc;
    const struct pare_check_result first = *out;
    rc = run_once(run, setup, c, out, err);
    if (rc != PARE_OK || out->level != PARE_CHECK_PASS)
        return rc;
    if (strcmp(first.text, out->text) != 0) {
        out->level = PARE_CHECK_FAIL;
        snprintf(out->text, sizeof out->text,
                 "another process gives another result, though PARE_DETERMINISTIC promises the "
                 "same: does it use addresses, the time or memory that is not set?");
    } else {
        out->text[0] = '\0';
    }
    return rc;
}

int pare_check_all(const struct pare_check_run *run, struct pare_error *err)
{
    json_t *setup = make_setup(run);
    size_t done = 0;
    int rc = setup ? PARE_OK : pare_error_nomem(err, 0);
    /* so that malloc knows what is in use: blocks that it keeps for a thread count as used */
    setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0", 0);
    for (size_t i = 0; i < PARE_COUNT(cases) && rc == PARE_OK; i++) {
        struct pare_check_result result;
        if (run->only && !pare_glob_match(run->only, cases[i].name))
            continue;
        const double start = pare_clock_seconds();
        rc = run_one(run, setup, &cases[i], &result, err);
        if (rc != PARE_OK)
            break;
        done++;
        if (run->tell(run->user, &cases[i], &result, pare_clock_seconds() - start))
            rc = pare_error_set(err, PARE_CANCELLED, "interrupted");
        if (i == 0 && result.level == PARE_CHECK_FAIL)
            break; /* the others need a plugin that loads */
    }
    json_decref(setup);
    if (done || rc != PARE_OK)
        return rc;
    pare_error_set(err, PARE_NOT_FOUND, "no check is called '%s'", run->only);
    pare_error_hint(err, "`pare plugin check --list` names them");
    return PARE_NOT_FOUND;
}
