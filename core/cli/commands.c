/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands: one line each. */
#include "cli/commands.h"
#include "base/mem.h"

const struct pare_command *const pare_commands[] = {
    &pare_command_help,
};
const size_t pare_n_commands = PARE_COUNT(pare_commands);
