/* SPDX-License-Identifier: Apache-2.0 */
/* Other processes, as the system shows and signals them: by pidfd, group and
 * number, with an older kernel too; and what it denies. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>
#include <sys/utsname.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_os.h"
#include "common/spawn_process.h"

#define DEADLINE_MS 30000

/* A process that waits for its end to be closed, leader of a group when
 * wanted. */
static pid_t start(int *ret_end, bool leads)
{
    int ends[2], fd;
    pid_t pid;
    char byte;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (leads)
            (void)setpgid(0, 0);
        (void)dup2(ends[0], 0);
        for (fd = 3; fd < 300; fd++) /* the ends of others */
            (void)close(fd);
        _exit(read(0, &byte, 1) == 0 ? 5 : 6);
    }
    if (leads)
        (void)setpgid(pid, pid);
    (void)close(ends[0]);
    *ret_end = ends[1];
    return pid;
}

static int wait_for(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void a_pidfd_tells_an_end(void **state)
{
    struct pollfd p;
    int its_end, status;
    pid_t pid = start(&its_end, false);

    (void)state;
    p = (struct pollfd){spawn_os_pidfd(pid), POLLIN, 0};
    assert_true(p.fd >= 0);
    assert_int_equal(fcntl(p.fd, F_GETFD), FD_CLOEXEC);
    assert_int_equal(poll(&p, 1, 0), 0);
    status = 77;
    assert_true(spawn_os_pidfd_status(p.fd, &status) < 0); /* it runs */
    assert_int_equal(status, 77);
    (void)close(its_end);
    assert_int_equal(poll(&p, 1, 10000), 1);
    (void)wait_for(pid);
    if (spawn_os_pidfd_status(p.fd, &status) == 0)
        assert_int_equal(WEXITSTATUS(status), 5);
    else
        assert_int_equal(spawn_os_pidfd_status(p.fd, &status), -EOPNOTSUPP);
    (void)close(p.fd);
    assert_int_equal(spawn_os_pidfd(pid), -ESRCH);
    assert_int_equal(spawn_os_pidfd_status(-1, &status), -EBADF);
}

static int no_info_ioctl(void)
{
    int fd = spawn_os_pidfd(getpid());
    int status = 77;

    IS(spawn_os_pidfd_status(0, &status) == -EOPNOTSUPP); /* no pidfd */
    IS(fd >= 0);
    deny(SYS_ioctl, EINVAL);
    IS(spawn_os_pidfd_status(fd, &status) == -EOPNOTSUPP);
    IS(status == 77);
    return 0;
}

static int info_ioctl_denied(void)
{
    int status = 77;

    deny(SYS_ioctl, EPERM);
    IS(spawn_os_pidfd_status(0, &status) == -EPERM);
    return 0;
}

static void an_exit_that_the_kernel_does_not_tell_is_unknown(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(no_info_ioctl);
    HOLDS_IN_A_CHILD(info_ioctl_denied);
}

/* Both of a group by its leader's pidfd, where the kernel can; a process that
 * leads none alone. */
static void a_signal_goes_to_the_group(void **state)
{
    int leaders_end, others_end, fd, status;
    pid_t leader = start(&leaders_end, true);
    pid_t other = start(&others_end, false);

    (void)state;
    assert_int_equal(setpgid(other, leader), 0);
    assert_true(spawn_os_group_lives(leader));
    fd = spawn_os_pidfd(leader);
    assert_int_equal(spawn_os_pidfd_signal(fd, SIGTERM), 0);
    status = wait_for(leader);
    assert_int_equal(WTERMSIG(status), SIGTERM);
    status = wait_for(other);
    assert_int_equal(WTERMSIG(status), SIGTERM);
    assert_false(spawn_os_group_lives(leader));
    assert_int_equal(spawn_os_pidfd_signal(fd, SIGTERM), -ESRCH);
    (void)close(fd);
    (void)close(leaders_end);
    (void)close(others_end);
    other = start(&others_end, false);
    fd = spawn_os_pidfd(other);
    assert_int_equal(spawn_os_pidfd_signal(fd, SIGUSR1), 0);
    assert_int_equal(WTERMSIG(wait_for(other)), SIGUSR1);
    assert_int_equal(spawn_os_pidfd_signal(-1, SIGTERM), -EBADF);
    (void)close(fd);
    (void)close(others_end);
}

/* As before Linux 6.9. */
static void no_groups_by_pidfd(void)
{
    deny_when(SYS_pidfd_send_signal, 3, 1u << 2, EINVAL);
}

/* The leader, another one of its group, and one that is in another group. */
static struct {
    pid_t leader, other, stranger;
    int ends[3];
    int pidfd;
} group;

static int start_group(void)
{
    group.leader = start(&group.ends[0], true);
    group.other = start(&group.ends[1], false);
    group.stranger = start(&group.ends[2], true);
    if (setpgid(group.other, group.leader) < 0)
        return -1;
    group.pidfd = spawn_os_pidfd(group.leader);
    no_groups_by_pidfd();
    return group.pidfd < 0 ? -1 : 0;
}

static bool lives(pid_t pid)
{
    siginfo_t info = {0};

    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0
           && info.si_pid == 0;
}

static bool died_by(pid_t pid, int signo)
{
    struct pollfd p = {.fd = spawn_os_pidfd(pid), .events = POLLIN};
    bool ended = poll(&p, 1, DEADLINE_MS) == 1;
    int status;

    (void)close(p.fd);
    return ended && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status)
           && WTERMSIG(status) == signo;
}

