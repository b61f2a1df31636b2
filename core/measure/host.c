/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of this machine. All of it is read from the system, nothing is changed; what the
 * system does not tell is left out. */
#include "measure/measure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/mem.h"

/* The first line of a small file, without its end; false: there is none. */
static bool read_line(const char *path, char *out, size_t room)
{
    FILE *f = fopen(path, "re");
    bool got = f && fgets(out, (int)room, f);
    if (f)
        fclose(f);
    if (got)
        out[strcspn(out, "\n")] = '\0';
    return got && *out;
}

/* The value of "key : value" or "key: value" in a file; the first one. */
static bool read_field(const char *path, const char *key, char *out, size_t room)
{
    const size_t n = strlen(key);
    char line[4096];
    bool found = false;
    FILE *f = fopen(path, "re");
    while (f && !found && fgets(line, sizeof line, f)) {
        const char *p = line + n;
        if (strncmp(line, key, n) != 0)
            continue;
        p += strspn(p, " \t");
        if (*p++ != ':')
            continue;
        p += strspn(p, " \t");
        snprintf(out, room, "%.*s", (int)strcspn(p, "\n"), p);
        found = *out;
    }
    if (f)
        fclose(f);
    return found;
}

uint64_t pare_peak_rss(void)
{
    char text[64];
    return read_field("/proc/self/status", "VmHWM", text, sizeof text)
               ? strtoull(text, NULL, 10) * 1024
               : 0;
}

/* Where the kernel offers a choice as "a [b] c": the one in brackets. */
static void take_choice(char *text)
{
    const char *from = strchr(text, '['), *to = from ? strchr(from, ']') : NULL;
    if (to) {
        const size_t n = (size_t)(to - from - 1);
        memmove(text, from + 1, n);
        text[n] = '\0';
    }
}

/* Facts that are one line of a file. */
static const struct {
    const char *name, *path;
    char type; /* 't' text, 'c' choice, 'i' integer */
} lines[] = {
    {"governor", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", 't'},
    {"khz_min", "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_min_freq", 'i'},
    {"khz_max", "/sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", 'i'},
    {"boost", "/sys/devices/system/cpu/cpufreq/boost", 'i'},
    {"smt", "/sys/devices/system/cpu/smt/active", 'i'},
    {"transparent_hugepages", "/sys/kernel/mm/transparent_hugepage/enabled", 'c'},
    {"aslr", "/proc/sys/kernel/randomize_va_space", 'i'},
    {"clocksource", "/sys/devices/system/clocksource/clocksource0/current_clocksource", 't'},
    {"boot_id", "/proc/sys/kernel/random/boot_id", 't'},
};

/* Facts of /proc/cpuinfo. */
static const struct {
    const char *name, *key;
} fields[] = {{"microcode", "microcode"}, {"cache", "cache size"}, {"mhz", "cpu MHz"}};

static void set_text(json_t *facts, const char *name, const char *text)
{
    json_object_set_new(facts, name, json_string_nocheck(text)); /* a failed set leaves it out */
}

static void add_lines(json_t *facts)
{
    char text[256];
    for (size_t i = 0; i < PARE_COUNT(lines); i++) {
        if (!read_line(lines[i].path, text, sizeof text))
            continue;
        if (lines[i].type == 'c')
            take_choice(text);
        if (lines[i].type == 'i')
            json_object_set_new(facts, lines[i].name, json_integer(strtoll(text, NULL, 10)));
        else
            set_text(facts, lines[i].name, text);
    }
    for (size_t i = 0; i < PARE_COUNT(fields); i++) {
        if (read_field("/proc/cpuinfo", fields[i].key, text, sizeof text))
            set_text(facts, fields[i].name, text);
    }
}

json_t *pare_host_facts(void)
{
    json_t *facts = json_object();
    struct utsname uts = {0};
    char cpu[256] = "unknown", machine[128] = "", id[PARE_HASH_HEX], text[64];
    struct pare_hash h;
    uname(&uts);
    const long cores = sysconf(_SC_NPROCESSORS_ONLN), pages = sysconf(_SC_PHYS_PAGES);
    read_field("/proc/cpuinfo", "model name", cpu, sizeof cpu);
    read_line("/etc/machine-id", machine, sizeof machine);

    set_text(facts, "hostname", uts.nodename);
    set_text(facts, "cpu", cpu);
    json_object_set_new(facts, "cores", json_integer(cores));
    json_object_set_new(facts, "cores_allowed", json_integer(pare_cpu_count()));
    json_object_set_new(facts, "memory", json_integer((json_int_t)pages * sysconf(_SC_PAGESIZE)));
    set_text(facts, "kernel", uts.release);
    set_text(facts, "machine", uts.machine);
    set_text(facts, "isa", pare_isa_name(pare_isa_best()));
    add_lines(facts);

    /* Memory differs a little between boots, names can change hands: the machine's own id counts.
     */
    pare_hash_begin(&h);
    pare_hash_text(&h, machine[0] ? machine : uts.nodename);
    pare_hash_text(&h, cpu);
    snprintf(text, sizeof text, "%ld", cores);
    pare_hash_text(&h, text);
    pare_hash_end(&h, id);
    set_text(facts, "id", id);
    return facts;
}
