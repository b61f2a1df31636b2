/* SPDX-License-Identifier: Apache-2.0 */
#include "pipeline/child.h"
#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_MAX ((size_t)16384)
#define FAREWELL_S 10.0 /* for a worker that is done: what plugins do at exit, and sanitizers */

extern char **environ;

/* The caller's environment, with what makes workers alike. A worker that is timed has the machine
 * to itself and its threads stay where they are; several that work side by side must not be bound
 * to the same core. OpenBLAS is only used on one thread; with pthreads more would begin with the
 * program, before it is confined. */
static char **worker_environment(unsigned threads, bool timed, char *slots, size_t slot)
{
    char count[16];
    snprintf(count, sizeof count, "%u", threads);
    const struct {
        const char *name, *value;
    } set[] = {{"OMP_NUM_THREADS", count},
               {"OMP_PROC_BIND", timed ? "close" : "false"},
               {"OMP_PLACES", "cores"},
               {"OMP_WAIT_POLICY", "passive"},
               {"OPENBLAS_NUM_THREADS", "1"}};
    size_t n = 0, k = 0;
    while (environ[n])
        n++;
    char **env = pare_calloc(n + PARE_COUNT(set) + 1, sizeof *env);
    for (size_t i = 0; env && i < n; i++) {
        if (strncmp(environ[i], "OMP_", 4) != 0 && strncmp(environ[i], "OPENBLAS_", 9) != 0)
            env[k++] = environ[i];
    }
    for (size_t i = 0; env && i < PARE_COUNT(set); i++) {
        env[k++] = slots + i * slot;
        snprintf(slots + i * slot, slot, "%s=%s", set[i].name, set[i].value);
    }
    return env;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

int pare_child_start(struct pare_child *child, const char *program, unsigned threads, bool timed,
                     const json_t *setup, struct pare_error *err)
{
    char slots[8][64];
    char name[] = "pare", verb[] = "worker", *argv[] = {name, verb, NULL};
    int talk[2] = {-1, -1}, log[2] = {-1, -1}, rc = PARE_OK;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    char **env = worker_environment(threads, timed, slots[0], sizeof slots[0]);
    *child = (struct pare_child){.fd = -1, .log_fd = -1};
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    if (!env) {
        rc = pare_error_nomem(err, 0);
        goto out;
    }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, talk) != 0 ||
        pipe2(log, O_CLOEXEC) != 0) {
        rc = pare_error_errno(err, "cannot talk to a worker");
        goto out;
    }
    /* the worker's ends must not sit on descriptors that are about to be replaced */
    int theirs = fcntl(talk[1], F_DUPFD_CLOEXEC, 16), print = fcntl(log[1], F_DUPFD_CLOEXEC, 16);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, print, 1);
    posix_spawn_file_actions_adddup2(&actions, print, 2);
    posix_spawn_file_actions_adddup2(&actions, theirs, PARE_CHILD_FD);
    posix_spawn_file_actions_addclosefrom_np(&actions, PARE_CHILD_FD + 1);
    /* its own process group: Ctrl-C is the supervisor's to handle; signals as at the start */
    sigemptyset(&none);
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGINT);
    sigaddset(&defaults, SIGTERM);
    sigaddset(&defaults, SIGPIPE);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &defaults);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    int wrong = theirs < 0 || print < 0
                    ? errno
                    : posix_spawn(&child->pid, program, &actions, &attributes, argv, env);
    close_fd(&theirs);
    close_fd(&print);
    if (wrong) {
        child->pid = 0;
        errno = wrong;
        rc = pare_error_errno(err, "cannot start a worker (%s)", program);
        goto out;
    }
    child->fd = talk[0];
    child->log_fd = log[0];
    talk[0] = log[0] = -1;
    fcntl(child->fd, F_SETFL, O_NONBLOCK);
    fcntl(child->log_fd, F_SETFL, O_NONBLOCK);
    child->last_heard = pare_clock_seconds();
    struct pare_error ignored; /* a worker that is gone shows when it is listened to */
    pare_message_send(child->fd, json_deep_copy(setup), &ignored);
out:
    for (int i = 0; i < 2; i++) {
        close_fd(&talk[i]);
        close_fd(&log[i]);
    }
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    free(env);
    return rc;
}

/* A parent that was gone before the kernel was asked has closed its end by then. */
void pare_child_end_with_parent(void)
{
    struct pollfd parent = {.fd = PARE_CHILD_FD};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (poll(&parent, 1, 0) > 0 && (parent.revents & POLLHUP))
        raise(SIGKILL);
}

static void read_log(struct pare_child *child)
{
    char part[4096];
    ssize_t n = 0;
    while (child->log_fd >= 0 && (n = read(child->log_fd, part, sizeof part)) > 0) {
        pare_str_append_n(&child->log, part, (size_t)n);
        if (child->log.len > LOG_MAX) { /* the end is what tells why */
            size_t drop = child->log.len - LOG_MAX / 2;
            memmove(child->log.data, child->log.data + drop, child->log.len - drop + 1);
            child->log.len -= drop;
        }
    }
    if (n == 0) /* its end, of which poll() would tell at once and again */
        close_fd(&child->log_fd);
}

void pare_child_listen(struct pare_child *child)
{
    struct pare_error ignored;
    size_t before = child->reader.bytes.len;
    read_log(child);
    if (child->closed)
        return;
    if (pare_message_fill(&child->reader, child->fd, &ignored) != PARE_OK)
        child->closed = true;
    else if (child->reader.bytes.len != before)
        child->last_heard = pare_clock_seconds();
}

void pare_child_forget_log(struct pare_child *child)
{
    read_log(child);
    pare_str_free(&child->log);
}

/* Collect it when it ends within so many seconds; what it still prints must not hold it up. */
static bool ends_within(struct pare_child *child, double seconds, int *status)
{
    const double end = pare_clock_seconds() + seconds;
    int pause_ms = 1;
    pid_t got;
    while ((got = waitpid(child->pid, status, WNOHANG)) == 0 && pare_clock_seconds() < end) {
        read_log(child);
        poll(NULL, 0, pause_ms);
        pause_ms = PARE_MIN(2 * pause_ms, 50);
    }
    return got != 0;
}

void pare_child_end(struct pare_child *child, bool kill_it, int *sig, int *code)
{
    int status = 0;
    if (sig)
        *sig = 0;
    if (code)
        *code = 0;
    if (child->pid > 0) {
        if (kill_it)
            kill(-child->pid, SIGKILL);
        close_fd(&child->fd); /* a worker that waits for work ends when nobody is there */
        if (!ends_within(child, FAREWELL_S, &status)) {
            kill(-child->pid, SIGKILL);
            while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
                continue;
        }
        if (sig && WIFSIGNALED(status))
            *sig = WTERMSIG(status);
        if (code && WIFEXITED(status))
            *code = WEXITSTATUS(status);
        read_log(child);
        close_fd(&child->log_fd);
    }
    pare_str_free(&child->reader.bytes);
    child->pid = 0;
}

unsigned long long pare_child_rss(const struct pare_child *child)
{
    char path[64];
    unsigned long long size, resident = 0;
    snprintf(path, sizeof path, "/proc/%ld/statm", (long)child->pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    if (fscanf(f, "%llu %llu", &size, &resident) != 2)
        resident = 0;
    fclose(f);
    return resident * (unsigned long long)sysconf(_SC_PAGESIZE);
}