static int members_are_signalled(void)
{
    IS(start_group() == 0);
    IS(spawn_os_pidfd_signal(group.pidfd, SIGTERM) == 0);
    IS(died_by(group.leader, SIGTERM) && died_by(group.other, SIGTERM));
    IS(lives(group.stranger));
    IS(spawn_os_pidfd_signal(group.pidfd, SIGTERM) == -ESRCH);
    return 0;
}

static int also_when_the_leader_has_ended(void)
{
    siginfo_t info;

    IS(start_group() == 0);
    IS(kill(group.leader, SIGKILL) == 0);
    IS(waitid(P_PID, (id_t)group.leader, &info, WEXITED | WNOWAIT) == 0);
    IS(spawn_os_pidfd_signal(group.pidfd, SIGKILL) == 0);
    IS(died_by(group.other, SIGKILL));
    IS(lives(group.stranger));
    return 0;
}

/* The number can be another one's. */
static int not_when_it_is_reaped(void)
{
    IS(start_group() == 0);
    IS(kill(group.leader, SIGKILL) == 0 && died_by(group.leader, SIGKILL));
    IS(spawn_os_pidfd_signal(group.pidfd, SIGKILL) == -ESRCH);
    IS(lives(group.other));
    return 0;
}

static int one_that_leads_none_is_signalled_alone(void)
{
    int fd;

    IS(start_group() == 0);
    fd = spawn_os_pidfd(group.other);
    IS(spawn_os_pidfd_signal(fd, SIGTERM) == 0);
    IS(died_by(group.other, SIGTERM));
    IS(lives(group.leader) && lives(group.stranger));
    return 0;
}

static void a_group_is_signalled_on_an_older_kernel(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(members_are_signalled);
    HOLDS_IN_A_CHILD(also_when_the_leader_has_ended);
    HOLDS_IN_A_CHILD(not_when_it_is_reaped);
    HOLDS_IN_A_CHILD(one_that_leads_none_is_signalled_alone);
}

static int group_call(int (*how)(int pidfd, pid_t leader))
{
    int leaders_end, others_end, fd, rv, status;
    pid_t leader = start(&leaders_end, true);
    pid_t other = start(&others_end, false);

    if (setpgid(other, leader) < 0)
        return -1;
    fd = spawn_os_pidfd(leader);
    (void)close(leaders_end);
    (void)wait_for(leader); /* reaped: its number is the group's only */
    rv = how(fd, leader);
    status = wait_for(other);
    (void)close(fd);
    (void)close(others_end);
    return rv == 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM ? 0
                                                                         : -1;
}

static int by_both(int pidfd, pid_t leader)
{
    return spawn_os_group_signal(pidfd, leader, SIGTERM);
}

static int by_number(int pidfd, pid_t leader)
{
    (void)pidfd;
    return spawn_os_group_signal(-1, leader, SIGTERM);
}

static void what_is_left_of_a_group_gets_the_signal(void **state)
{
    (void)state;
    assert_int_equal(group_call(by_both), 0);
    assert_int_equal(group_call(by_number), 0);
    assert_int_equal(spawn_os_group_signal(-1, 4000000, SIGTERM), -ESRCH);
    assert_int_equal(spawn_os_group_signal(-1, 0, 0), -ESRCH);
}

