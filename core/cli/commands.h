/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_CLI_COMMANDS_H
#define PARE_CLI_COMMANDS_H

#include "cli/command.h"

extern const struct pare_command pare_command_help;

#endif
