/* SPDX-License-Identifier: Apache-2.0 */
/* The filter of system calls: a list of those refused, as a program of the kernel's packet filter.
 */
#include "pipeline/confine_calls.h"

#include <asm/sockios.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

#if defined __x86_64__
#define MACHINE AUDIT_ARCH_X86_64
#define FOREIGN_BIT 0x40000000u /* x32: the same calls by other numbers */
#elif defined __aarch64__
#define MACHINE AUDIT_ARCH_AARCH64
#endif

#ifdef MACHINE

#ifdef __SANITIZE_ADDRESS__
/* AddressSanitizer asks before it looks for leaks, which takes a process that traces this one. */
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return prctl(PR_GET_SECCOMP) != 0;
}
#endif

enum verdict {
    REFUSED,
    MISSING,     /* as on an older kernel: the C library has another way */
    OWN_THREADS, /* a new thread, no new process */
    OWN_SIGNALS, /* the second argument does not name who gets a file's signals */
    OWN_PROCESS, /* the first argument is this process */
    OWN_OR_ZERO, /* the same, of calls to which 0 is this process or thread, too */
};

/* Calls that are younger than Debian 12's headers; they have one number on all processors. */
enum { FCHMODAT2 = 452, SETXATTRAT = 463, REMOVEXATTRAT = 466, FILE_SETATTR = 469 };

static const struct {
    uint32_t call;
    enum verdict verdict;
} calls[] = {
    /* the network, and daemons behind sockets; io_uring would open them unseen */
    {SYS_socket, REFUSED},
    {SYS_socketpair, REFUSED},
    {SYS_io_uring_setup, REFUSED},
    /* new programs, and processes that would outlive the limits of this one */
    {SYS_execve, REFUSED},
    {SYS_execveat, REFUSED},
    {SYS_clone, OWN_THREADS},
    {SYS_clone3, MISSING}, /* its flags lie in memory, where a filter cannot look */
    /* other processes */
    {SYS_ptrace, REFUSED},
    {SYS_kill, OWN_PROCESS},
    {SYS_tgkill, OWN_PROCESS},
    {SYS_tkill, REFUSED},
    {SYS_rt_sigqueueinfo, OWN_PROCESS},
    {SYS_rt_tgsigqueueinfo, OWN_PROCESS},
    {SYS_pidfd_send_signal, REFUSED},
    {SYS_fcntl, OWN_SIGNALS},
    {SYS_ioctl, OWN_SIGNALS},
    {SYS_pidfd_getfd, REFUSED},
    {SYS_process_vm_readv, REFUSED},
    {SYS_process_vm_writev, REFUSED},
    {SYS_process_madvise, REFUSED},
    {SYS_shmget, REFUSED},
    {SYS_shmat, REFUSED},
    {SYS_perf_event_open, REFUSED},
    {SYS_bpf, REFUSED},
    /* their limits, priorities and memory; not sched_setaffinity, by which the C library binds a
     * new thread under an id that no filter knows */
    {SYS_prlimit64, OWN_OR_ZERO},
    {SYS_setpriority, REFUSED},
    {SYS_ioprio_set, REFUSED},
    {SYS_sched_setscheduler, OWN_OR_ZERO},
    {SYS_sched_setparam, OWN_OR_ZERO},
    {SYS_sched_setattr, OWN_OR_ZERO},
    {SYS_migrate_pages, OWN_OR_ZERO},
    {SYS_move_pages, OWN_OR_ZERO},
    /* what Landlock lets pass, always or on older kernels */
    {SYS_truncate, REFUSED},
    {SYS_fchmod, REFUSED},
    {SYS_fchmodat, REFUSED},
    {FCHMODAT2, REFUSED},
    {SYS_fchown, REFUSED},
    {SYS_fchownat, REFUSED},
    {SYS_utimensat, REFUSED},
    {SYS_setxattr, REFUSED},
    {SYS_lsetxattr, REFUSED},
    {SYS_fsetxattr, REFUSED},
    {SETXATTRAT, REFUSED},
    {SYS_removexattr, REFUSED},
    {SYS_lremovexattr, REFUSED},
    {SYS_fremovexattr, REFUSED},
    {REMOVEXATTRAT, REFUSED},
    {FILE_SETATTR, REFUSED},
    /* keys that the kernel holds, and ways into other namespaces */
    {SYS_add_key, REFUSED},
    {SYS_request_key, REFUSED},
    {SYS_keyctl, REFUSED},
    {SYS_unshare, REFUSED},
    {SYS_setns, REFUSED},
#ifdef SYS_fork /* older names of the above */
    {SYS_fork, REFUSED},
    {SYS_vfork, REFUSED},
    {SYS_chmod, REFUSED},
    {SYS_chown, REFUSED},
    {SYS_lchown, REFUSED},
    {SYS_utime, REFUSED},
    {SYS_utimes, REFUSED},
    {SYS_futimesat, REFUSED},
#endif
};

