/* SPDX-License-Identifier: Apache-2.0 */
/* Checks that run the plugin: on every model, twice, without memory, without services. */
#include "kit/check_parts.h"

#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/str.h"
#include "model/model.h"
#include "model/native.h"
#include "plugin/context.h"

/* The plugin's defaults; NULL: said why not. */
static json_t *defaults(struct pare_check *check)
{
    struct pare_error why = {0};
    json_t *setting = pare_check_setting(check, NULL, &why);
    if (!setting)
        pare_check_say(check, PARE_CHECK_FAIL, "its defaults are refused: %s", why.what);
    return setting;
}

void pare_check_subject_end(struct pare_check_subject *s)
{
    json_decref(s->setting);
    pare_check_model_free(&s->m);
}

bool pare_check_subject_begin(struct pare_check *check, struct pare_check_subject *s)
{
    struct pare_check_outcome o;
    struct pare_error last = {0};
    *s = (struct pare_check_subject){.setting = defaults(check)};
    for (size_t i = 0; s->setting && i < PARE_CHECK_FAMILIES && pare_check_model(check, i, &s->m);
         i++) {
        pare_check_apply(check, &s->m, &(struct pare_check_use){.setting = s->setting}, &o);
        const bool works = o.rc == PARE_OK;
        last = o.err;
        pare_check_outcome_free(&o);
        if (works)
            return true;
        pare_check_model_free(&s->m);
    }
    pare_check_say(check, PARE_CHECK_SKIP, "its defaults work on none of the tiny models: %s",
                   last.what);
    pare_check_subject_end(s);
    return false;
}

/* ---- models
 * ------------------------------------------------------------------------------------- */

static void on_models(struct pare_check *check, size_t from, size_t to)
{
    struct pare_str refused = {0};
    struct pare_check_model m;
    size_t worked = 0;
    json_t *setting = defaults(check);
    for (size_t i = from; setting && i < to && pare_check_model(check, i, &m); i++) {
        struct pare_check_outcome o;
        fprintf(stderr, "on %s\n", m.name);
        pare_check_apply(check, &m, &(struct pare_check_use){.setting = setting}, &o);
        worked += o.rc == PARE_OK;
        if (o.rc != PARE_OK && !pare_check_refused(&o))
            pare_check_say_error(check, m.name, &o.err);
        else if (o.rc != PARE_OK)
            pare_str_printf(&refused, "%s%s: %s", refused.len ? "; " : "", m.name, o.err.what);
        if (o.rc == PARE_OK && o.no_values)
            pare_check_say(
                check, PARE_CHECK_WARN,
                "no sample of ordinary logits has a value, only NaN: it measures nothing");
        pare_check_outcome_free(&o);
        pare_check_model_free(&m);
    }
    if (setting && refused.len)
        pare_check_say(check, worked ? PARE_CHECK_NOTE : PARE_CHECK_WARN, "refuses %s",
                       refused.data);
    pare_str_free(&refused);
    json_decref(setting);
}

void pare_check_families(struct pare_check *check)
{
    on_models(check, 0, PARE_CHECK_FAMILIES);
}

void pare_check_odd_shapes(struct pare_check *check)
{
    on_models(check, PARE_CHECK_FAMILIES, SIZE_MAX);
}

/* ---- the same again
 * ----------------------------------------------------------------------------- */

