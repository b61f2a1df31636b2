/* SPDX-License-Identifier: Apache-2.0 */
/* The host's first table, and what surrounds every call into a plugin. */
#include "plugin/context.h"
#include "base/str.h"
#include "plugin/fpstate.h"

#include <math.h>
#include <omp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pare_ctx_begin(struct pare_ctx *ctx, struct pare_stage *stage,
                    const struct pare_plugin_file *plugin, const json_t *params,
                    struct pare_error *err)
{
    *ctx = (struct pare_ctx){.stage = stage, .plugin = plugin, .params = params, .err = err};
    struct pare_hash h;
    char hex[PARE_HASH_HEX];
    pare_hash_begin(&h);
    pare_hash_add(&h, &stage->env->seed, sizeof stage->env->seed);
    pare_hash_text(&h, plugin->desc.id);
    pare_hash_end(&h, hex);
    hex[16] = '\0';
    pare_random_seed(&ctx->random, strtoull(hex, NULL, 16));
}

/* What an entry point was given lives until it returns: a transform that goes unit by unit holds
 * one unit's memory, not the model's. */
static void free_handed_out(struct pare_ctx *ctx)
{
    for (size_t i = 0; i < ctx->n_blocks; i++)
        free(ctx->blocks[i]);
    ctx->n_blocks = 0;
    pare_pool_free(&ctx->scratch);
}

void pare_ctx_end(struct pare_ctx *ctx)
{
    for (size_t i = 0; i < PARE_UNIT_KINDS; i++)
        pare_units_free(&ctx->units[i]);
    free_handed_out(ctx);
    free(ctx->blocks);
}

int pare_ctx_pass(struct pare_ctx *ctx, int rc)
{
    ctx->reported = ctx->reported || rc != PARE_OK;
    return rc;
}

int pare_ctx_fail(struct pare_ctx *ctx, int status, const char *fmt, ...)
{
    char text[sizeof ctx->err->what];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    ctx->reported = true;
    return pare_error_set(ctx->err, status, "%s", text);
}

/* ---- the floating-point state
 * -------------------------------------------------------------------- */

#define THREADS_MAX 1024

/* Note every thread's state, or (restore) put it back and tell whether one had changed. */
static bool visit_threads(unsigned *state, int n, bool restore)
{
    bool changed = false;
    if (n == 1) {
        changed = restore && pare_fp_control() != state[0];
        if (restore)
            pare_fp_set_control(state[0]);
        state[0] = pare_fp_control();
        return changed;
    }
#pragma omp parallel num_threads(n) reduction(|| : changed)
    {
        int t = omp_get_thread_num();
        if (restore) {
            changed = pare_fp_control() != state[t];
            pare_fp_set_control(state[t]);
        } else {
            state[t] = pare_fp_control();
        }
    }
    return changed;
}

int pare_ctx_call(struct pare_ctx *ctx, const char *entry, int (*call)(struct pare_ctx *, void *),
                  void *user)
{
    unsigned state[THREADS_MAX];
    const char *id = ctx->plugin->desc.id;
    int n = (int)PARE_MAX(1u, PARE_MIN(ctx->stage->env->threads, (unsigned)THREADS_MAX));
    for (int t = 0; t < n; t++) /* for threads that come to life later */
        state[t] = pare_fp_control();
    visit_threads(state, n, false);
    ctx->reported = false;
    int rc = call(ctx, user);
    free_handed_out(ctx);
    if (visit_threads(state, n, true)) {
        pare_error_set(ctx->err, PARE_FAILED, "plugin '%s' changed the floating-point state in %s",
                       id, entry);
        pare_error_hint(ctx->err, "it would change every later result: build it without fast-math");
        return PARE_FAILED;
    }
    if (rc == PARE_OK)
        return PARE_OK;
    if (rc < PARE_OK || rc > PARE_BUSY)
        rc = PARE_FAILED;
    if (!ctx->reported)
        pare_error_set(ctx->err, rc, "plugin '%s' failed in %s and gave no reason", id, entry);
    else if (ctx->err && !ctx->err->detail[0])
        pare_error_detail(ctx->err, "plugin '%s' %s%s%s%s", id, ctx->plugin->desc.version,
                          ctx->stage->step ? ", stage '" : "",
                          ctx->stage->step ? ctx->stage->step->stage : "",
                          ctx->stage->step ? "'" : "");
    return rc;
}

/* ---- units
 * --------------------------------------------------------------------------------------- */

static size_t list_length(const char *const *list)
{
    size_t n = 0;
    while (list && list[n])
        n++;
    return n;
}

static int kind_slot(unsigned kind)
{
    for (int i = 0; i < PARE_UNIT_KINDS; i++) {
        if (kind == 1u << i)
            return i;
    }
    return -1;
}

