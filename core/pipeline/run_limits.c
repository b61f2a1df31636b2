/* SPDX-License-Identifier: Apache-2.0 */
/* What a piece of work may take, and whether it took more. */
#include "base/clock.h"
#include "pipeline/run_parts.h"

#include <stdio.h>

#define STALL_S 300.0 /* no sign of life */

void pare_run_bound(const struct pare_runner *r, const struct pare_pipeline_stage *stage,
                    struct pare_run_bound *out)
{
    static const struct pare_limits none = {0};
    const struct pare_limits *all = &r->pipeline->limits, *own = stage ? &stage->limits : &none;
    const bool own_memory = own->memory_bytes || own->memory_share > 0;
    const struct pare_limits *memory = own_memory ? own : all;
    const double share = memory->memory_share > 0 ? memory->memory_share : PARE_MEMORY_SHARE;
    *out = (struct pare_run_bound){.time_s = own->time_s > 0 ? own->time_s : all->time_s,
                                   .stall_s = own->stall_s > 0   ? own->stall_s
                                              : all->stall_s > 0 ? all->stall_s
                                                                 : STALL_S,
                                   .bytes = memory->memory_bytes
                                                ? memory->memory_bytes
                                                : (uint64_t)(share * (double)r->memory),
                                   .stage = stage,
                                   .own_time = own->time_s > 0,
                                   .own_stall = own->stall_s > 0,
                                   .own_memory = own_memory};
}

/* How to raise it is said with it: the limit may be another's idea, or a default. What failed too
 * often is not tried again without being asked for. */
static void tell(struct pare_run_bound *b, const char *what, const char *key, bool own,
                 const char *option)
{
    if (own)
        snprintf(b->why, sizeof b->why, "%s: raise limits.%s of stage '%.60s', and --retry", what,
                 key, b->stage->id);
    else
        snprintf(b->why, sizeof b->why, "%s: raise limits.%s%s, and --retry", what, key, option);
}

bool pare_run_beyond(struct pare_run_bound *b, const struct pare_child *child, double since)
{
    const double now = pare_clock_seconds();
    char what[100];
    if (b->time_s > 0 && now - since > b->time_s) {
        snprintf(what, sizeof what, "took longer than %g s", b->time_s);
        tell(b, what, "time", b->own_time, " (--limit-time)");
        b->cause = "stall";
    } else if (now - PARE_MAX(child->last_heard, since) > b->stall_s) {
        snprintf(what, sizeof what, "no sign of life for %g s", b->stall_s);
        tell(b, what, "stall", b->own_stall, "");
        b->cause = "stall";
    } else if (pare_child_rss(child) > b->bytes) {
        snprintf(what, sizeof what, "used more memory than %.0f MB", (double)b->bytes / 1e6);
        tell(b, what, "memory", b->own_memory, " (--limit-memory)");
        b->cause = "memory";
    } else {
        return false;
    }
    return true;
}