static int signals_by_number(void)
{
    deny(SYS_pidfd_send_signal, ENOSYS);
    IS(group_call(by_both) == 0);
    return 0;
}

static int signal_denied(void)
{
    deny(SYS_pidfd_send_signal, EACCES);
    IS(spawn_os_group_signal(0, getpid(), 0) == -EACCES);
    return 0;
}

static int number_of_others(int pidfd, pid_t leader)
{
    (void)pidfd;
    deny(SYS_kill, EPERM);
    return spawn_os_group_signal(-1, leader, SIGTERM) == -ESRCH ? 0 : 1;
}

static int leaves_others_alone(void)
{
    int leaders_end, others_end;
    pid_t leader = start(&leaders_end, true);
    pid_t other = start(&others_end, false);

    IS(setpgid(other, leader) == 0);
    (void)close(leaders_end);
    (void)wait_for(leader);
    IS(number_of_others(-1, leader) == 0);
    (void)close(others_end);
    return 0;
}

static void it_gets_it_without_pidfds_too(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(signals_by_number);
    HOLDS_IN_A_CHILD(signal_denied);
    HOLDS_IN_A_CHILD(leaves_others_alone);
}

/* A leader that lives has the number: nothing is signalled by it. */
static void a_number_in_use_is_not_signalled(void **state)
{
    int its_end;
    pid_t pid = start(&its_end, true);

    (void)state;
    assert_int_equal(spawn_os_group_signal(-1, pid, SIGTERM), -ESRCH);
    (void)close(its_end);
    assert_int_equal(WEXITSTATUS(wait_for(pid)), 5);
}

/* A caller with the pidfd alone can tell that from a group without members. */
static int by_pidfd_alone(void)
{
    deny(SYS_pidfd_send_signal, ENOSYS);
    IS(spawn_os_group_signal(0, -1, 0) == -ENOSYS);
    return 0;
}

static void a_kernel_that_cannot_signal_it_says_so(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(by_pidfd_alone);
}

static void a_process_has_a_start_and_a_session(void **state)
{
    int64_t before = spawn_boot_ms(), started = 0;
    int its_end;
    pid_t pid = start(&its_end, false), session = -7;
    unsigned files;
    uid_t uid = 7;
    int i;

    (void)state;
    assert_int_equal(spawn_os_process(pid, &started, &session), 0);
    assert_in_range(started, before - 20, spawn_boot_ms());
    assert_int_equal(started % 10, 0);
    assert_int_equal(session, getsid(0));
    assert_int_equal(spawn_os_only_forked(pid), 1);
    assert_false(spawn_os_exiting(pid));
    files = open_count();
    for (i = 0; i < 10; i++)
        (void)spawn_os_process(pid, &started, &session);
    assert_int_equal(open_count(), files);
    (void)close(its_end);
    while (!spawn_os_exiting(pid))
        (void)poll(NULL, 0, 1);
    assert_int_equal(spawn_os_real_uid(pid, &uid), 0); /* not reaped yet */
    assert_int_equal(uid, getuid());
    (void)wait_for(pid);
    assert_int_equal(spawn_os_real_uid(pid, &uid), -ESRCH);
    session = 77;
    assert_int_equal(spawn_os_process(pid, &started, &session), -ESRCH);
    assert_int_equal(session, 77);
    assert_int_equal(spawn_os_only_forked(pid), -ESRCH);
    assert_false(spawn_os_exiting(pid));
}

static void a_process_has_a_parent(void **state)
{
    int its_end;
    pid_t pid = start(&its_end, false), parent = 77;

    (void)state;
    assert_int_equal(spawn_os_parent(pid, &parent), 0);
    assert_int_equal(parent, getpid());
    assert_int_equal(spawn_os_parent(getpid(), &parent), 0);
    assert_int_equal(parent, getppid());
    (void)close(its_end);
    (void)wait_for(pid);
    parent = 77;
    assert_int_equal(spawn_os_parent(pid, &parent), -ESRCH);
    assert_int_equal(parent, 77);
}

