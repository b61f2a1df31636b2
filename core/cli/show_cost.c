/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/show_cost.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

/* Differences of profiles below these are not worth a sentence. */
#define SLOWER_PER_MAC 1.05
#define SHARE_WORTH 0.02
#define FIXED_WORTH 0.25

/* "layer.3.ffn.up" is part "layer.3" or operation "layer.*.ffn.up"; what is in no layer is "rest"
 * or itself. */
static void part_of(const char *path, bool by_operation, char *out, size_t size)
{
    const char *number = strncmp(path, "layer.", 6) == 0 ? path + 6 : NULL;
    size_t digits = 0;
    while (number && isdigit((unsigned char)number[digits]))
        digits++;
    if (!digits)
        snprintf(out, size, "%s", by_operation ? path : "rest");
    else if (by_operation)
        snprintf(out, size, "layer.*%s", number + digits);
    else
        snprintf(out, size, "layer.%.*s", (int)digits, number);
}

static struct pare_cost *find(struct pare_costs *c, const char *part)
{
    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->items[i].part, part) == 0)
            return &c->items[i];
    }
    char *own = pare_pool_strdup(&c->pool, part);
    if (!own || !pare_grow(&c->items, &c->cap, c->n + 1, sizeof *c->items))
        return NULL;
    c->items[c->n] = (struct pare_cost){.part = own};
    return &c->items[c->n++];
}

static bool is_product(uint8_t op)
{
    return op == PARE_OP_LINEAR || op == PARE_OP_CONV2D;
}

static int add_all(struct pare_costs *c, const struct pare_profile *p, bool base, bool by_operation,
                   struct pare_error *err)
{
    char part[PARE_PATH_MAX + 8];
    for (uint32_t i = 0; i < p->n; i++) {
        part_of(p->reports[i].path, by_operation, part, sizeof part);
        struct pare_cost *x = find(c, part);
        if (!x)
            return pare_error_nomem(err, 0);
        if (base) {
            x->base_ns += p->ns[i];
            x->base_bytes += p->bytes[i];
            x->base_macs += p->reports[i].macs;
            x->base_product = x->base_product || is_product(p->op[i]);
            continue;
        }
        x->ns += p->ns[i];
        x->bytes += p->bytes[i];
        x->macs += p->reports[i].macs;
        x->product = x->product || is_product(p->op[i]);
        x->decoded += p->reports[i].decoded;
        if (!x->kernel)
            x->kernel = p->reports[i].kernel;
    }
    return PARE_OK;
}

int pare_costs_of(const struct pare_profile *base, const struct pare_profile *variant,
                  bool by_operation, struct pare_costs *out, struct pare_error *err)
{
    *out = (struct pare_costs){0};
    int rc = add_all(out, base, true, by_operation, err);
    if (rc == PARE_OK)
        rc = add_all(out, variant, false, by_operation, err);
    if (rc != PARE_OK)
        pare_costs_free(out);
    return rc;
}

void pare_costs_free(struct pare_costs *costs)
{
    free(costs->items);
    pare_pool_free(&costs->pool);
    *costs = (struct pare_costs){0};
}

/* ---- showing ---- */

static void number_cell(struct pare_table *t, double x, const char *unit)
{
    char text[64];
    snprintf(text, sizeof text, "%.1f%s", x, unit);
    pare_table_number(t, x, text);
}

static void pair_cell(struct pare_table *t, uint64_t from, uint64_t to,
                      void (*show)(double x, char *out))
{
    char a[16], b[16];
    show((double)from, a);
    show((double)to, b);
    if (from == 0 && to == 0)
        pare_table_text(t, NULL);
    else if (from == to)
        pare_table_text(t, a);
    else
        pare_table_printf(t, "%s > %s", a, b);
}

static double per_kmac(double ns, uint64_t macs)
{
    return macs ? ns / (double)macs * 1e3 : (double)NAN;
}

