/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands: one line each, in the order that `pare help` shows. */
#include "cli/commands.h"
#include "base/mem.h"

/* clang-format off */
const struct pare_command *const pare_commands[] = {
    &pare_command_help,
    &pare_command_init,
    &pare_command_plan,
    &pare_command_run,
    &pare_command_apply,
    &pare_command_list,
    &pare_command_front,
    &pare_command_pick,
    &pare_command_show,
    &pare_command_diff,
    &pare_command_why,
    &pare_command_query,
    &pare_command_export,
    &pare_command_eval,
    &pare_command_bench,
    &pare_command_model,
    &pare_command_predict,
    &pare_command_generate,
    &pare_command_plugins,
    &pare_command_plugin,
    &pare_command_schema,
    &pare_command_tag,
    &pare_command_note,
    &pare_command_db,
    &pare_command_complete,
    &pare_command_worker,
};
/* clang-format on */
const size_t pare_n_commands = PARE_COUNT(pare_commands);
