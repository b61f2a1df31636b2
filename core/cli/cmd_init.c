/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "cli/show.h"
#include "measure/dataset.h"
#include "measure/windows.h"
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
    if (len - start > 5 && strncmp(path + len - 5, ".gguf", 5) == 0)
        len -= 5;
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
    struct pare_init in = {.model = cli->args[0], .data = cli->args[1], .splits = found};
    struct pare_model *model = NULL;
    struct pare_error err = {0};
    char *text = NULL, name[64];
    int exit = PARE_EXIT_OK, rc;
    PARE_TRY(pare_model_open(in.model, &model, &err));
    in.texts = pare_graph_reads_text(model->graph);
    in.writes = pare_graph_output(model->graph) == PARE_OUTPUT_NEXT_TOKEN;
    in.window = pare_window_default(model->graph);
    PARE_TRY(in.texts ? pare_text_splits(in.data, model, found, SPLITS, &in.n_splits, &err)
                      : pare_dataset_splits(in.data, found, SPLITS, &in.n_splits, &err));
    name_of(in.model, name, sizeof name);
    in.name = name;
    PARE_TRY(pare_init_text(&in, &text, &err));
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
    .about = "MODEL is a folder with config.json and safetensors, or a GGUF file; DATA a folder of "
             "samples\nwhose splits are found, or of texts (SPLIT.txt, SPLIT.jsonl, SPLIT.tsv), or "
             "a file of them.\nWhat the texts are for is measured: perplexity, accuracy or rank "
             "correlation. The pipeline goes\nto stdout, with comments; paths in it are as you "
             "typed them, so redirect it into a file in\nthis folder.\n\n"
             "examples:\n"
             "  pare init ./plants-vit ./plants > edge.yaml && pare plan edge.yaml\n"
             "  pare init SmolLM2-135M.gguf book.txt > small.yaml",
    .least = 2,
    .most = 2,
    .run = run,
};
