/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/commands.h"
#include "pipeline/worker.h"

static int run(struct pare_cli *cli)
{
    (void)cli;
    return pare_worker_main();
}

const struct pare_command pare_command_worker = {
    .name = "worker",
    .summary = "Do jobs for `pare run` (started by it, not by hand)",
    .arguments = "",
    .flags = PARE_CMD_HIDDEN,
    .least = 0,
    .most = 0,
    .run = run,
};
