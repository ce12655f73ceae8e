/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors are swept without close_range too: above the limit, in a range,
 * close-on-exec; and without /proc's list when there is no descriptor left to
 * read it with.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <fcntl.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include <cmocka.h>

#include "common/spawn_sweep.h"

#define HIGH 500
#define LOW  10

static int deny_close_range(void)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog filter = {4, program};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0
                   || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0
               ? -1
               : 0;
}

static int flags_of(int fd)
{
    return fcntl(fd, F_GETFD);
}

/* In a child: two descriptors, one of them above the limit that it then has,
 * and no close_range. 0 what was done did what it should. */
static int in_a_child(int (*what)(void), rlim_t limit)
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct rlimit files;

        if (getrlimit(RLIMIT_NOFILE, &files) < 0 || dup2(2, HIGH) != HIGH
            || dup2(2, LOW) != LOW)
            _exit(100);
        files.rlim_cur = limit;
        if (setrlimit(RLIMIT_NOFILE, &files) < 0 || deny_close_range() < 0)
            _exit(101);
        _exit(what());
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int close_all(void)
{
    return spawn_os_close_from(3) == 0 && flags_of(LOW) < 0
                   && flags_of(HIGH) < 0 && flags_of(2) >= 0
               ? 0
               : 1;
}

static void all_are_closed_above_the_limit_too(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(close_all, 100), 0);
}

/* The limit leaves no number for the list itself. */
static void all_are_closed_when_none_is_left(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(close_all, 3), 0);
}

static int close_some(void)
{
    return spawn_os_close_between(LOW + 1, HIGH) == 0 && flags_of(LOW) >= 0
                   && flags_of(HIGH) < 0
               ? 0
               : 1;
}

static void a_range_is_closed_and_no_more(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(close_some, 100), 0);
}

static int mark_all(void)
{
    return spawn_os_cloexec_from(LOW) == 0 && flags_of(LOW) == FD_CLOEXEC
                   && flags_of(HIGH) == FD_CLOEXEC && flags_of(2) == 0
               ? 0
               : 1;
}

static void all_are_marked_above_the_limit_too(void **state)
{
    (void)state;
    assert_int_equal(in_a_child(mark_all, 100), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_closed_above_the_limit_too),
        cmocka_unit_test(all_are_closed_when_none_is_left),
        cmocka_unit_test(a_range_is_closed_and_no_more),
        cmocka_unit_test(all_are_marked_above_the_limit_too),
    };

    return cmocka_run_group_tests_name("sweep", tests, NULL, NULL);
}
