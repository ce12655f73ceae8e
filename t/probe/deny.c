/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file deny.c
 * @brief Runs a program in whose processes some system calls fail, as they do
 * below the filters of containers and service managers.
 *
 * A filter by bare seccomp(2), inherited by everything that the program starts.
 *
 *   deny ERRNO NAME[,NAME...] PROGRAM [ARGUMENT...]
 */
#include <errno.h>
#include <stddef.h>
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
             {"sched_setscheduler", SYS_sched_setscheduler},
             {"signalfd4", SYS_signalfd4},
             {"splice", SYS_splice}};

static unsigned number_of(const char *name)
{
    size_t i;

    for (i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (strcmp(calls[i].name, name) == 0)
            return calls[i].number;
    }
    (void)fprintf(stderr, "deny: %s: not known here\n", name);
    exit(2);
}

int main(int argc, char **argv)
{
    struct sock_filter program[2 * CALLS_MAX + 2];
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
         name && filter.len < 2 * CALLS_MAX;
         name = strtok_r(NULL, ",", &rest)) {
        program[filter.len++] = (struct sock_filter)BPF_JUMP(
            BPF_JMP | BPF_JEQ | BPF_K, number_of(name), 0, 1);
        program[filter.len++] = (struct sock_filter)BPF_STMT(
            BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error & SECCOMP_RET_DATA));
    }
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
