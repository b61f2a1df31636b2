/* SPDX-License-Identifier: Apache-2.0 */
/* Variants that begin the same are evaluated from the same stored activations: which files are
 * written, by whose evaluation, who starts from them, and when they go. A file is worth writing
 * when others that wait for their evaluation have its point, and the work that it saves them
 * outweighs what writing and reading cost. All files together keep to a budget, and none outlives
 * the run. */
#include "pipeline/run_share.h"
#include "base/file.h"
#include "base/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define BUDGET ((uint64_t)4 << 30) /* bytes, unless limits.activations says another */
#define DISK_SHARE 4               /* and at most so much of what is free: a quarter */
#define START_SHARE 8              /* less than an eighth of a model is not worth a start */
#define MACS_PER_FLOAT 256         /* that the time of writing or reading one float is worth */
#define LOOK_AHEAD 256             /* waiting variants that are looked at */

struct stored {
    uint64_t id;
    char *path;
    uint64_t bytes;
    size_t writer; /* seat; SIZE_MAX: written */
};

int pare_share_begin(struct pare_share *s, struct pare_runner *r, struct pare_error *err)
{
    struct statvfs disk;
    int rc;
    *s = (struct pare_share){.r = r, .folder = pare_path_join(r->folder, "activations")};
    if (!s->folder)
        return pare_error_nomem(err, 0);
    PARE_TRY(pare_remove_tree(s->folder, err)); /* of a run that was killed */
    s->budget =
        r->pipeline->limits.activation_bytes ? r->pipeline->limits.activation_bytes : BUDGET;
    if (statvfs(r->folder, &disk) == 0)
        s->budget = PARE_MIN(s->budget, (uint64_t)disk.f_bavail * disk.f_frsize / DISK_SHARE);
    PARE_TRY(pare_make_folders(s->folder, err));
out:
    return rc;
}

static void drop(struct pare_share *s, size_t at)
{
    struct stored *f = &s->files[at];
    unlink(f->path);
    free(f->path);
    s->used -= f->bytes;
    s->files[at] = s->files[--s->n];
}

void pare_share_clear(struct pare_share *s)
{
    while (s->n)
        drop(s, s->n - 1);
}

void pare_share_end(struct pare_share *s)
{
    struct pare_error ignored;
    pare_share_clear(s);
    if (s->folder)
        pare_remove_tree(s->folder, &ignored);
    free(s->files);
    free(s->folder);
}

static const struct stored *file_of(const struct pare_share *s, uint64_t id)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->files[i].id == id)
            return &s->files[i];
    }
    return NULL;
}

static const struct pare_run_node *node_of(const struct pare_share *s, size_t variant)
{
    return &s->r->nodes[s->r->variants[variant].node];
}

static bool worth_a_start(const struct pare_run_node *node, const struct pare_run_point *point)
{
    return point->macs >= node->macs / START_SHARE;
}

/* The last point of a node that has a file, written or (also_soon) on its way; SIZE_MAX: none. */
static size_t last_stored(const struct pare_share *s, const struct pare_run_node *node,
                          bool also_soon)
{
    for (size_t i = node->n_points; i-- > 0 && worth_a_start(node, &node->points[i]);) {
        const struct stored *f = file_of(s, node->points[i].id);
        if (f && (also_soon || f->writer == SIZE_MAX))
            return i;
    }
    return SIZE_MAX;
}

static uint64_t macs_at(const struct pare_run_node *node, size_t point)
{
    return point == SIZE_MAX ? 0 : node->points[point].macs;
}

bool pare_share_soon(const struct pare_share *s, size_t variant)
{
    const struct pare_run_node *node = node_of(s, variant);
    return macs_at(node, last_stored(s, node, true)) > macs_at(node, last_stored(s, node, false));
}

/* The last point that both have; SIZE_MAX: none. */
static size_t last_common(const struct pare_run_node *a, const struct pare_run_node *b)
{
    for (size_t i = a->n_points; i-- > 0;) {
        for (size_t k = 0; k < b->n_points; k++) {
            if (a->points[i].id == b->points[k].id)
                return i;
        }
    }
    return SIZE_MAX;
}

static int add_file(struct pare_share *s, const struct pare_run_point *point, uint64_t bytes,
                    size_t seat)
{
    struct pare_str path = {0};
    if (!pare_grow(&s->files, &s->cap, s->n + 1, sizeof *s->files))
        return PARE_NOMEM;
    pare_str_printf(&path, "%s/%016" PRIx64, s->folder, point->id);
    struct stored f = {
        .id = point->id, .path = pare_str_take(&path), .bytes = bytes, .writer = seat};
    if (!f.path)
        return PARE_NOMEM;
    s->files[s->n++] = f;
    s->used += bytes;
    return PARE_OK;
}

/* What each point would save those that wait: their work up to it, less what they are spared
 * already. */
