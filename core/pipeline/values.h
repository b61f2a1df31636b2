/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_PIPELINE_VALUES_H
#define PARE_PIPELINE_VALUES_H

#include <jansson.h>

#include "model/graph.h"
#include "pipeline/yaml.h"
#include "plugin/step.h"

struct pare_data;

/* What a pipeline is checked against: plugins, the model, the data. Functions rather than a
 * catalogue, so that a pipeline can be checked without loading anything. All calls come from one
 * thread. */
struct pare_spec_env {
    void *user;

    /* As pare_catalog_find(): the plugin stays valid as long as `user` does. */
    int (*find)(void *user, const char *name, const char *folder,
                const struct pare_plugin_file **out, struct pare_error *err);

    /* All units of the model at `path`, which stay valid as `user` does, the hash of its content,
     * whether it reads text, and what it gives. */
    int (*model)(void *user, const char *path, const struct pare_unit **units, size_t *n,
                 char hash[PARE_HASH_HEX], bool *text, enum pare_output *output,
                 struct pare_error *err);

    /* The samples that a `data` entry reads: fill in hash, n_samples and task. */
    int (*data)(void *user, struct pare_data *data, struct pare_error *err);

    /* The plugin's own check of a whole step; NULL: none is made. */
    int (*check)(void *user, const struct pare_step *step, struct pare_error *err);

    unsigned numerics; /* PARE_ENGINE_NUMERICS */

    /* NULL-terminated settings KEY=VALUE that change what the file says, or NULL. */
    const char *const *sets;

    /* What to do where calibration data are needed; NULL: add them to the file. */
    const char *calibrate_hint;
};

/* The plugins that a pipeline uses, each once. */
struct pare_used {
    const struct pare_plugin_file **files;
    size_t n, cap;
};

/* The state of reading one pipeline. */
struct pare_checker {
    const struct pare_spec_env *env;
    struct pare_diags *diags;
    struct pare_used *used; /* gathers what was found */
    const char *folder;     /* of the YAML: relative names start here */
    const struct pare_unit
        *units; /* the model's; NULL when the model could not be read: unchecked */
    size_t n_units;
    unsigned depth; /* of plugins within parameters of plugins */
};

/* Most settings that one stage may stand for. */
#define PARE_SETTINGS_MOST 1000000u

/* Find the plugin that `name` (a text node) says, of the kind wanted (enum pare_kind). Says what is
 * wrong and returns NULL otherwise. */
const struct pare_plugin_file *pare_checked_plugin(struct pare_checker *c,
                                                   const struct pare_yaml *name, unsigned kind);

/* All values that a node stands for as a value of one parameter: an array of canonical values (see
 * plugin/step.h). A new reference; NULL: something is wrong and was said. */
json_t *pare_checked_values(struct pare_checker *c, const struct pare_plugin_file *plugin,
                            const struct pare_param *param, const struct pare_yaml *node);

/* All settings of a plugin that some maps of parameters stand for (later maps replace keys of
 * earlier ones; the key `plugin` is passed over): an array of objects with every parameter, sorted
 * by name. The first key varies slowest. `at` is blamed for what is missing. A new reference, or
 * NULL as above. */
json_t *pare_checked_settings(struct pare_checker *c, const struct pare_plugin_file *plugin,
                              const struct pare_yaml *const *maps, size_t n_maps,
                              const struct pare_yaml *at);

/* A selector or a list of them: checked against units of the kinds in the mask (0: all kinds),
 * sorted, each once, "*" written as "**". An array of texts, a new reference, or NULL as above. */
json_t *pare_checked_selectors(struct pare_checker *c, const struct pare_yaml *node,
                               unsigned kinds);

/* Whether the setting makes the plugin change nothing: one of its parameters is at its identity
 * value in every unit. */
bool pare_setting_is_identity(const struct pare_plugin *plugin, const json_t *params);

/* Call `found` for every score and allocator that the parameters name, in the order of the
 * parameters' names; those of parameters that have no part in the setting are left out. Stops at
 * what `found` returns when that is not PARE_OK. */
int pare_setting_plugins(const struct pare_used *used, const struct pare_plugin *plugin,
                         const json_t *params,
                         int (*found)(void *user, const struct pare_plugin_file *file), void *user);

/* The used plugin with that id; NULL: none. */
const struct pare_plugin_file *pare_used_find(const struct pare_used *used, const char *id);

/* Whether all keys of a map are among `known`; says which are not, and the nearest. `where` follows
 * the word: "unknown key 'x' in WHERE". */
bool pare_checked_keys(struct pare_checker *c, const struct pare_yaml *map,
                       const char *const *known, size_t n_known, const char *where);

/* "expected WHAT for 'NAME', got ..." at the node. Returns NULL, for brevity. */
void *pare_expected(struct pare_checker *c, const struct pare_yaml *node, const char *name,
                    const char *what);

#endif
