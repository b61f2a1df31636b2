/* SPDX-License-Identifier: Apache-2.0 */
/* Classify an image with a model that Pare exported:
 *     cc classify.c $(pkg-config --cflags --libs pare-runtime) -o classify
 *     ./classify MODEL IMAGE */
#include <stdio.h>
#include <stdlib.h>

#include <pare/runtime.h>

int main(int argc, char **argv)
{
    char message[1024];
    pare_rt_model *model;
    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL IMAGE\n", argv[0]);
        return 2;
    }
    if (pare_rt_open(argv[1], 1, &model, message, sizeof message) != PARE_OK) {
        fprintf(stderr, "%s\n", message);
        return 1;
    }
    unsigned best = 0, classes = pare_rt_classes(model);
    float *input = malloc(pare_rt_input_size(model) * sizeof *input);
    float *logits = malloc(classes * sizeof *logits);
    int rc = input && logits ? PARE_OK : PARE_NOMEM;
    snprintf(message, sizeof message, "out of memory");
    if (rc == PARE_OK)
        rc = pare_rt_load_image(model, argv[2], input, message, sizeof message);
    if (rc == PARE_OK)
        rc = pare_rt_run(model, input, 1, logits, message, sizeof message);
    if (rc == PARE_OK) {
        for (unsigned i = 1; i < classes; i++)
            best = logits[i] > logits[best] ? i : best;
        const char *label = pare_rt_label(model, best);
        printf("%u %s\n", best, label ? label : "");
    } else {
        fprintf(stderr, "%s\n", message);
    }
    free(logits);
    free(input);
    pare_rt_close(model);
    return rc != PARE_OK;
}
