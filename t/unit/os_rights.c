/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of a process on itself: rights, signals, priorities. Each call does
 * its work, and gives the errno when it is denied. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <linux/capability.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_os.h"

static int adopts(void)
{
    int byte = 0, from[2];
    pid_t pid;

    IS(spawn_os_subreaper() == 0);
    IS(prctl(PR_GET_CHILD_SUBREAPER, &byte) == 0 && byte == 1);
    IS(pipe(from) == 0);
    if (fork() == 0) {
        if (fork() == 0) {
            (void)close(from[1]);
            _exit(9);
        }
        _exit(0);
    }
    (void)close(from[1]);
    (void)wait(&byte);
    pid = wait(&byte);
    IS(pid > 0 && (WEXITSTATUS(byte) == 9 || WEXITSTATUS(byte) == 0));
    return 0;
}

static int hides(void)
{
    IS(prctl(PR_GET_DUMPABLE) == 1);
    IS(spawn_os_undumpable() == 0);
    IS(prctl(PR_GET_DUMPABLE) == 0);
    return 0;
}

static int dies_with_parent(void)
{
    int signo = 0;

    IS(spawn_os_die_with_parent(SIGUSR2) == 0);
    IS(prctl(PR_GET_PDEATHSIG, &signo) == 0 && signo == SIGUSR2);
    IS(spawn_os_die_with_parent(99) == -EINVAL);
    return 0;
}

static int gains_nothing(void)
{
    IS(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
    IS(spawn_os_no_new_privs() == 0);
    IS(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    return 0;
}

static int prctl_denied(void)
{
    deny(SYS_prctl, EPERM);
    IS(spawn_os_subreaper() == -EPERM);
    IS(spawn_os_undumpable() == -EPERM);
    IS(spawn_os_no_new_privs() == -EPERM);
    return 0;
}

static void a_process_is_set_as_named(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(adopts);
    HOLDS_IN_A_CHILD(hides);
    HOLDS_IN_A_CHILD(dies_with_parent);
    HOLDS_IN_A_CHILD(gains_nothing);
    HOLDS_IN_A_CHILD(prctl_denied);
}

static int caps(struct __user_cap_data_struct *data)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};

    return (int)syscall(SYS_capget, &head, data);
}

static int drops_capabilities(void)
{
    const unsigned setids =
        1u << CAP_SETUID | 1u << CAP_SETGID | 1u << CAP_KILL;
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct before[2], data[2];

    IS(caps(before) == 0);
    before[0].inheritable = 1u << CAP_KILL;
    IS(syscall(SYS_capset, &head, before) == 0);
    IS(spawn_os_drop_capabilities() == 0);
    IS(caps(data) == 0);
    IS(data[0].permitted
       == (setids | (before[0].permitted & 1u << CAP_SETPCAP)));
    IS(data[0].effective == data[0].permitted);
    IS(data[0].inheritable == 0);
    IS(data[1].permitted == 0 && data[1].effective == 0
       && data[1].inheritable == 0);
    IS(spawn_os_drop_capabilities() == 0); /* once more, as after an upgrade */
    return 0;
}

static int has_none_to_drop(void)
{
    IS(setuid(65534) == 0);
    IS(spawn_os_drop_capabilities() == -EPERM);
    return 0;
}

static int capget_denied(void)
{
    deny(SYS_capget, EACCES);
    IS(spawn_os_drop_capabilities() == -EACCES);
    return 0;
}

static int bounds(void)
{
    const uint64_t keep = 1ull << CAP_CHOWN | 1ull << CAP_SETPCAP
                          | 1ull << CAP_SYS_RESOURCE
                          | 1ull << CAP_CHECKPOINT_RESTORE;
    bool had[64];
    int cap;

    for (cap = 0; cap < 64; cap++)
        had[cap] = prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1;
    IS(spawn_os_bounding_set(keep) == 0);
    for (cap = 0; cap < 64; cap++)
        IS((prctl(PR_CAPBSET_READ, cap, 0, 0, 0) == 1)
           == (had[cap] && (keep >> cap & 1)));
    IS(spawn_os_bounding_set(UINT64_MAX) == 0);
    IS(setuid(65534) == 0);
    IS(spawn_os_bounding_set(0) == -EPERM);
    return 0;
}

