/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/data_json.h"
#include "pipeline/run_parts.h"

#include <string.h>

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

int pare_run_data(void *user, const struct pare_data *data, char hash[PARE_HASH_HEX],
                  unsigned long long *samples, struct pare_error *err)
{
    struct pare_world *world = user;
    struct pare_data_spec spec = spec_of(data, 0);
    struct pare_dataset *set;
    if (!world->model)
        return pare_error_set(err, PARE_INVALID, "the data cannot be read without the model");
    int rc = pare_dataset_open(&spec, world->model, &set, err);
    if (rc != PARE_OK)
        return rc;
    memcpy(hash, pare_dataset_hash(set), PARE_HASH_HEX);
    *samples = pare_dataset_size(set);
    pare_dataset_close(set);
    return PARE_OK;
}