/* Of fcntl and ioctl: who is sent a signal, of any number, when a file can be read. */
static const uint32_t owner_requests[] = {F_SETOWN, F_SETOWN_EX, FIOSETOWN, SIOCSPGRP};

enum { HEAD_MOST = 8, STEPS_MOST = 8 };

struct filter {
    struct sock_filter code[HEAD_MOST + STEPS_MOST * PARE_COUNT(calls)];
    unsigned short n;
};

static void add(struct filter *f, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
    f->code[f->n++] = (struct sock_filter){code, yes, no, k};
}

static void load(struct filter *f, size_t offset)
{
    add(f, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void answer(struct filter *f, uint32_t verdict)
{
    add(f, BPF_RET | BPF_K, verdict, 0, 0);
}

static void pass_if(struct filter *f, uint16_t test, uint32_t k)
{
    add(f, BPF_JMP | test | BPF_K, k, 0, 1);
    answer(f, SECCOMP_RET_ALLOW);
}

/* The steps for one call, which has been recognised: nothing after them is looked at. */
static void judge(struct filter *f, enum verdict v)
{
    const size_t argument = v == OWN_SIGNALS;
    if (v >= OWN_THREADS) /* its low half: both are little-endian */
        load(f, offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t));
    if (v == OWN_SIGNALS) {
        for (uint8_t left = PARE_COUNT(owner_requests); left > 0; left--)
            add(f, BPF_JMP | BPF_JEQ | BPF_K, owner_requests[left - 1], left, 0);
        answer(f, SECCOMP_RET_ALLOW);
    }
    if (v == OWN_THREADS)
        pass_if(f, BPF_JSET, CLONE_THREAD);
    if (v >= OWN_PROCESS)
        pass_if(f, BPF_JEQ, (uint32_t)getpid());
    if (v == OWN_OR_ZERO)
        pass_if(f, BPF_JEQ, 0);
    answer(f, SECCOMP_RET_ERRNO | (v == MISSING ? ENOSYS : EPERM));
}

static void make_filter(struct filter *f)
{
    load(f, offsetof(struct seccomp_data, arch));
    add(f, BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0);
    answer(f, SECCOMP_RET_ERRNO | EPERM);
    load(f, offsetof(struct seccomp_data, nr));
#ifdef FOREIGN_BIT
    add(f, BPF_JMP | BPF_JSET | BPF_K, FOREIGN_BIT, 0, 1);
    answer(f, SECCOMP_RET_ERRNO | EPERM);
#endif
    for (size_t i = 0; i < PARE_COUNT(calls); i++) {
        const unsigned short at = f->n;
        add(f, BPF_JMP | BPF_JEQ | BPF_K, calls[i].call, 0, 0);
        judge(f, calls[i].verdict);
        f->code[at].jf = (uint8_t)(f->n - at - 1);
    }
    answer(f, SECCOMP_RET_ALLOW);
}

bool pare_confine_calls_able(void)
{
    const uint32_t action = SECCOMP_RET_ERRNO;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

/* Without SPEC_ALLOW kernels before 5.16 make every thread slower, against attacks that other ways
 * than a filter are for. */
bool pare_confine_calls(void)
{
    struct filter f = {.n = 0};
    make_filter(&f);
    const struct sock_fprog program = {.len = f.n, .filter = f.code};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                   SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program) == 0;
}

#else

bool pare_confine_calls_able(void)
{
    return false;
}

bool pare_confine_calls(void)
{
    return false;
}

#endif
