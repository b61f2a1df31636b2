/* SPDX-License-Identifier: Apache-2.0 */
/* Does all that it is asked and misbehaves afterwards. BAD_END says how: "hang" and "crash" at the
 * end of every process that loaded it, "applied" hangs where it was applied, "mute" closes what is
 * printed to and takes a while. */
#include <pare/plugin.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int applied;

static int wanted(const char *what)
{
    const char *text = getenv("BAD_END");
    return text && strcmp(text, what) == 0;
}

__attribute__((destructor)) static void end(void)
{
    if (wanted("crash"))
        raise(SIGSEGV);
    while (wanted("hang") || (applied && wanted("applied")))
        pause();
}

static int apply(struct pare_ctx *ctx, const struct pare_host *host)
{
    (void)ctx, (void)host;
    applied = 1;
    if (wanted("mute")) {
        close(STDOUT_FILENO);
        close(STDERR_FILENO);
        sleep(3);
    }
    return PARE_OK;
}

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "bad-end",
    .version = "1.0.0",
    .summary = "misbehaves, for tests",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .label = "bad",
    .kind = PARE_TRANSFORM,
    .unit_kind = PARE_UNIT_LINEAR,

    .apply = apply,
};

PARE_PLUGIN(plugin)
