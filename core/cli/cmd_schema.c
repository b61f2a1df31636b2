/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "cli/commands.h"
#include "cli/show.h"
#include "pipeline/schema.h"

#include <stdlib.h>
#include <string.h>

static int write_schema(const char *path, const json_t *schema, struct pare_error *err)
{
    char *text = json_dumps(schema, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
    char *folder = pare_path_folder(path);
    int rc = text && folder ? pare_make_folders(folder, err) : pare_error_nomem(err, 0);
    if (rc == PARE_OK)
        rc = pare_file_write(path, text, strlen(text), err);
    free(folder);
    free(text);
    return rc;
}

static int run(struct pare_cli *cli)
{
    struct pare_catalog *catalog = NULL;
    const struct pare_plugin_file *const *list;
    struct pare_error err = {0};
    json_t *schema = NULL;
    const char *path = pare_cli_option(cli, "output");
    size_t n;
    int exit = PARE_EXIT_OK, rc;
    PARE_TRY(pare_catalog_new(&catalog, &err));
    PARE_TRY(pare_catalog_all(catalog, pare_show_left_out, NULL, &list, &n, &err));
    schema = pare_schema(list, n);
    if (!schema) {
        rc = pare_error_nomem(&err, 0);
        goto out;
    }
    if (path) {
        PARE_TRY(write_schema(path, schema, &err));
    } else {
        exit = pare_cli_json(schema) ? PARE_EXIT_OK : PARE_EXIT_FAILED;
        schema = NULL;
    }
out:
    if (rc != PARE_OK)
        exit = pare_cli_fail(&err);
    json_decref(schema);
    pare_catalog_free(catalog);
    return exit;
}

static const struct pare_option options[] = {
    {"output", 'o', "FILE", "write it there (an old one is replaced) instead of stdout"},
};

const struct pare_command pare_command_schema = {
    .name = "schema",
    .summary = "Write the JSON Schema of pipelines, for editors",
    .arguments = "",
    .about = "Made from the plugins that are installed: completion and checks while you type.\n"
             "docs/pipelines.md says the same at length. Point the editor to it in the first line "
             "of a pipeline:\n"
             "  # yaml-language-server: $schema=.pare/schema.json\n\n"
             "examples:\n"
             "  pare schema -o .pare/schema.json",
    .least = 0,
    .most = 0,
    .options = options,
    .n_options = PARE_COUNT(options),
    .run = run,
};