bool pare_costs_print(const struct pare_costs *costs, bool by_operation, FILE *to)
{
    static const char *const common[] = {"baseline us", "us", "saved us", "bytes", "MACs"};
    struct pare_table t = {0};
    pare_table_column(&t, by_operation ? "operation" : "part");
    for (size_t i = 0; i < PARE_COUNT(common); i++)
        pare_table_column(&t, common[i]);
    if (by_operation) {
        pare_table_column(&t, "ns/kMAC");
        pare_table_column(&t, "was");
        pare_table_column(&t, "kernel");
    }
    for (size_t i = 0; i < costs->n; i++) {
        const struct pare_cost *x = &costs->items[i];
        double now = per_kmac(x->ns, x->macs), was = per_kmac(x->base_ns, x->base_macs);
        if (by_operation && x->ns == 0 && x->base_ns == 0)
            continue; /* fused into others in both */
        pare_table_text(&t, x->part);
        number_cell(&t, x->base_ns / 1e3, "");
        number_cell(&t, x->ns / 1e3, "");
        number_cell(&t, (x->base_ns - x->ns) / 1e3, "");
        pair_cell(&t, x->base_bytes, x->bytes, pare_show_bytes);
        pair_cell(&t, x->base_macs, x->macs, pare_show_count);
        if (!by_operation)
            continue;
        number_cell(&t, now, "");
        number_cell(&t, was, "");
        pare_table_text(&t, x->kernel ? x->kernel : "(gone)");
    }
    return pare_table_print(&t, PARE_FORMAT_TABLE, to);
}

json_t *pare_costs_json(const struct pare_costs *costs)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < costs->n; i++) {
        const struct pare_cost *x = &costs->items[i];
        json_array_append_new(
            list, json_pack("{s:s, s:f, s:f, s:I, s:I, s:I, s:I, s:I, s:o}", "part", x->part,
                            "baseline_us", x->base_ns / 1e3, "us", x->ns / 1e3, "baseline_bytes",
                            (json_int_t)x->base_bytes, "bytes", (json_int_t)x->bytes,
                            "baseline_macs", (json_int_t)x->base_macs, "macs", (json_int_t)x->macs,
                            "decoded", (json_int_t)x->decoded, "kernel",
                            x->kernel ? json_string(x->kernel) : json_null()));
    }
    return list;
}

/* ---- reasons ---- */

struct sums {
    double base, now, base_products, now_products, decoded, merging;
    uint32_t n_decoded;
    const char *decoded_kernel;
};

static void say(json_t *reasons, struct pare_str *s)
{
    if (s->data && !s->failed)
        json_array_append_new(reasons, json_string(s->data));
    pare_str_free(s);
}

static void whole(json_t *reasons, const struct sums *s)
{
    struct pare_str text = {0};
    pare_str_printf(&text,
                    "products: %.0f us against the baseline's %.0f (%.2fx); all else: %.0f against "
                    "%.0f",
                    s->now_products / 1e3, s->base_products / 1e3,
                    s->base_products / fmax(s->now_products, 1), (s->now - s->now_products) / 1e3,
                    (s->base - s->base_products) / 1e3);
    say(reasons, &text);
}

/* What no encoding of weights changes bounds the speed-up (Amdahl 1967). */
static void fixed_share(json_t *reasons, const struct sums *s)
{
    struct pare_str text = {0};
    double rest = s->now - s->now_products;
    if (rest < FIXED_WORTH * s->now)
        return;
    pare_str_printf(&text,
                    "%.0f %% of its time is attention, norms and other work per token that "
                    "compressing weights does not change: products that cost nothing would still "
                    "leave %.2fx",
                    100 * rest / s->now, s->base / rest);
    say(reasons, &text);
}

static void decoding(json_t *reasons, const struct sums *s)
{
    struct pare_str text = {0};
    if (!s->n_decoded)
        return;
    pare_str_printf(
        &text,
        "%u products have no kernel for their encoding and run in another form (%s): they "
        "are %.0f %% of its time; small on disk, not faster for it",
        s->n_decoded, s->decoded_kernel ? s->decoded_kernel : "?", 100 * s->decoded / s->now);
    say(reasons, &text);
}