void pare_check_same_bytes(struct pare_check *check)
{
    static const uint32_t threads[] = {1, 1, 2};
    struct pare_check_subject s;
    char first[PARE_HASH_HEX] = "";
    if (!pare_check_subject_begin(check, &s))
        return;
    const bool promised = (check->file->desc.flags & PARE_DETERMINISTIC) != 0;
    for (size_t i = 0; i < PARE_COUNT(threads); i++) {
        struct pare_check_outcome o;
        omp_set_num_threads((int)threads[i]);
        pare_check_apply(
            check, &s.m,
            &(struct pare_check_use){.setting = s.setting, .seed = 7, .threads = threads[i]}, &o);
        if (o.rc != PARE_OK)
            pare_check_say(check, PARE_CHECK_FAIL, "run %zu fails: %s", i + 1, o.err.what);
        else if (i == 0)
            memcpy(first, o.hash, sizeof first);
        else if (strcmp(first, o.hash) != 0)
            pare_check_say(check, promised ? PARE_CHECK_FAIL : PARE_CHECK_NOTE,
                           "%s gives another result%s",
                           threads[i] == 1 ? "a second run" : "a run with 2 threads",
                           promised ? ", though PARE_DETERMINISTIC promises the same" : "");
        pare_check_outcome_free(&o);
    }
    /* for its supervisor, who compares it with that of another process */
    if (promised && check->result->level == PARE_CHECK_PASS)
        snprintf(check->result->text, sizeof check->result->text, "%s", first);
    pare_check_subject_end(&s);
}

/* What goes to stdout meanwhile is counted. */
void pare_check_quiet(struct pare_check *check)
{
    struct pare_check_subject s;
    struct pare_check_outcome o;
    char text[120];
    if (!pare_check_subject_begin(check, &s))
        return;
    const int kept = dup(STDOUT_FILENO), heard = memfd_create("stdout", MFD_CLOEXEC);
    fflush(stdout);
    if (kept < 0 || heard < 0 || dup2(heard, STDOUT_FILENO) < 0) {
        pare_check_say(check, PARE_CHECK_SKIP, "stdout cannot be heard here");
    } else {
        pare_check_apply(check, &s.m, &(struct pare_check_use){.setting = s.setting}, &o);
        fflush(stdout);
        dup2(kept, STDOUT_FILENO);
        const ssize_t n = pread(heard, text, sizeof text - 1, 0);
        text[n > 0 ? n : 0] = '\0';
        text[strcspn(text, "\n")] = '\0';
        if (n > 0)
            pare_check_say(check, PARE_CHECK_WARN,
                           "prints '%s' to stdout, which belongs to results: use host->log", text);
        pare_check_outcome_free(&o);
    }
    close(kept);
    close(heard);
    pare_check_subject_end(&s);
}

