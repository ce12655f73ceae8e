/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file deny.c
 * @brief Runs a program in whose processes some system calls fail, as they do
 * below the filters of containers and service managers.
 *
 * A filter by bare seccomp(2), inherited by everything that the program starts.
 *
 *   deny ERRNO NAME[,NAME...] PROGRAM [ARGUMENT...]
 *
 * NAME:N=VALUE: only with this value of argument N (from 0). NAME:N!BITS: only
 * when it has none of these bits.
 */
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#define CALLS_MAX 16

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

static const struct {
    const char *name;
    unsigned number;
} calls[] = {{"capset", SYS_capset},
             {"close_range", SYS_close_range},
             {"eventfd2", SYS_eventfd2},
             {"execveat", SYS_execveat},
             {"inotify_init1", SYS_inotify_init1},
             {"memfd_create", SYS_memfd_create},
             {"pidfd_open", SYS_pidfd_open},
             {"pidfd_send_signal", SYS_pidfd_send_signal},
             {"sched_setscheduler", SYS_sched_setscheduler},
             {"signalfd4", SYS_signalfd4},
             {"splice", SYS_splice}};

static unsigned number_of(const char *name)
{
    size_t length = strcspn(name, ":");
    size_t i;

    for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (strlen(calls[i].name) == length
            && strncmp(calls[i].name, name, length) == 0)
            return calls[i].number;
    }
    (void)fprintf(stderr, "deny: %s: not known here\n", name);
    exit(2);
}

/* The lower half of an argument. */
static unsigned place_of(unsigned argument)
{
    const bool big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;

    return (unsigned)(offsetof(struct seccomp_data, args)
                      + argument * sizeof(uint64_t)
                      + (big ? sizeof(uint32_t) : 0));
}

/* The number of the call is loaded before, and is again after it. */
static unsigned add(struct sock_filter *to, const char *name, unsigned error)
{
    const char *when = strchr(name, ':');
    const struct sock_filter refuse = BPF_STMT(
        BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error & SECCOMP_RET_DATA));
    unsigned argument = 0, value = 0;
    char how = '=';

    if (!when) {
        to[0] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                             number_of(name), 0, 1);
        to[1] = refuse;
        return 2;
    }
    if (sscanf(when, ":%u%c%u", &argument, &how, &value) != 3 || argument > 5
        || !strchr("=!", how)) {
        (void)fprintf(stderr, "deny: %s: not understood\n", name);
        exit(2);
    }
    to[0] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
                                         number_of(name), 0, 4);
    to[1] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                         place_of(argument));
    if (how == '=')
        to[2] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value,
                                             0, 1);
    else
        to[2] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, value,
                                             1, 0);
    to[3] = refuse;
    to[4] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                         offsetof(struct seccomp_data, nr));
    return 5;
}

int main(int argc, char **argv)
{
    struct sock_filter program[5 * CALLS_MAX + 2];
    struct sock_fprog filter = {0, program};
    char *name, *rest;
    unsigned error;

    if (argc < 4) {
        (void)fputs("usage: deny ERRNO NAME[,NAME...] PROGRAM ...\n", stderr);
        return 2;
    }
    error = (unsigned)atoi(argv[1]);
    program[filter.len++] = (struct sock_filter)BPF_STMT(
        BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (name = strtok_r(argv[2], ",", &rest);
         name && filter.len <= 5 * (CALLS_MAX - 1) + 1;
         name = strtok_r(NULL, ",", &rest))
        filter.len = (unsigned short)(filter.len
                                      + add(program + filter.len, name, error));
    program[filter.len++] =
        (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    /* without a right to it, the kernel wants this first */
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0
        && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0
            || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)) {
        perror("deny: seccomp");
        return 3;
    }
    (void)execvp(argv[3], argv + 3);
    perror(argv[3]);
    return 127;
}
