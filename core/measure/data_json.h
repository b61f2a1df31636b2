/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_MEASURE_DATA_JSON_H
#define PARE_MEASURE_DATA_JSON_H

#include "measure/dataset.h"

/* The samples wanted as a JSON object with the members of the struct that are set, for messages to
 * other processes. New reference; NULL: out of memory, or a path that is not UTF-8. Any thread. */
json_t *pare_data_spec_to_json(const struct pare_data_spec *spec);

/* The reverse; strings belong to `json` and live as long as it does. PARE_INVALID: a member that is
 * not known, or of the wrong type. Any thread. */
int pare_data_spec_from_json(const json_t *json, struct pare_data_spec *out,
                             struct pare_error *err);

#endif