/* Descriptors that are open. A confined worker cannot list /proc/self/fd. */
static size_t open_files(void)
{
    const long most = sysconf(_SC_OPEN_MAX);
    size_t n = 0;
    for (int fd = 0; fd < PARE_MIN(most, 1 << 16); fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

void pare_check_leaks(struct pare_check *check)
{
    enum { WARM = 10, RUNS = 100 };
    struct pare_check_subject s;
    if (!pare_check_subject_begin(check, &s))
        return;
    size_t used[3] = {0}, files[3] = {0};
    for (int i = 0; i <= WARM + RUNS; i++) {
        struct pare_check_outcome o;
        if (i >= WARM && (i - WARM) % (RUNS / 2) == 0) {
            used[(i - WARM) / (RUNS / 2)] = mallinfo2().uordblks;
            files[(i - WARM) / (RUNS / 2)] = open_files();
        }
        pare_check_apply(check, &s.m, &(struct pare_check_use){.setting = s.setting}, &o);
        pare_check_outcome_free(&o);
    }
    /* Both halves have to grow: caches fill up once. The least block of malloc is 32 bytes. */
    const size_t first = used[1] > used[0] ? used[1] - used[0] : 0;
    const size_t second = used[2] > used[1] ? used[2] - used[1] : 0;
    const size_t lost = PARE_MIN(first, second);
    if (lost >= RUNS / 2 * 16)
        pare_check_say(check, PARE_CHECK_FAIL,
                       "each run leaves about %zu bytes behind: take memory from host->alloc, or "
                       "free it",
                       lost / (RUNS / 2));
    if (files[2] >= files[1] + RUNS / 2 && files[1] >= files[0] + RUNS / 2)
        pare_check_say(check, PARE_CHECK_FAIL,
                       "each run leaves %zu files open: close what you open",
                       (files[2] - files[0]) / RUNS);
    pare_check_subject_end(&s);
}

/* ---- a host that gives less
 * --------------------------------------------------------------------- */

/* How the host is short of something; one check at a time. */
static struct {
    const struct pare_plugin_file *of; /* for whom; others get all */
    long long allocs_left;             /* until memory is gone; negative: endless */
    long long allocs;
    const char *hidden; /* the extension that it does not have */
    bool asked;         /* for the hidden one */
    long long answered; /* times that progress was told to stop */
} shortage;

static void *short_alloc(struct pare_ctx *ctx, size_t n, size_t size)
{
    if (ctx->plugin != shortage.of)
        return pare_host_table.alloc(ctx, n, size);
    shortage.allocs++;
    if (shortage.allocs_left == 0) {
        pare_ctx_fail(ctx, PARE_NOMEM, "no memory for %zu times %zu bytes (by the check)", n, size);
        return NULL;
    }
    if (shortage.allocs_left > 0)
        shortage.allocs_left--;
    return pare_host_table.alloc(ctx, n, size);
}

static const void *short_extension(struct pare_ctx *ctx, const char *id)
{
    if (ctx->plugin == shortage.of && shortage.hidden && strcmp(id, shortage.hidden) == 0) {
        shortage.asked = true;
        return NULL;
    }
    return pare_host_table.extension(ctx, id);
}

static int short_progress(struct pare_ctx *ctx, double share)
{
    if (ctx->plugin != shortage.of)
        return pare_host_table.progress(ctx, share);
    shortage.answered++;
    return 1;
}

void pare_check_no_memory(struct pare_check *check)
{
    enum { MOST = 200 };
    struct pare_check_subject s;
    struct pare_host host = pare_check_host();
    if (!pare_check_subject_begin(check, &s))
        return;
    host.alloc = short_alloc;
    shortage.of = check->file;
    long long all = 1;
    for (long long k = 0; k < all && k < MOST && !pare_check_failed(check); k++) {
        struct pare_check_outcome o;
        shortage.allocs = 0;
        shortage.allocs_left = k;
        fprintf(stderr, "without memory from request %lld on\n", k + 1);
        pare_check_apply(check, &s.m, &(struct pare_check_use){.setting = s.setting, .host = &host},
                         &o);
        if (o.rc == PARE_OK && shortage.allocs > k)
            pare_check_say(check, PARE_CHECK_FAIL,
                           "request %lld of host->alloc is answered NULL, and it goes on as if "
                           "nothing were: return PARE_NOMEM",
                           k + 1);
        else if (o.rc != PARE_NOMEM && o.rc != PARE_OK)
            pare_check_say(check, PARE_CHECK_NOTE, "without memory it returns %d, not PARE_NOMEM",
                           o.rc);
        all = o.rc == PARE_OK ? 0 : k + 2;
        pare_check_outcome_free(&o);
    }
    pare_check_subject_end(&s);
}

void pare_check_no_extension(struct pare_check *check)
{
    static const char *const ids[] = {PARE_EXT_MODEL,       PARE_EXT_WEIGHT,    PARE_EXT_SURGERY,
                                      PARE_EXT_CALIBRATION, PARE_EXT_PROBE,     PARE_EXT_LINALG,
                                      PARE_EXT_PARALLEL,    PARE_EXT_RANDOM,    PARE_EXT_SCORED,
                                      PARE_EXT_TABLE,       PARE_EXT_ALLOCATION};
    struct pare_check_subject s;
    struct pare_host host = pare_check_host();
    if (!pare_check_subject_begin(check, &s))
        return;
    host.extension = short_extension;
    shortage.of = check->file;
    for (size_t i = 0; i < PARE_COUNT(ids) && !pare_check_failed(check); i++) {
        struct pare_check_outcome o;
        shortage.hidden = ids[i];
        shortage.asked = false;
        fprintf(stderr, "without %s\n", ids[i]);
        pare_check_apply(check, &s.m, &(struct pare_check_use){.setting = s.setting, .host = &host},
                         &o);
        if (shortage.asked && o.rc != PARE_OK && !o.err.what[0])
            pare_check_say(check, PARE_CHECK_FAIL, "without %s it fails and does not say why",
                           ids[i]);
        else if (shortage.asked && o.rc != PARE_OK && o.rc != PARE_UNSUPPORTED)
            pare_check_say(check, PARE_CHECK_NOTE,
                           "without %s it returns %d; PARE_UNSUPPORTED says that the host is older",
                           ids[i], o.rc);
        pare_check_outcome_free(&o);
    }
    shortage.hidden = NULL;
    pare_check_subject_end(&s);
}

void pare_check_cancel(struct pare_check *check)
{
    struct pare_check_subject s;
    struct pare_check_outcome o;
    struct pare_host host = pare_check_host();
    if (!pare_check_subject_begin(check, &s))
        return;
    host.progress = short_progress;
    shortage.of = check->file;
    shortage.answered = 0;
    pare_check_apply(check, &s.m, &(struct pare_check_use){.setting = s.setting, .host = &host},
                     &o);
    if (o.rc == PARE_OK && shortage.answered > 0)
        pare_check_say(check, PARE_CHECK_FAIL,
                       "host->progress says stop %lld times, and it goes on: return PARE_CANCELLED",
                       shortage.answered);
    else if (o.rc == PARE_OK && shortage.answered == 0 && !check->file->desc.apply_unit)
        pare_check_say(check, PARE_CHECK_NOTE,
                       "never calls host->progress: long work cannot be interrupted");
    else if (o.rc != PARE_OK && o.rc != PARE_CANCELLED)
        pare_check_say(check, PARE_CHECK_FAIL, "asked to stop it fails otherwise: %s", o.err.what);
    pare_check_outcome_free(&o);
    pare_check_subject_end(&s);
}

/* ---- size
 * --------------------------------------------------------------------------------------- */

/* What is written of a model is what it is said to take. */
void pare_check_size(struct pare_check *check)
{
    struct pare_check_subject s;
    struct pare_check_outcome o;
    struct pare_tensors tensors = {0};
    struct pare_error err = {0};
    json_t *graph = NULL;
    uint64_t stored = 0;
    if (!pare_plugin_transforms(&check->file->desc)) {
        pare_check_say(check, PARE_CHECK_SKIP, "it does not change models");
        return;
    }
    if (!pare_check_subject_begin(check, &s))
        return;
    pare_check_apply(check, &s.m, &(struct pare_check_use){.setting = s.setting}, &o);
    if (o.rc != PARE_OK) {
        pare_check_say(check, PARE_CHECK_FAIL, "a second run fails: %s", o.err.what);
        goto out;
    }
    const uint64_t said = pare_graph_bytes(o.graph), before = pare_graph_bytes(s.m.model->graph);
    if (pare_native_store(o.graph, &tensors, &graph, &err) != PARE_OK)
        pare_check_say(check, PARE_CHECK_FAIL, "its model cannot be written: %s", err.what);
    for (size_t i = 0; i < tensors.n; i++)
        stored += pare_round_up(tensors.items[i].data->size, PARE_ALIGN);
    if (graph && stored != said)
        pare_check_say(check, PARE_CHECK_FAIL, "%" PRIu64 " bytes are claimed, %" PRIu64 " stored",
                       said, stored);
    if (said > before)
        pare_check_say(check, PARE_CHECK_NOTE,
                       "with its defaults the model grows from %" PRIu64 " to %" PRIu64 " bytes",
                       before, said);
out:
    json_decref(graph);
    pare_tensors_free(&tensors);
    pare_check_outcome_free(&o);
    pare_check_subject_end(&s);
}
