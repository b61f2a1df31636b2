/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors that the host must refuse; which, and the id, are said when it is compiled. */
#include <pare/plugin.h>

#include <math.h>

#define TEXT(x) #x
#define ID(x) TEXT(x)

enum {
    ABI = 1, /* another major version */
    NOTHING, /* no descriptor at all */
    SIZE,    /* a struct of eight bytes */
    NAME,    /* an id that is no name of a file */
    ENTRY,   /* a transform that transforms nothing */
    DEFAULT, /* a default outside its bounds */
    TWICE,   /* two parameters of one name */
    BOUNDS,  /* bounds that are no numbers */
    WHEN,    /* a parameter that depends on one that is not there */
    COUNT,   /* more parameters than there can be */
    MEASURE, /* a metric that measures nothing */
    UNITS,   /* a metric with a parameter of units, which it does not see */
    KIND,    /* a kind that is none */
    TYPE     /* a parameter of a type that a later minor version has */
};

static int apply(struct pare_ctx *ctx, const struct pare_host *host)
{
    (void)ctx, (void)host;
    return PARE_OK;
}

static int measure(struct pare_ctx *ctx, const struct pare_host *host,
                   const struct pare_outputs *outputs, double *values)
{
    (void)ctx, (void)host, (void)outputs, (void)values;
    return PARE_OK;
}

static const struct pare_param params[] = {
    {.name = "a",
     .help = "a",
     .type = PARE_INT,
     .min = WRONG == BOUNDS ? (double)NAN : 0,
     .max = 9,
     .dflt = WRONG == DEFAULT ? "10" : "1",
     .varies = WRONG == UNITS ? PARE_UNIT_LINEAR : 0,
     .when = WRONG == WHEN ? "c=x" : NULL},
    {.name = WRONG == TWICE ? "a" : "b",
     .help = "b",
     .type = WRONG == TYPE ? 99 : PARE_INT,
     .min = 0,
     .max = 9,
     .dflt = "1"},
};

static const struct pare_plugin plugin = {
    .struct_size = WRONG == SIZE ? 8 : sizeof(struct pare_plugin),
    .abi_major = WRONG == ABI ? 99 : PARE_ABI_MAJOR,
    .abi_minor = WRONG == TYPE ? PARE_ABI_MINOR + 1 : PARE_ABI_MINOR,
    .id = WRONG == NAME ? "../Bad Name" : ID(PLUGIN),
    .version = "1.0.0",
    .summary = "misbehaves, for tests",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .label = "bad",
    .kind = WRONG == KIND                        ? 77
            : WRONG == MEASURE || WRONG == UNITS ? PARE_METRIC
                                                 : PARE_TRANSFORM,
    .n_params = WRONG == COUNT ? 100000 : 2,
    .param_size = sizeof params[0],
    .params = params,
    .apply = WRONG == ENTRY ? NULL : apply,
    .measure = WRONG == MEASURE ? NULL : measure,
};

PARE_EXPORT const struct pare_plugin *pare_plugin_v1(void);
const struct pare_plugin *pare_plugin_v1(void)
{
    return WRONG == NOTHING ? NULL : &plugin;
}