/* "": sessions have none here. */
static const char *value_of_session(pid_t pid)
{
    static char text[100];
    char path[40];
    const char *at;
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/autogroup", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    at = strstr(text, "nice ");
    return at ? at + strlen("nice ") : "";
}

static void the_session_of_a_process_gets_a_value(void **state)
{
    const unsigned files = open_count();
    pid_t pid, session = 0;
    int64_t started;
    int rv;

    (void)state;
    LEAVE_OUT_IF(!*value_of_session(getpid()), "sessions have no value here");
    pid = fork();
    if (pid == 0) {
        (void)spawn_os_die_with_parent(SIGKILL);
        (void)setsid();
        for (;;)
            (void)pause();
    }
    while (session != pid)
        assert_int_equal(spawn_os_process(pid, &started, &session), 0);
    /* of others than root the kernel takes some a second */
    while ((rv = spawn_os_session_nice(pid, 9)) == -EAGAIN)
        (void)poll(NULL, 0, 20);
    assert_int_equal(rv, 0);
    assert_string_equal(value_of_session(pid), "9\n");
    assert_int_equal(kill(pid, SIGKILL), 0);
    (void)wait_for(pid);
    assert_int_equal(spawn_os_session_nice(pid, 9), -ENOENT);
    assert_int_equal(open_count(), files);
}

static void what_a_process_does_is_seen(void **state)
{
    static volatile unsigned counter;
    int64_t used = -7, before = 0;
    int its_end;
    pid_t pid = start(&its_end, false);
    char does = '?';

    (void)state;
    while (does != 'S') /* it waits for us */
        assert_int_equal(spawn_os_state(pid, &does, &used), 0);
    assert_in_range(used, 0, 10000);
    assert_false(spawn_os_stopped(pid));
    assert_int_equal(kill(pid, SIGSTOP), 0);
    while (does != 'T')
        assert_int_equal(spawn_os_state(pid, &does, &used), 0);
    assert_true(spawn_os_stopped(pid));
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_false(spawn_os_unreaped(pid));
    (void)close(its_end);
    while (does != 'Z')
        assert_int_equal(spawn_os_state(pid, &does, &used), 0);
    assert_true(spawn_os_unreaped(pid));
    (void)wait_for(pid);
    assert_false(spawn_os_unreaped(pid));
    does = '?';
    used = -7;
    assert_int_equal(spawn_os_state(pid, &does, &used), -ESRCH);
    assert_int_equal(does, '?');
    assert_int_equal(used, -7);
    /* the CPU that we use ourselves */
    assert_int_equal(spawn_os_state(getpid(), &does, &before), 0);
    assert_int_equal(does, 'R');
    do {
        counter++;
        if (counter % 100000 == 0)
            assert_int_equal(spawn_os_state(getpid(), &does, &used), 0);
    } while (used < before + 100);
    assert_in_range(used, before + 100, before + 1000);
}

static bool kernel_is(unsigned major, unsigned minor)
{
    struct utsname is;
    unsigned its[2] = {0, 0};

    (void)uname(&is);
    (void)sscanf(is.release, "%u.%u", &its[0], &its[1]);
    return its[0] > major || (its[0] == major && its[1] >= minor);
}

static int real_uid_is_told(long denied, int error)
{
    uid_t uid = 7;
    unsigned files = open_count();

    if (geteuid() == 0) {
        IS(setresgid(65511, 65512, 65513) == 0);
        IS(setresuid(65501, 65502, 65503) == 0);
    }
    deny(denied, error);
    IS(spawn_os_real_uid(getpid(), &uid) == 0);
    IS(uid == getuid());
    IS(open_count() == files);
    return 0;
}

static int real_uid_by_proc(void)
{
    return real_uid_is_told(SYS_ioctl, ENOTTY);
}

static int real_uid_by_pidfd(void)
{
    return real_uid_is_told(SYS_openat, EACCES);
}

/* Where /proc hides the processes of others, too. */
static void the_real_account_is_told_in_each_way(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(real_uid_by_proc);
    LEAVE_OUT_IF(!kernel_is(6, 13), "a kernel that does not tell by pidfds");
    HOLDS_IN_A_CHILD(real_uid_by_pidfd);
}

static int names_itself_badly(void)
{
    int64_t started = 0;
    pid_t session = 0;

    (void)prctl(PR_SET_NAME, ") D 1 (x) ");
    IS(spawn_os_process(getpid(), &started, &session) == 0);
    IS(session == getsid(0) && started > 0);
    IS(spawn_os_only_forked(getpid()) == 1);
    IS(!spawn_os_hangs(getpid()));
    return 0;
}

