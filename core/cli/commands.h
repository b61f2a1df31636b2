/* SPDX-License-Identifier: Apache-2.0 */
#ifndef PARE_CLI_COMMANDS_H
#define PARE_CLI_COMMANDS_H

#include "cli/command.h"

extern const struct pare_command pare_command_help;
extern const struct pare_command pare_command_init;
extern const struct pare_command pare_command_plan;
extern const struct pare_command pare_command_run;
extern const struct pare_command pare_command_apply;
extern const struct pare_command pare_command_list;
extern const struct pare_command pare_command_front;
extern const struct pare_command pare_command_generate;
extern const struct pare_command pare_command_pick;
extern const struct pare_command pare_command_show;
extern const struct pare_command pare_command_diff;
extern const struct pare_command pare_command_why;
extern const struct pare_command pare_command_query;
extern const struct pare_command pare_command_export;
extern const struct pare_command pare_command_eval;
extern const struct pare_command pare_command_bench;
extern const struct pare_command pare_command_model;
extern const struct pare_command pare_command_predict;
extern const struct pare_command pare_command_plugins;
extern const struct pare_command pare_command_plugin;
extern const struct pare_command pare_command_schema;
extern const struct pare_command pare_command_tag;
extern const struct pare_command pare_command_note;
extern const struct pare_command pare_command_db;
extern const struct pare_command pare_command_complete;
extern const struct pare_command pare_command_worker;

#endif
