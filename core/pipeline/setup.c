/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/setup.h"

json_t *pare_setup_new(const struct pare_used *used)
{
    json_t *encodings = json_array();
    for (size_t i = 0; i < used->n; i++) {
        if (used->files[i]->desc.encoding)
            json_array_append_new(encodings, json_string(used->files[i]->path));
    }
    return json_pack("{s:s, s:o}", "type", "setup", "encodings", encodings);
}

int pare_setup_follow(const json_t *setup, struct pare_catalog *catalog, struct pare_error *err)
{
    const struct pare_plugin_file *file;
    const json_t *path;
    size_t i;
    int rc = PARE_OK;
    json_array_foreach(json_object_get(setup, "encodings"), i, path)
    {
        const char *name = json_string_value(path);
        PARE_TRY(pare_catalog_find(catalog, name ? name : "", NULL, &file, err));
    }
out:
    return rc;
}
