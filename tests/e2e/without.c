/* SPDX-License-Identifier: Apache-2.0 */
/* `without CALL... -- COMMAND...`: run it as on a kernel that has neither of these system calls.
 * For x86-64 and aarch64, where both have one number. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
    const char *name;
    unsigned call;
} known[] = {{"landlock", SYS_landlock_create_ruleset}, {"seccomp", SYS_seccomp}};

int main(int argc, char **argv)
{
    struct sock_filter code[16] = {
        {BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(struct seccomp_data, nr)}};
    struct sock_fprog program = {.len = 1, .filter = code};
    int i = 1;
    for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
        for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
            if (strcmp(known[k].name, argv[i]) != 0)
                continue;
            code[program.len++] =
                (struct sock_filter){BPF_JMP | BPF_JEQ | BPF_K, 0, 1, known[k].call};
            code[program.len++] =
                (struct sock_filter){BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | ENOSYS};
        }
    }
    code[program.len++] = (struct sock_filter){BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
    if (i + 1 >= argc || i > 3)
        return 2;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        return 77;
    execvp(argv[i + 1], argv + i + 1);
    perror(argv[i + 1]);
    return 2;
}
