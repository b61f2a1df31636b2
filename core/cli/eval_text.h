/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_CLI_EVAL_TEXT_H
#define PARE_CLI_EVAL_TEXT_H

#include "cli/command.h"
#include "measure/dataset.h"

/* `pare eval MODEL DATA` of a plain text: `model`, which is called `name`, and the file; of
 * `spec` which windows. Returns the exit status. */
int pare_cli_eval_text(struct pare_cli *cli, const struct pare_model *model, const char *name,
                       const char *path, const struct pare_data_spec *spec, uint32_t threads);

#endif
