/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_CLI_EVAL_TEXT_H
#define PARE_CLI_EVAL_TEXT_H

#include "cli/command.h"

/* `pare eval MODEL FILE` of a plain text; returns the exit status. */
int pare_cli_eval_text(struct pare_cli *cli, const char *path);

#endif
