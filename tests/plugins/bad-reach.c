/* SPDX-License-Identifier: Apache-2.0 */
/* Reaches for what is none of a plugin's affair: BAD_REACH, "WHAT PATH", says for what. It fails
 * with the system's words when it is kept from it; without the variable it does nothing. */
#include <pare/plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each returns 0, or the errno of what kept it. */

static int kept(int result)
{
    return result < 0 ? errno : 0;
}

static int read_file(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const int why = kept(fd);
    if (fd >= 0)
        close(fd);
    return why;
}

static int write_file(const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    const int why = kept(fd);
    if (fd >= 0)
        close(fd);
    return why;
}

static int change_mode(const char *path)
{
    return kept(chmod(path, 0600));
}

static int cut_file(const char *path)
{
    return kept(truncate(path, 0));
}

static int remove_file(const char *path)
{
    return kept(unlink(path));
}

static int reach_address(int family, const struct sockaddr *address, socklen_t size)
{
    const int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int why = kept(fd);
    if (fd >= 0) {
        why = kept(connect(fd, address, size));
        close(fd);
    }
    return why == ECONNREFUSED || why == ENOENT ? 0 : why; /* nobody is there: it was reached */
}

static int reach_network(const char *path)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)path;
    return reach_address(AF_INET, (const struct sockaddr *)&address, sizeof address);
}

static int reach_daemon(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    return reach_address(AF_UNIX, (const struct sockaddr *)&address, sizeof address);
}

static int start_program(const char *path)
{
    char name[] = "true", *argv[] = {name, NULL};
    const pid_t child = fork();
    if (child == 0) {
        execv(path, argv);
        _exit(1);
    }
    const int why = kept(child);
    if (child > 0)
        waitpid(child, NULL, 0);
    return why;
}

static int become_program(const char *path)
{
    char name[] = "true", *argv[] = {name, NULL};
    return kept(execv(path, argv));
}

static int signal_parent(const char *path)
{
    (void)path;
    return kept(kill(getppid(), 0));
}

/* Who owns a file is sent the signal that is set for it: one with neither kill nor its like. */
static int own_by_parent(const char *path)
{
    int ends[2], owner = getppid();
    (void)path;
    if (pipe(ends) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
        return 0;
    const int by_fcntl = kept(fcntl(ends[0], F_SETOWN, owner));
    const int by_ioctl = kept(ioctl(3, FIOSETOWN, &owner)); /* the worker's socket */
    close(ends[0]);
    close(ends[1]);
    return by_fcntl && by_ioctl ? by_fcntl : 0;
}

/* One byte is what its files could still grow to: its next write would end it. */
static int limit_parent(const char *path)
{
    const struct rlimit one = {1, RLIM_INFINITY};
    (void)path;
    return kept(prlimit(getppid(), RLIMIT_FSIZE, &one, NULL));
}

/* Its own limits and turns are a plugin's affair: told only when they cannot be had. */
static int slow_parent(const char *path)
{
    struct rlimit own;
    const struct sched_param none = {0};
    (void)path;
    if (getrlimit(RLIMIT_NOFILE, &own) != 0 || setrlimit(RLIMIT_NOFILE, &own) != 0 ||
        sched_setscheduler(0, SCHED_OTHER, &none) != 0)
        return 0;
    const int slower = kept(setpriority(PRIO_PROCESS, (id_t)getppid(), 1));
    const int idle = kept(sched_setscheduler(getppid(), SCHED_BATCH, &none));
    return slower && idle ? slower : 0;
}

static const struct {
    const char *what;
    int (*reach)(const char *path);
} ways[] = {
    {"read", read_file},       {"write", write_file},   {"mode", change_mode},
    {"cut", cut_file},         {"remove", remove_file}, {"network", reach_network},
    {"daemon", reach_daemon},  {"fork", start_program}, {"exec", become_program},
    {"parent", signal_parent}, {"limit", limit_parent}, {"slow", slow_parent},
    {"own", own_by_parent},
};

enum { TIMES = 32 };

struct wish {
    int (*reach)(const char *path);
    const char *path;
    int kept[TIMES];
};

static int try_once(void *user, size_t i)
{
    struct wish *wish = user;
    wish->kept[i] = wish->reach(wish->path);
    return 0;
}

/* From all threads: one that is not kept is enough. */
static int apply(struct pare_ctx *ctx, const struct pare_host *host)
{
    const char *text = getenv("BAD_REACH"), *path = text ? strchr(text, ' ') : NULL;
    const struct pare_ext_parallel *parallel = host->extension(ctx, PARE_EXT_PARALLEL);
    for (size_t i = 0; path && parallel && i < sizeof ways / sizeof ways[0]; i++) {
        struct wish wish = {.reach = ways[i].reach, .path = path + 1};
        if (strlen(ways[i].what) != (size_t)(path - text) ||
            strncmp(ways[i].what, text, (size_t)(path - text)) != 0)
            continue;
        parallel->run(ctx, TIMES, try_once, &wish);
        for (size_t k = 0; k < TIMES; k++) {
            if (!wish.kept[k])
                return PARE_OK;
        }
        return host->error(ctx, PARE_FAILED, "cannot %s %s: %s", ways[i].what, path + 1,
                           strerror(wish.kept[0]));
    }
    return PARE_OK;
}

static const struct pare_plugin plugin = {
    PARE_PLUGIN_HEAD,
    .id = "bad-reach",
    .version = "1.0.0",
    .summary = "misbehaves, for tests",
    .author = "the Pare authors",
    .license = "Apache-2.0",
    .label = "reach",
    .kind = PARE_TRANSFORM,
    .unit_kind = PARE_UNIT_LINEAR,

    .apply = apply,
};

PARE_PLUGIN(plugin)