/* What a kind of kernel does besides multiplying, by a word in its name. */
static const char *overhead(const char *kernel)
{
    static const struct {
        const char *word, *what;
    } known[] = {
        {"decode", "its weights are decoded to a wider form first"},
        {"weight-only", "its weights are widened to f32 on the way"},
        {"dynamic", "its inputs are rounded to int8 on the way"},
        {":", "picking the inputs that its kept weights need eats up what the zeros save"},
        {"sparse", "every kept number loads its inputs anew, and few tokens fill few vectors"},
    };
    for (size_t i = 0; i < PARE_COUNT(known); i++) {
        if (strstr(kernel, known[i].word))
            return known[i].what;
    }
    return "its shape is below what the kernel needs to pay";
}

/* Whether a product takes longer per multiply-accumulate than the baseline's, and is worth telling.
 */
static bool is_slow(const struct pare_cost *x, const struct sums *s)
{
    return x->product && x->base_product && x->kernel && x->ns >= SHARE_WORTH * s->now &&
           per_kmac(x->ns, x->macs) > SLOWER_PER_MAC * per_kmac(x->base_ns, x->base_macs);
}

/* One sentence for all slow products of one kernel, told at the first of them. */
static void slow_products(json_t *reasons, const struct pare_costs *c, const struct sums *s)
{
    for (size_t i = 0; i < c->n; i++) {
        struct pare_cost all = {.kernel = c->items[i].kernel};
        struct pare_str text = {0}, names = {0};
        bool first = is_slow(&c->items[i], s);
        for (size_t k = 0; k < c->n && first; k++) {
            const struct pare_cost *x = &c->items[k];
            if (!is_slow(x, s) || strcmp(x->kernel, all.kernel) != 0)
                continue;
            first = k >= i;
            pare_str_printf(&names, "%s%s", names.len ? ", " : "", x->part);
            all.ns += x->ns;
            all.base_ns += x->base_ns;
            all.macs += x->macs;
            all.base_macs += x->base_macs;
        }
        if (first) {
            pare_str_printf(&text, "%s (%s): %.1f ns per 1000 MACs against %.1f",
                            names.data ? names.data : "?", all.kernel, per_kmac(all.ns, all.macs),
                            per_kmac(all.base_ns, all.base_macs));
            if (all.macs < all.base_macs)
                pare_str_printf(&text, "; %.2fx fewer MACs, but %.2fx the time",
                                (double)all.base_macs / (double)all.macs, all.ns / all.base_ns);
            pare_str_printf(&text, "; %s", overhead(all.kernel));
            say(reasons, &text);
        }
        pare_str_free(&names);
    }
}

static void merging(json_t *reasons, const struct sums *s)
{
    struct pare_str text = {0};
    if (s->merging < SHARE_WORTH * s->now)
        return;
    pare_str_printf(&text, "merging tokens itself takes %.0f us, %.0f %% of its time",
                    s->merging / 1e3, 100 * s->merging / s->now);
    say(reasons, &text);
}

json_t *pare_costs_reasons(const struct pare_costs *operations)
{
    json_t *reasons = json_array();
    struct sums s = {0};
    for (size_t i = 0; i < operations->n; i++) {
        const struct pare_cost *x = &operations->items[i];
        s.base += x->base_ns;
        s.now += x->ns;
        s.base_products += x->base_product ? x->base_ns : 0;
        s.now_products += x->product ? x->ns : 0;
        s.merging += strstr(x->part, "merge") ? x->ns : 0;
        if (x->decoded) {
            s.n_decoded += x->decoded;
            s.decoded += x->ns;
            s.decoded_kernel = x->kernel;
        }
    }
    if (!reasons || !(s.now > 0))
        return reasons;
    whole(reasons, &s);
    decoding(reasons, &s);
    slow_products(reasons, operations, &s);
    merging(reasons, &s);
    fixed_share(reasons, &s);
    return reasons;
}