static void count_gains(const struct pare_share *s, size_t variant, const bool *waiting,
                        uint64_t *gain, uint64_t *readers)
{
    const struct pare_run_node *node = node_of(s, variant);
    size_t seen = 0;
    for (size_t v = 0; v < s->r->plan->n_variants && seen < LOOK_AHEAD; v++) {
        if (!waiting[v] || v == variant)
            continue;
        const struct pare_run_node *other = node_of(s, v);
        size_t at = last_common(node, other);
        seen++;
        if (at == SIZE_MAX || !worth_a_start(other, &node->points[at]))
            continue;
        uint64_t spared = macs_at(other, last_stored(s, other, true));
        if (node->points[at].macs <= spared)
            continue;
        gain[at] += node->points[at].macs - spared;
        readers[at]++;
    }
}

void pare_share_plan(struct pare_share *s, size_t variant, const bool *waiting, uint64_t samples,
                     size_t seat, json_t *job)
{
    const struct pare_run_node *node = node_of(s, variant);
    size_t from = last_stored(s, node, false);
    uint64_t *gain = pare_calloc(2 * node->n_points, sizeof *gain);
    json_t *keep = json_array();
    if (!gain || !keep)
        goto out; /* the evaluation does without */
    uint64_t *readers = gain + node->n_points;
    if (from != SIZE_MAX)
        json_object_set_new(job, "from",
                            json_pack("{s:s, s:s}", "key", node->points[from].key, "path",
                                      file_of(s, node->points[from].id)->path));
    count_gains(s, variant, waiting, gain, readers);
    for (size_t i = from == SIZE_MAX ? 0 : from + 1; i < node->n_points; i++) {
        const struct pare_run_point *p = &node->points[i];
        uint64_t bytes;
        if (gain[i] == 0 || gain[i] < (1 + readers[i]) * MACS_PER_FLOAT * p->floats ||
            file_of(s, p->id) || __builtin_mul_overflow(samples, 4 * p->floats, &bytes) ||
            bytes > s->budget || s->used > s->budget - bytes ||
            add_file(s, p, bytes, seat) != PARE_OK)
            continue;
        json_array_append_new(
            keep, json_pack("{s:s, s:s}", "key", p->key, "path", s->files[s->n - 1].path));
    }
    json_object_set(job, "keep", keep);
out:
    json_decref(keep);
    free(gain);
}

static bool was_kept(const json_t *answer, const char *path)
{
    const json_t *kept = json_object_get(answer, "kept");
    for (size_t i = 0; i < json_array_size(kept); i++) {
        const char *text = json_string_value(json_array_get(kept, i));
        if (text && strcmp(text, path) == 0)
            return true;
    }
    return false;
}

void pare_share_done(struct pare_share *s, size_t variant, size_t seat, const json_t *answer)
{
    for (size_t i = s->n; i-- > 0;) {
        if (s->files[i].writer != seat)
            continue;
        s->files[i].writer = SIZE_MAX;
        if (!was_kept(answer, s->files[i].path))
            drop(s, i);
    }
    if (!answer)
        return;
    double spared = pare_message_number(answer, "spared");
    s->evaluated++;
    s->started += spared > 0;
    s->macs_naive += (double)node_of(s, variant)->macs;
    s->macs_run += (double)node_of(s, variant)->macs - spared;
}

void pare_share_sweep(struct pare_share *s, const bool *wanted)
{
    for (size_t i = s->n; i-- > 0;) {
        bool reader = s->files[i].writer != SIZE_MAX;
        for (size_t v = 0; v < s->r->plan->n_variants && !reader; v++) {
            const struct pare_run_node *node = wanted[v] ? node_of(s, v) : NULL;
            for (size_t k = 0; node && k < node->n_points && !reader; k++)
                reader = node->points[k].id == s->files[i].id;
        }
        if (!reader)
            drop(s, i);
    }
}

int pare_share_points(struct pare_run_node *node, const json_t *answer)
{
    const json_t *list = json_object_get(answer, "points");
    size_t n = json_array_size(list);
    struct pare_run_point *points = pare_calloc(n, sizeof *points);
    node->points_known = true;
    if (!points)
        return PARE_NOMEM;
    for (size_t i = 0; i < n; i++) {
        const json_t *row = json_array_get(list, i);
        struct pare_run_point *p = &points[i];
        snprintf(p->key, sizeof p->key, "%s", pare_message_text(row, "key"));
        char head[17];
        memcpy(head, p->key, 16);
        head[16] = '\0';
        p->id = strtoull(head, NULL, 16);
        p->macs = (uint64_t)json_integer_value(json_object_get(row, "macs"));
        p->floats = (uint64_t)json_integer_value(json_object_get(row, "floats"));
    }
    free(node->points);
    node->points = points;
    node->n_points = n;
    node->macs = (uint64_t)json_integer_value(json_object_get(answer, "macs"));
    return PARE_OK;
}
