/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/data_json.h"
#include "pipeline/run_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static struct pare_data_spec spec_of(const struct pare_data *data, uint64_t limit)
{
    uint64_t samples = data->samples;
    if (limit && (samples == 0 || limit < samples))
        samples = limit;
    return (struct pare_data_spec){.from = data->from,
                                   .split = data->split,
                                   .inputs = data->inputs,
                                   .labels = data->labels,
                                   .skip = data->skip,
                                   .samples = samples,
                                   .window = data->window,
                                   .stride = data->stride,
                                   .method = data->method,
                                   .shuffle = data->shuffle >= 0,
                                   .seed = data->shuffle >= 0 ? (uint64_t)data->shuffle : 0};
}

json_t *pare_run_data_json(const struct pare_data *data, uint64_t limit)
{
    if (data->n_samples == 0)
        return json_null();
    struct pare_data_spec spec = spec_of(data, PARE_MIN(limit, (uint64_t)data->n_samples));
    return pare_data_spec_to_json(&spec);
}

/* One line per data set, whatever number of entries read it. */
static int add_note(struct pare_world *world, const char *note, struct pare_error *err)
{
    struct pare_str s = {0};
    if (!note[0] || (world->data_notes && strstr(world->data_notes, note)))
        return PARE_OK;
    pare_str_printf(&s, "%s%s\n", world->data_notes ? world->data_notes : "", note);
    char *grown = pare_str_take(&s);
    if (!grown)
        return pare_error_nomem(err, 0);
    free(world->data_notes);
    world->data_notes = grown;
    return PARE_OK;
}

int pare_run_data(void *user, struct pare_data *data, struct pare_error *err)
{
    struct pare_world *world = user;
    struct pare_data_spec spec = spec_of(data, 0);
    struct pare_dataset *set;
    if (!world->model)
        return pare_error_set(err, PARE_INVALID, "the data cannot be read without the model");
    int rc = pare_dataset_open(&spec, world->model, &set, err);
    if (rc != PARE_OK)
        return rc;
    memcpy(data->hash, pare_dataset_hash(set), PARE_HASH_HEX);
    data->n_samples = pare_dataset_size(set);
    data->task = pare_dataset_task(set);
    pare_world_read(world, data->from);
    for (size_t i = 0; i < 2; i++)
        pare_world_read(world, pare_dataset_source(set, i));
    rc = add_note(world, pare_dataset_note(set), err);
    pare_dataset_close(set);
    return rc;
}