static int proc_denied(void)
{
    int64_t started = 7;
    pid_t session = 7;
    spawn_memory m = {7, 7, 7, 7};
    uid_t uid = 7;

    deny(SYS_ioctl, ENOTTY); /* an older kernel */
    IS(spawn_os_real_uid(getpid(), &uid) == 0 && uid == getuid());
    uid = 7;
    deny(SYS_read, EACCES);
    IS(spawn_os_real_uid(getpid(), &uid) == -EACCES);
    IS(spawn_os_process(getpid(), &started, &session) == -ESRCH);
    IS(spawn_os_only_forked(getpid()) == -ESRCH);
    IS(spawn_os_memory(getpid(), &m) == -EACCES);
    deny(SYS_openat, EACCES);
    IS(spawn_os_process(getpid(), &started, &session) == -EACCES);
    IS(spawn_os_memory(getpid(), &m) == -EACCES);
    IS(spawn_os_real_uid(getpid(), &uid) == -EACCES);
    IS(uid == 7 && started == 7 && session == 7 && m.resident == 7
       && m.alone == 7);
    return 0;
}

static void what_is_not_shown_is_an_error(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(proc_denied);
}

static void memory_is_whole_kilobytes_and_leaks_nothing(void **state)
{
    unsigned files = open_count();
    spawn_memory m;
    int i;

    (void)state;
    for (i = 0; i < 5; i++)
        assert_int_equal(spawn_os_memory(getpid(), &m), 0);
    assert_int_equal(open_count(), files);
    assert_int_equal(m.resident % 1024, 0);
    assert_int_equal(m.alone % 1024, 0);
    assert_true(m.resident > 0);
}

static void a_name_does_not_disturb(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(names_itself_badly);
}

static int ends[2];

static int vforks(void)
{
    pid_t pid = getpid();

    /* a process that waits for vfork's child can be killed only */
    if (vfork() == 0) {
        (void)!write(ends[1], &pid, sizeof(pid));
        (void)poll(NULL, 0, 100000);
        _exit(0);
    }
    return 0;
}

static void what_no_signal_reaches_hangs(void **state)
{
    pid_t pid;
    int its_end;

    (void)state;
    pid = start(&its_end, false);
    assert_false(spawn_os_hangs(pid));
    (void)close(its_end);
    (void)wait_for(pid);
    assert_true(spawn_os_hangs(pid)); /* nothing is shown of it */
    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        (void)setpgid(0, 0);
        _exit(vforks());
    }
    (void)setpgid(pid, pid);
    assert_int_equal(read(ends[0], &its_end, sizeof(its_end)), sizeof(its_end));
    assert_true(spawn_os_hangs(pid)); /* D, in vfork */
    (void)kill(-pid, SIGKILL);
    (void)wait_for(pid);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pidfd_tells_an_end),
        cmocka_unit_test(an_exit_that_the_kernel_does_not_tell_is_unknown),
        cmocka_unit_test(a_signal_goes_to_the_group),
        cmocka_unit_test(a_group_is_signalled_on_an_older_kernel),
        cmocka_unit_test(what_is_left_of_a_group_gets_the_signal),
        cmocka_unit_test(it_gets_it_without_pidfds_too),
        cmocka_unit_test(a_number_in_use_is_not_signalled),
        cmocka_unit_test(a_kernel_that_cannot_signal_it_says_so),
        cmocka_unit_test(a_process_has_a_start_and_a_session),
        cmocka_unit_test(a_process_has_a_parent),
        cmocka_unit_test(what_a_process_does_is_seen),
        cmocka_unit_test(the_real_account_is_told_in_each_way),
        cmocka_unit_test(what_is_not_shown_is_an_error),
        cmocka_unit_test(the_session_of_a_process_gets_a_value),
        cmocka_unit_test(memory_is_whole_kilobytes_and_leaks_nothing),
        cmocka_unit_test(a_name_does_not_disturb),
        cmocka_unit_test(what_no_signal_reaches_hangs),
    };

    (void)close(0);
    (void)open("/dev/null", O_RDONLY);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("os_processes", tests, NULL, NULL);
}
