/* SPDX-License-Identifier: Apache-2.0 */
/* The system's calls behind their names: each does what it is named for, seen
 * from outside, and gives the errno when it is denied. */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <linux/capability.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_os.h"

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

/* ---- clocks ---- */

static int64_t ms_of(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t us_of(clockid_t clock)
{
    struct timespec t;

    (void)clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void clocks_are_those_of_their_names(void **state)
{
    int64_t before, after, now;

    (void)state;
    before = ms_of(CLOCK_MONOTONIC);
    now = spawn_mono_ms();
    after = spawn_mono_us();
    assert_in_range(now, before, after / 1000);
    assert_in_range(after / 1000, before, ms_of(CLOCK_MONOTONIC));
    before = us_of(CLOCK_MONOTONIC);
    now = spawn_mono_us();
    assert_in_range(now, before, us_of(CLOCK_MONOTONIC));
    before = ms_of(CLOCK_BOOTTIME);
    now = spawn_boot_ms();
    assert_in_range(now, before, ms_of(CLOCK_BOOTTIME));
    before = ms_of(CLOCK_REALTIME);
    now = spawn_wall_ms();
    assert_in_range(now, before, ms_of(CLOCK_REALTIME));
}

/* ---- processes ---- */

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
    if (waitpid(other, &status, WNOHANG) == 0) { /* before Linux 6.9 */
        (void)kill(other, SIGTERM);
        status = wait_for(other);
    }
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
    spawn_memory m = {7, 7, 7};
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
    IS(uid == 7 && started == 7 && session == 7 && m.resident == 7 && m.alone == 7);
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

static int execs(void)
{
    char program[] = "/bin/sh", flag[] = "-c", script[] = "read x; exit 3";
    char *argv[] = {program, flag, script, NULL}, *envp[] = {NULL};
    int fd = open(program, O_PATH | O_CLOEXEC);

    return spawn_os_exec_fd(fd, argv, envp) ? 99 : 98;
}

static int ends[2];

static int execs_without_execveat(void)
{
    deny(SYS_execveat, ENOSYS);
    return execs();
}

static int execs_with_execveat_forbidden(void)
{
    deny(SYS_execveat, EPERM);
    return execs();
}

static int exec_of_nothing(void)
{
    char *argv[] = {NULL}, *envp[] = {NULL};
    int fd = open("/etc/passwd", O_PATH | O_CLOEXEC);

    IS(spawn_os_exec_fd(fd, argv, envp) == -EACCES);
    IS(spawn_os_exec_fd(-1, argv, envp) == -EBADF);
    deny(SYS_execveat, ENOSYS);
    IS(spawn_os_exec_fd(fd, argv, envp) == -EACCES);
    IS(spawn_os_exec_fd(-1, argv, envp) == -ENOSYS);
    return 0;
}

static void a_program_is_executed_by_its_descriptor(void **state)
{
    int (*const ways[])(void) = {execs, execs_without_execveat,
                                 execs_with_execveat_forbidden};
    size_t i;

    (void)state;
    for (i = 0; i < 3; i++)
        assert_int_equal(in_a_child(ways[i]), 3); /* stdin has ended */
    HOLDS_IN_A_CHILD(exec_of_nothing);
}

static int waits_in_sh(void)
{
    (void)dup2(ends[0], 0);
    (void)close(ends[1]);
    return execs();
}

static void what_has_executed_is_told_apart(void **state)
{
    int64_t deadline = spawn_mono_ms() + 10000;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0)
        _exit(waits_in_sh());
    while (spawn_os_only_forked(pid) != 0 && spawn_mono_ms() < deadline)
        (void)poll(NULL, 0, 1);
    assert_int_equal(spawn_os_only_forked(pid), 0);
    (void)close(ends[1]);
    (void)close(ends[0]);
    assert_int_equal(WEXITSTATUS(wait_for(pid)), 3);
}

static int vforks(void)
{
    pid_t pid = getpid();

    /* who waits for vfork's child can be killed only */
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

/* ---- rights and signals ---- */

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
    HOLDS_IN_A_CHILD(batch);
    HOLDS_IN_A_CHILD(disk_class);
    assert_int_equal(syscall(SYS_ioprio_get, 1, 0), before); /* of it alone */
}

static int boot_id_denied(void)
{
    char text[40] = "as before";

    deny(SYS_read, EIO);
    IS(spawn_os_boot_id(text) == -EIO);
    deny(SYS_openat, EACCES);
    IS(spawn_os_boot_id(text) == -EACCES);
    return 0;
}

static void a_boot_has_an_id(void **state)
{
    unsigned files = open_count();
    char text[40], again[40];

    (void)state;
    memset(text, 'x', sizeof(text));
    assert_int_equal(spawn_os_boot_id(text), 0);
    assert_int_equal(strlen(text), 36);
    assert_int_equal(strspn(text, "0123456789abcdef-"), 36);
    assert_int_equal(text[37], 'x');
    assert_int_equal(spawn_os_boot_id(again), 0);
    assert_string_equal(text, again);
    assert_int_equal(open_count(), files);
    HOLDS_IN_A_CHILD(boot_id_denied);
}

/* ---- descriptors ---- */

static int flags(int fd)
{
    return fcntl(fd, F_GETFD);
}

static int sweeps(void)
{
    int fd;

    for (fd = 10; fd < 20; fd++)
        (void)dup2(0, fd);
    (void)spawn_os_close_between(12, 14);
    IS(flags(11) >= 0 && flags(12) < 0 && flags(13) < 0 && flags(14) < 0
       && flags(15) >= 0);
    (void)spawn_os_close_between(16, 16);
    IS(flags(15) >= 0 && flags(16) < 0 && flags(17) >= 0);
    (void)spawn_os_close_between(11, 10);
    IS(flags(10) >= 0 && flags(11) >= 0);
    (void)spawn_os_cloexec_from(17);
    IS(flags(15) == 0 && flags(17) == FD_CLOEXEC && flags(19) == FD_CLOEXEC);
    (void)spawn_os_close_from(15);
    IS(flags(11) >= 0 && flags(15) < 0 && flags(17) < 0 && flags(19) < 0);
    return 0;
}

static int sweeps_by_list(void)
{
    deny(SYS_close_range, ENOSYS);
    return sweeps();
}

static int sweeps_by_number(void)
{
    deny(SYS_getdents64, EPERM);
    deny(SYS_close_range, ENOSYS);
    return sweeps();
}

static void descriptors_are_swept_in_each_way(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(sweeps);
    HOLDS_IN_A_CHILD(sweeps_by_list);
    HOLDS_IN_A_CHILD(sweeps_by_number);
}

/* Its numbers fill more than one piece of the list. */
static int sweeps_many(void)
{
    struct rlimit r = {2000, 2000};
    int fd, n = 0;

    if (setrlimit(RLIMIT_NOFILE, &r) < 0)
        return 0;
    for (fd = 3; fd < 1500; fd++)
        (void)dup2(0, fd);
    deny(SYS_close_range, ENOSYS);
    (void)spawn_os_close_from(5);
    for (fd = 0; fd < 1600; fd++)
        n += flags(fd) >= 0;
    IS(n == 5);
    return 0;
}

static void many_descriptors_are_swept(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(sweeps_many);
}

static void a_sealed_memfd_cannot_be_changed(void **state)
{
    int fd = spawn_os_memfd("test");
    int other = spawn_os_memfd("test");

    (void)state;
    assert_true(fd >= 0 && other >= 0);
    assert_int_equal(flags(fd), FD_CLOEXEC);
    assert_int_equal(write(fd, "abc", 3), 3);
    assert_false(spawn_os_sealed(fd));
    assert_int_equal(spawn_os_seal(fd), 0);
    assert_true(spawn_os_sealed(fd));
    assert_int_equal(write(fd, "abc", 3), -1);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(ftruncate(fd, 10), -1);
    assert_int_equal(spawn_os_seal(fd), -EPERM);
    assert_int_equal(fcntl(other, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    assert_false(spawn_os_sealed(other));
    assert_false(spawn_os_sealed(0));
    assert_true(spawn_os_seal(0) < 0);
    (void)close(fd);
    (void)close(other);
}

static void who_is_at_the_other_end_is_told(void **state)
{
    int pair[2], plain[2];
    pid_t pid = 7;
    uid_t uid = 7;
    gid_t gid = 7;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    assert_int_equal(spawn_os_peer(pair[0], &pid, &uid, &gid), 0);
    assert_int_equal(pid, getpid());
    assert_int_equal(uid, geteuid());
    assert_int_equal(gid, getegid());
    pid = 7;
    assert_int_equal(spawn_os_peer(pair[0], &pid, NULL, NULL), 0);
    assert_int_equal(pid, getpid());
    uid = 7;
    assert_int_equal(spawn_os_peer(pair[0], NULL, &uid, NULL), 0);
    assert_int_equal(uid, geteuid());
    gid = 7;
    assert_int_equal(spawn_os_peer(pair[0], NULL, NULL, &gid), 0);
    assert_int_equal(gid, getegid());
    assert_int_equal(pipe(plain), 0);
    pid = 7;
    assert_int_equal(spawn_os_peer(plain[0], &pid, NULL, NULL), -ENOTSOCK);
    assert_int_equal(pid, 7);
    assert_int_equal(spawn_os_pass_credentials(plain[0]), -ENOTSOCK);
    assert_true(spawn_os_pass_descriptors(plain[0], false) < 0);
    (void)close(plain[0]);
    (void)close(plain[1]);
    (void)close(pair[0]);
    (void)close(pair[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_are_those_of_their_names),
        cmocka_unit_test(a_pidfd_tells_an_end),
        cmocka_unit_test(an_exit_that_the_kernel_does_not_tell_is_unknown),
        cmocka_unit_test(a_signal_goes_to_the_group),
        cmocka_unit_test(what_is_left_of_a_group_gets_the_signal),
        cmocka_unit_test(it_gets_it_without_pidfds_too),
        cmocka_unit_test(a_number_in_use_is_not_signalled),
        cmocka_unit_test(a_process_has_a_start_and_a_session),
        cmocka_unit_test(what_is_not_shown_is_an_error),
        cmocka_unit_test(memory_is_whole_kilobytes_and_leaks_nothing),
        cmocka_unit_test(a_name_does_not_disturb),
        cmocka_unit_test(a_program_is_executed_by_its_descriptor),
        cmocka_unit_test(what_has_executed_is_told_apart),
        cmocka_unit_test(what_no_signal_reaches_hangs),
        cmocka_unit_test(a_process_is_set_as_named),
        cmocka_unit_test(rights_are_dropped_and_no_others),
        cmocka_unit_test(signals_and_priorities_are_set),
        cmocka_unit_test(a_boot_has_an_id),
        cmocka_unit_test(descriptors_are_swept_in_each_way),
        cmocka_unit_test(many_descriptors_are_swept),
        cmocka_unit_test(a_sealed_memfd_cannot_be_changed),
        cmocka_unit_test(who_is_at_the_other_end_is_told),
    };

    (void)close(0);
    (void)open("/dev/null", O_RDONLY);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("os", tests, NULL, NULL);
}
