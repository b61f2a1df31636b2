/* SPDX-License-Identifier: Apache-2.0 */
/* Never gets as far as its descriptor: when it is loaded it crashes, or (HANG) goes on for ever. */
#include <pare/plugin.h>

#include <signal.h>
#include <unistd.h>

__attribute__((constructor)) static void begin(void)
{
#ifdef HANG
    for (;;)
        pause();
#else
    raise(SIGSEGV);
#endif
}

PARE_EXPORT const struct pare_plugin *pare_plugin_v1(void);
const struct pare_plugin *pare_plugin_v1(void)
{
    return NULL;
}
