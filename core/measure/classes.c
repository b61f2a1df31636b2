/* SPDX-License-Identifier: Apache-2.0 */
/* Which class of the model a folder of images stands for. */
#include "measure/source.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define NAMES_SHOWN 8

enum { NO_CLASS = UINT32_MAX };

/* A label as a folder can carry it: "T-shirt/top" is t_shirt_top. */
static int plain(int c)
{
    return strchr("/ _-", c) && c ? '_' : tolower((unsigned char)c);
}

static bool alike(const char *a, const char *b)
{
    while (*a && plain(*a) == plain(*b))
        a++, b++;
    return !*a && !*b;
}

uint32_t pare_label_find(const char *name, const struct pare_model *model)
{
    uint32_t found = NO_CLASS;
    size_t n = 0;
    for (uint32_t k = 0; k < model->n_labels; k++) {
        if (strcmp(model->labels[k], name) == 0)
            return k;
        if (alike(model->labels[k], name)) {
            found = k;
            n++;
        }
    }
    return n == 1 ? found : NO_CLASS;
}

static uint32_t read_number(const char *name)
{
    long long v;
    bool digits = *name && strspn(name, "0123456789") == strlen(name);
    return digits && pare_parse_int(name, &v) && v < NO_CLASS ? (uint32_t)v : NO_CLASS;
}

/* Some folders are named as labels, others are not: whichever order was taken would be wrong. */
static int refuse(const struct pare_image_files *f, const uint32_t *number,
                  const struct pare_model *model, const char *folder, struct pare_error *err)
{
    struct pare_str list = {0};
    const char *first = NULL, *near;
    size_t n = 0;
    for (uint32_t i = 0; i < f->n_classes; i++) {
        if (number[i] != NO_CLASS)
            continue;
        if (n++ < NAMES_SHOWN)
            pare_str_printf(&list, "%s%s", n > 1 ? ", " : "", f->names[i]);
        first = first ? first : f->names[i];
    }
    if (n > NAMES_SHOWN)
        pare_str_printf(&list, " and %zu more", n - NAMES_SHOWN);
    pare_error_set(err, PARE_INVALID, "%s: some folders are named as the model's labels, some not",
                   folder);
    pare_error_detail(err, "%zu of %u are not: %s", n, f->n_classes, list.data ? list.data : "");
    near = pare_nearest(first, (const char *const *)model->labels, model->n_labels);
    if (near)
        pare_error_hint(err,
                        "did '%s' mean '%s'? The labels are in the model's config.json, id2label",
                        first, near);
    else
        pare_error_hint(err,
                        "name every folder as a label (config.json, id2label), or all by class "
                        "number from 0");
    pare_str_free(&list);
    return PARE_INVALID;
}

static int refuse_twice(const struct pare_image_files *f, const uint32_t *number,
                        const char *folder, struct pare_error *err)
{
    for (uint32_t i = 0; i < f->n_classes; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (number[k] == number[i])
                return pare_error_set(err, PARE_INVALID,
                                      "%s: the folders %s and %s are both class %u", folder,
                                      f->names[k], f->names[i], number[i]);
        }
    }
    return PARE_OK;
}

int pare_number_classes(const struct pare_image_files *f, const struct pare_model *model,
                        const char *folder, uint32_t *number, char note[PARE_DATA_NOTE],
                        struct pare_error *err)
{
    uint32_t labels = 0, numbers = 0;
    note[0] = '\0';
    for (uint32_t i = 0; i < f->n_classes; i++)
        numbers += read_number(f->names[i]) != NO_CLASS;
    for (uint32_t i = 0; i < f->n_classes; i++) {
        number[i] = model ? pare_label_find(f->names[i], model) : NO_CLASS;
        labels += number[i] != NO_CLASS;
    }
    if (labels == f->n_classes)
        return refuse_twice(f, number, folder, err);
    for (uint32_t i = 0; numbers == f->n_classes && i < f->n_classes; i++)
        number[i] = read_number(f->names[i]);
    if (numbers == f->n_classes)
        return refuse_twice(f, number, folder, err);
    if (labels)
        return refuse(f, number, model, folder, err);
    for (uint32_t i = 0; i < f->n_classes; i++)
        number[i] = i;
    snprintf(
        note, PARE_DATA_NOTE,
        "%.300s: no folder is named as a label of the model, so they are taken as classes 0 to "
        "%u in alphabetical order, %.80s first",
        folder, f->n_classes - 1, f->names[0]);
    return PARE_OK;
}