static int forgets_ambient(void)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];

    IS(caps(data) == 0);
    data[0].inheritable = 1u << CAP_KILL;
    IS(syscall(SYS_capset, &head, data) == 0);
    IS(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0) == 0);
    spawn_os_drop_ambient();
    IS(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0) == 0);
    return 0;
}

static void rights_are_dropped_and_no_others(void **state)
{
    struct __user_cap_data_struct data[2];

    (void)state;
    HOLDS_IN_A_CHILD(capget_denied);
    LEAVE_OUT_IF(geteuid() != 0 || caps(data) < 0
                     || !(data[0].permitted & 1u << CAP_SETPCAP),
                 "not root");
    HOLDS_IN_A_CHILD(drops_capabilities);
    HOLDS_IN_A_CHILD(has_none_to_drop);
    HOLDS_IN_A_CHILD(bounds);
    HOLDS_IN_A_CHILD(forgets_ambient);
}

/* Those of the C library (32 and 33) too, which it does not let one touch. */
static int resets_signals(void)
{
    unsigned long ignore[16] = {1}, is[16];
    int signo;

    for (signo = 1; signo <= 64; signo++)
        (void)syscall(SYS_rt_sigaction, signo, ignore, NULL, 8);
    IS(syscall(SYS_rt_sigaction, 1, NULL, is, 8) == 0 && is[0] == 1);
    spawn_os_default_signals();
    for (signo = 1; signo <= 64; signo++)
        IS(syscall(SYS_rt_sigaction, signo, NULL, is, 8) == 0 && is[0] == 0);
    return 0;
}

static int blocks_signals(void)
{
    uint64_t mask = 0;

    IS(spawn_os_block_signals() == 0);
    IS(syscall(SYS_rt_sigprocmask, 0, NULL, &mask, sizeof(mask)) == 0);
    IS(mask == 0xfffffffffffbfeff); /* all but KILL and STOP */
    deny(SYS_rt_sigprocmask, EPERM);
    IS(spawn_os_block_signals() == -EPERM);
    return 0;
}

static int batch(void)
{
    IS(spawn_os_sched_batch(true) == 0);
    IS(sched_getscheduler(0) == SCHED_BATCH);
    IS(spawn_os_sched_batch(false) == 0);
    IS(sched_getscheduler(0) == SCHED_OTHER);
    deny(SYS_sched_setscheduler, EPERM);
    IS(spawn_os_sched_batch(true) == -EPERM);
    return 0;
}

static int disk_class(void)
{
    IS(spawn_os_ionice(2, 6) == 0);
    IS(syscall(SYS_ioprio_get, 1, 0) == (2 << 13 | 6));
    IS(spawn_os_ionice(7, 0) == -EINVAL);
    return 0;
}

static void signals_and_priorities_are_set(void **state)
{
    long before = syscall(SYS_ioprio_get, 1, 0);

    (void)state;
    HOLDS_IN_A_CHILD(resets_signals);
    HOLDS_IN_A_CHILD(blocks_signals);
    HOLDS_IN_A_CHILD(batch);
    HOLDS_IN_A_CHILD(disk_class);
    assert_int_equal(syscall(SYS_ioprio_get, 1, 0), before); /* of it alone */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_is_set_as_named),
        cmocka_unit_test(rights_are_dropped_and_no_others),
        cmocka_unit_test(signals_and_priorities_are_set),
    };

    (void)close(0);
    (void)open("/dev/null", O_RDONLY);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("os_rights", tests, NULL, NULL);
}