const struct pare_units *pare_ctx_units(struct pare_ctx *ctx, unsigned kind)
{
    int slot = kind_slot(kind);
    const struct pare_units *all = &ctx->stage->entry_units;
    const struct pare_step *step = ctx->stage->step;
    if (slot < 0)
        return NULL;
    struct pare_units *mine = &ctx->units[slot];
    if (ctx->units_known[slot])
        return mine;
    mine->items = pare_calloc(all->n, sizeof *mine->items);
    if (!mine->items)
        return NULL;
    for (size_t i = 0; i < all->n; i++) {
        const struct pare_unit *u = &all->items[i];
        if (u->kind != kind)
            continue;
        if (step && !pare_unit_chosen(u, step->on, list_length(step->on), step->except,
                                      list_length(step->except)))
            continue;
        mine->items[mine->n] = *u; /* strings stay the stage's */
        mine->items[mine->n].index = (uint32_t)mine->n;
        mine->n++;
    }
    ctx->units_known[slot] = true;
    return mine;
}

/* ---- slots of the table
 * -------------------------------------------------------------------------- */

static int host_error(struct pare_ctx *ctx, int status, const char *fmt, ...) PARE_PRINTF(3, 4);
static int host_error(struct pare_ctx *ctx, int status, const char *fmt, ...)
{
    char text[384];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (status <= PARE_OK || status > PARE_BUSY)
        status = PARE_FAILED;
    return pare_ctx_fail(ctx, status, "%s", text);
}

static void host_log(struct pare_ctx *ctx, int level, const char *fmt, ...) PARE_PRINTF(3, 4);
static void host_log(struct pare_ctx *ctx, int level, const char *fmt, ...)
{
    char text[1024];
    struct pare_stage_env *env = ctx->stage->env;
    va_list args;
    if (!env->log)
        return;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    env->log(env->user, level, text);
}

static int host_progress(struct pare_ctx *ctx, double share)
{
    struct pare_stage_env *env = ctx->stage->env;
    if (env->progress && share >= 0 && share <= 1)
        env->progress(env->user, share);
    return env->cancelled && env->cancelled(env->user);
}

static void *host_alloc(struct pare_ctx *ctx, size_t n, size_t size)
{
    void *p = NULL;
    if (pare_grow(&ctx->blocks, &ctx->cap_blocks, ctx->n_blocks + 1, sizeof *ctx->blocks))
        p = pare_alloc_aligned(n, size);
    if (!p) {
        pare_ctx_fail(ctx, PARE_NOMEM, "out of memory: plugin '%s' wanted %zu times %zu bytes",
                      ctx->plugin->desc.id, n, size);
        return NULL;
    }
    memset(p, 0, n * size);
    ctx->blocks[ctx->n_blocks++] = p;
    return p;
}

/* The canonical value of a parameter, whose declared type must be one of `types`. */
static const json_t *find_value(struct pare_ctx *ctx, const char *param, unsigned types)
{
    const struct pare_param *p = pare_plugin_param(&ctx->plugin->desc, param);
    if (!p || !(types & 1u << p->type))
        return NULL;
    return json_object_get(ctx->params, param);
}

static int no_such(struct pare_ctx *ctx, const char *param)
{
    return pare_ctx_fail(ctx, PARE_INVALID,
                         "plugin '%s' asks for a parameter '%s' that it did not declare so",
                         ctx->plugin->desc.id, param ? param : "(none)");
}

static int host_get_real(struct pare_ctx *ctx, const struct pare_unit *unit, const char *param,
                         double *out)
{
    if (!find_value(ctx, param, 1u << PARE_INT | 1u << PARE_REAL | 1u << PARE_BOOL))
        return no_such(ctx, param);
    return pare_setting_number(ctx, unit, param, out);
}

static int host_get_int(struct pare_ctx *ctx, const struct pare_unit *unit, const char *param,
                        int64_t *out)
{
    double x;
    if (!find_value(ctx, param, 1u << PARE_INT | 1u << PARE_BOOL))
        return no_such(ctx, param);
    int rc = pare_setting_number(ctx, unit, param, &x);
    if (rc == PARE_OK)
        *out = (int64_t)x;
    return rc;
}

static int host_get_text(struct pare_ctx *ctx, const struct pare_unit *unit, const char *param,
                         const char **out)
{
    const json_t *j =
        find_value(ctx, param, 1u << PARE_CHOICE | 1u << PARE_TEXT | 1u << PARE_SCORED);
    (void)unit;
    if (json_is_object(j))
        j = json_object_get(j, "plugin");
    if (!json_is_string(j)) {
        const struct pare_param *p = pare_plugin_param(&ctx->plugin->desc, param);
        if (!p || p->type < PARE_CHOICE || p->type == PARE_INTS)
            return no_such(ctx, param);
        *out = ""; /* declared, and left empty */
        return PARE_OK;
    }
    *out = json_string_value(j);
    return PARE_OK;
}

