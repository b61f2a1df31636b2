/* SPDX-License-Identifier: Apache-2.0 */
/* Confinement by Landlock. The structures and numbers are the kernel's interface, spelled out where
 * older headers end before them: those of Linux 5.13 do. */
#include "pipeline/confine.h"
#include "pipeline/confine_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "plugin/open.h"

#define REFER (UINT64_C(1) << 13)
#define TRUNCATE (UINT64_C(1) << 14)
#define IOCTL_DEVICE (UINT64_C(1) << 15)

/* What a rule can say of a file, the rest being about folders. */
#define OF_FILES                                                                                   \
    (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |   \
     TRUNCATE | IOCTL_DEVICE)

/* Nobody gets EXECUTE: it is for new programs, and libraries do without. */
#define READING (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITING                                                                                    \
    (READING | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_FILE |                    \
     LANDLOCK_ACCESS_FS_MAKE_REG | TRUNCATE)

/* As of ABI 6; a kernel before it takes what it knows, when the rest is 0. */
struct ruleset {
    uint64_t files, tcp, scoped;
};

/* What each ABI can refuse, besides what those before it can. */
static const struct ruleset abis[] = {
    {.files = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1},
    {.files = REFER},
    {.files = TRUNCATE},
    {.tcp = 3}, /* bind and connect */
    {.files = IOCTL_DEVICE},
    {.scoped = 3}, /* abstract sockets, signals */
};

/* What the C library, OpenMP and our own figures read. Not all of /proc: command lines are there.
 */
static const char *const system_reads[] = {
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/gnu/store",
    "/dev/null",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
    "/proc/self",
    "/proc/stat",
    "/proc/cpuinfo",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/sys/vm",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/sys/devices/system",
};
static const char *const system_writes[] = {"/dev/null"};

static const char libraries[] =
    "a worker reads libraries below /usr, /lib and LD_LIBRARY_PATH only: add their folder to "
    "LD_LIBRARY_PATH, or run with --no-confine or `limits: {confine: false}`";

static int landlock_abi(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

static struct ruleset refusable(void)
{
    struct ruleset all = {0};
    const int abi = landlock_abi();
    for (int i = 0; i < abi && i < (int)PARE_COUNT(abis); i++) {
        all.files |= abis[i].files;
        all.tcp |= abis[i].tcp;
        all.scoped |= abis[i].scoped;
    }
    return all;
}

/* A rule is one of an inode. Those of /proc are made anew when nobody holds them, so they stay
 * open. */
static bool allow(int rules, const char *path, uint64_t what)
{
    struct stat st;
    const int fd = path ? open(path, O_PATH | O_CLOEXEC) : -1;
    if (fd < 0)
        return true;
    const bool folder = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
    const struct landlock_path_beneath_attr rule = {
        .allowed_access = folder ? what : what & OF_FILES, .parent_fd = fd};
    const bool done =
        syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
    if (strncmp(path, "/proc/", 6) != 0)
        close(fd);
    return done;
}

static bool allow_all(int rules, const json_t *paths, const char *const *system, size_t n,
                      uint64_t what)
{
    bool fine = true;
    for (size_t i = 0; i < n && fine; i++)
        fine = allow(rules, system[i], what);
    for (size_t i = 0; i < json_array_size(paths) && fine; i++)
        fine = allow(rules, json_string_value(json_array_get(paths, i)), what);
    return fine;
}

static bool confine_files(const json_t *read, const json_t *write)
{
    const struct ruleset all = refusable();
    const int rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
    if (rules < 0)
        return false;
    const bool fine =
        allow_all(rules, read, system_reads, PARE_COUNT(system_reads), READING & all.files) &&
        allow_all(rules, write, system_writes, PARE_COUNT(system_writes), WRITING & all.files) &&
        syscall(SYS_landlock_restrict_self, rules, 0) == 0;
    close(rules);
    return fine;
}

unsigned pare_confine_able(void)
{
    return (landlock_abi() > 0 ? PARE_CONFINE_FILES : 0u) |
           (pare_confine_calls_able() ? PARE_CONFINE_CALLS : 0u);
}

const char *pare_confine_note(void)
{
    static const char *const notes[] = {
        "plugins are not confined: this kernel has neither Landlock, for files, nor seccomp, for "
        "the network",
        "plugins are not kept from the network: this kernel has no seccomp filters",
        "plugins are not kept from files: this kernel has no Landlock",
        NULL,
    };
    return notes[pare_confine_able()];
}

int pare_confine(const json_t *read, const json_t *write, struct pare_error *err)
{
    const unsigned able = pare_confine_able();
    if (able == 0)
        return PARE_OK;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
        (!(able & PARE_CONFINE_FILES) || confine_files(read, write)) &&
        (!(able & PARE_CONFINE_CALLS) || pare_confine_calls())) {
        if (able & PARE_CONFINE_FILES)
            pare_plugin_open_narrowed(libraries);
        return PARE_OK;
    }
    pare_error_errno(err, "a worker cannot be confined");
    pare_error_hint(err, "--no-confine lets plugins touch all that you may");
    return PARE_FAILED;
}
