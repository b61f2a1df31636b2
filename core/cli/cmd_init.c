/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/show.h"
#include "measure/dataset.h"
#include "pipeline/init.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* A name for the pipeline out of the model's: letters, digits, - and _ only. */
static void name_of(const char *path, char *out, size_t size)
{
    size_t len = strlen(path), n = 0;
    while (len > 1 && path[len - 1] == '/')
        len--;
    size_t start = len;
    while (start > 0 && path[start - 1] != '/')
        start--;
    for (size_t i = start; i < len && n + 1 < size; i++)
        out[n++] = isalnum((unsigned char)path[i]) || path[i] == '_' ? path[i] : '-';
    out[n] = '\0';
    if (n == 0 || strspn(out, "-") == n)
        snprintf(out, size, "model");
}

static int run(struct pare_cli *cli)
{
    enum { SPLITS = 64 };
    static struct pare_split found[SPLITS];
    struct pare_init_split splits[SPLITS];
    struct pare_model *model = NULL;
    struct pare_error err = {0};
    char *text = NULL, name[64];
    size_t n = 0;
    int exit = PARE_EXIT_OK, rc;
    PARE_TRY(pare_model_open(cli->args[0], &model, &err));
    PARE_TRY(pare_dataset_splits(cli->args[1], found, SPLITS, &n, &err));
    n = PARE_MIN(n, (size_t)SPLITS);
    for (size_t i = 0; i < n; i++)
        splits[i] = (struct pare_init_split){found[i].name[0] ? found[i].name : NULL,
                                             (unsigned long long)found[i].samples};
    name_of(cli->args[0], name, sizeof name);
    PARE_TRY(pare_init_text(name, cli->args[0], cli->args[1], splits, n, &text, &err));
    fputs(text, stdout);
out:
    if (rc != PARE_OK)
        exit = pare_cli_fail(&err);
    free(text);
    pare_model_free(model);
    return exit;
}

const struct pare_command pare_command_init = {
    .name = "init",
    .summary = "Write a pipeline to begin with",
    .arguments = "MODEL DATA",
    .about = "MODEL is a folder with config.json and safetensors, DATA a folder of samples whose "
             "splits\nare found. The pipeline goes to stdout, with comments; paths in it are as "
             "you typed them,\nso redirect it into a file in this folder.\n\n"
             "examples:\n"
             "  pare init ./plants-vit ./plants > edge.yaml && pare plan edge.yaml",
    .least = 2,
    .most = 2,
    .run = run,
};