static int host_get_ints(struct pare_ctx *ctx, const struct pare_unit *unit, const char *param,
                         const int64_t **values, uint32_t *n)
{
    const struct pare_param *p = pare_plugin_param(&ctx->plugin->desc, param);
    const json_t *j = find_value(ctx, param, 1u << PARE_INTS);
    (void)unit;
    *values = NULL;
    *n = 0;
    if (!json_is_array(j)) /* declared, and left empty */
        return p && p->type == PARE_INTS ? PARE_OK : no_such(ctx, param);
    int64_t *own = pare_pool_alloc(&ctx->scratch, json_array_size(j), sizeof *own);
    if (!own)
        return pare_ctx_fail(ctx, PARE_NOMEM, "out of memory");
    for (size_t i = 0; i < json_array_size(j); i++)
        own[i] = json_integer_value(json_array_get(j, i));
    *values = own;
    *n = (uint32_t)json_array_size(j);
    return PARE_OK;
}

static int host_decided(struct pare_ctx *ctx, const struct pare_unit *unit, const char *param,
                        double value, double score)
{
    struct pare_stage *stage = ctx->stage;
    const struct pare_param *p = param ? pare_plugin_param(&ctx->plugin->desc, param) : NULL;
    const struct pare_unit *known = NULL;
    if (!p)
        return no_such(ctx, param);
    for (size_t i = 0; unit && !known && i < stage->entry_units.n; i++) {
        const struct pare_unit *u = &stage->entry_units.items[i];
        if (u->kind == unit->kind && strcmp(u->path, unit->path) == 0)
            known = u;
    }
    if (!known)
        return pare_ctx_fail(ctx, PARE_INVALID, "a value was decided for a unit that is not there");
    if (!isfinite(value))
        return pare_ctx_fail(ctx, PARE_INVALID, "%s: what was decided for %s is not finite", param,
                             known->path);
    if (!pare_grow(&stage->decisions, &stage->cap_decisions, stage->n_decisions + 1,
                   sizeof *stage->decisions))
        return pare_ctx_fail(ctx, PARE_NOMEM, "out of memory");
    stage->decisions[stage->n_decisions++] =
        (struct pare_decision){.unit = known, .param = p, .value = value, .score = score};
    return PARE_OK;
}

static const void *host_extension(struct pare_ctx *ctx, const char *id)
{
    static const struct {
        const char *id;
        const void *table;
        bool alone; /* needs no model */
    } tables[] = {
        {PARE_EXT_MODEL, &pare_service_model, false},
        {PARE_EXT_WEIGHT, &pare_service_weight, false},
        {PARE_EXT_SURGERY, &pare_service_surgery, false},
        {PARE_EXT_CALIBRATION, &pare_service_calibration, false},
        {PARE_EXT_PROBE, &pare_service_probe, false},
        {PARE_EXT_LINALG, &pare_service_linalg, true},
        {PARE_EXT_PARALLEL, &pare_service_parallel, true},
        {PARE_EXT_RANDOM, &pare_service_random, false},
        {PARE_EXT_SCORED, &pare_service_scored, false},
        {PARE_EXT_TABLE, &pare_service_table, false},
        {PARE_EXT_ALLOCATION, &pare_service_allocation, false},
    };
    const bool has_model = ctx->stage->graph != NULL,
               measures = ctx->plugin->desc.kind == PARE_METRIC;
    if (!has_model && !measures) /* `check` runs before any work: there may be units to count */
        return id && ctx->stage->entry_units.n && strcmp(id, PARE_EXT_MODEL) == 0
                   ? &pare_service_model
                   : NULL;
    for (size_t i = 0; i < PARE_COUNT(tables); i++) {
        if (id && strcmp(tables[i].id, id) == 0)
            return has_model || tables[i].alone ? tables[i].table : NULL;
    }
    return NULL;
}

const struct pare_host pare_host_table = {
    .struct_size = sizeof pare_host_table,
    .abi_major = PARE_ABI_MAJOR,
    .abi_minor = PARE_ABI_MINOR,
    .error = host_error,
    .log = host_log,
    .progress = host_progress,
    .alloc = host_alloc,
    .get_real = host_get_real,
    .get_int = host_get_int,
    .get_text = host_get_text,
    .get_ints = host_get_ints,
    .extension = host_extension,
    .decided = host_decided,
};
