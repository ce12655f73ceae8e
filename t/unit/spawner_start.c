/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start of the spawner: what it makes of the surroundings that it was
 * started in, and how it says that it cannot: by name, in the log, and with a
 * code that httpd does not take for its own end.
 */
#include <linux/capability.h>
#include <sched.h>

#include "t/unit/spawner_look.h"

/* ---- what it lacks ---- */

static void no_subreaper(void)
{
    deny_when(SYS_prctl, 0, PR_SET_CHILD_SUBREAPER, EPERM);
}

static void no_undumpable(void)
{
    deny_when(SYS_prctl, 0, PR_SET_DUMPABLE, EACCES);
}

static void no_mask(void)
{
    deny_when(SYS_rt_sigprocmask, 0, SIG_SETMASK, EPERM);
}

static void no_signalfd(void)
{
    deny(SYS_signalfd4, ENOSYS);
}

static void no_memory(void)
{
    deny_bits(SYS_mmap, 3, MAP_NORESERVE, ENOMEM);
}

static void no_capset(void)
{
    deny(SYS_capset, EPERM);
}

static void no_chdir(void)
{
    deny(SYS_chdir, EACCES);
}

static void no_epoll(void)
{
    deny(SYS_epoll_create1, ENOSYS);
}

static void no_watch(void)
{
    deny(SYS_epoll_ctl, EPERM);
}

#define FORBIDDEN "; a filter of system calls"

static const struct {
    void (*without)(void);
    const char *text, *more;
    bool root;
} lacks[] = {
    {no_subreaper, "become the parent of what jobs leave (prctl): ", FORBIDDEN,
     false},
    {no_undumpable, "hide its memory (prctl): ", FORBIDDEN, false},
    {no_mask, "read signals (signalfd): ", FORBIDDEN, false},
    {no_signalfd, "read signals (signalfd): ", FORBIDDEN, false},
    {no_memory, "reserve memory for its table (mmap): ", "memory\n", false},
    {no_capset, "keep CAP_SETUID, CAP_SETGID and CAP_KILL", FORBIDDEN, true},
    {no_chdir, "enter the directory /: ", FORBIDDEN, false},
    {no_epoll, "wait for events (epoll_create1): ", FORBIDDEN, false},
    {no_watch, "wait for events (epoll_ctl): ", FORBIDDEN, false},
};

/* Runs it to its end: the code. Descriptor 3 is this one. */
static int code_of(void (*prepare)(void), int third, const char *more)
{
    char *argv[] = {(char *)(uintptr_t) "mod_spawn spawner",
                    (char *)(uintptr_t) "-", (char *)(uintptr_t)more, NULL};
    struct pollfd p = {-1, POLLIN, 0};
    int status;
    pid_t pid;

    new_log();
    (void)fflush(NULL);
    pid = fork();
    if (pid == 0) {
        int program = open(spawner_program, O_PATH | O_CLOEXEC);

        program = fcntl(program, F_DUPFD_CLOEXEC, 20);
        third = fcntl(third, F_DUPFD_CLOEXEC, 20);
        log_to_file();
        (void)dup2(third, 3);
        if (prepare)
            prepare();
        (void)spawn_os_exec_fd(program, argv, environ);
        _exit(96);
    }
    p.fd = spawn_os_pidfd(pid);
    if (poll(&p, 1, DEADLINE_MS) != 1)
        (void)kill(pid, SIGKILL); /* our child, not yet reaped */
    (void)close(p.fd);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void what_it_lacks_has_a_name(void **state)
{
    char expected[256];
    int ends[2];
    unsigned i;

    (void)state;
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    for (i = 0; i < sizeof(lacks) / sizeof(lacks[0]); i++) {
        if (lacks[i].root && geteuid() != 0)
            continue;
        if (SANITIZED && lacks[i].without == no_memory)
            continue; /* a sanitizer reserves its own before */
        assert_int_equal(code_of(lacks[i].without, ends[1], NULL), 1);
        (void)snprintf(expected, sizeof(expected),
                       "MS0350: the spawner cannot %s", lacks[i].text);
        if (log_count(expected) != 1 || !log_count(lacks[i].more))
            fail_msg("not '%s' in:\n%s", expected, log_text());
        assert_int_equal(log_count("MS0350"), 1);
        assert_int_equal(
            log_count("MS0302: the spawner ends: it lacks what it needs"), 1);
    }
    spawn_close_fds(ends, 2);
}

static void only_httpd_starts_it(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(code_of(NULL, ends[0], NULL), 1);
    assert_int_equal(log_count("MS0302: the spawner ends: it is started by "
                               "httpd, not by hand"),
                     1);
    spawn_close_fds(ends, 2);
}

static void what_an_upgrade_left_must_be_readable(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(code_of(NULL, ends[0], "2"), 1); /* the log is no state */
    assert_int_equal(log_count("MS0302: the spawner ends: the state of the "
                               "spawner before the upgrade cannot be read"),
                     1);
    spawn_close_fds(ends, 2);
}

/* ---- what it was started in ---- */

#define LEFT_OPEN 40

static void as_somebody_careless(void)
{
    const struct rlimit files = {64, 200};
    sigset_t some;

    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGCHLD, SIG_IGN);
    (void)sigemptyset(&some);
    (void)sigaddset(&some, SIGTERM);
    (void)sigprocmask(SIG_SETMASK, &some, NULL);
    (void)setrlimit(RLIMIT_NOFILE, &files);
    (void)dup2(handover, LEFT_OPEN);
    if (chdir("/tmp") < 0)
        _exit(95);
}

static int start_carelessly(void **state)
{
    before_exec = as_somebody_careless;
    return start_spawner(state);
}

static void expect_link_of(pid_t pid, const char *name, const char *expected)
{
    char path[64], target[256];
    ssize_t n;

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    n = readlink(path, target, sizeof(target) - 1);
    target[n > 0 ? n : 0] = '\0';
    assert_string_equal(target, expected);
}

static void what_it_was_started_in_does_not_matter(void **state)
{
    const char *limits;
    spawn_id id;

    (void)state;
    reach_ready();
    assert_true(proc_hex(spawner_pid, "SigIgn") == 0);
    assert_true(proc_hex(spawner_pid, "SigCgt") == 0);
    /* all but KILL and STOP */
    assert_true(proc_hex(spawner_pid, "SigBlk") == 0xfffffffffffbfeff);
    assert_int_equal(sched_getscheduler(spawner_pid), SCHED_BATCH);
    limits = strstr(proc_text(spawner_pid, "limits"), "Max open files");
    assert_non_null(limits);
    assert_int_equal(strtol(limits + 14, NULL, 10), 200);
    if (geteuid() == 0)
        expect_link_of(spawner_pid, "cwd", "/");
    expect_link_of(broker_pid(), "fd/40", "");

    new_id(&id);
    launch(&id, "/bin/sh", "grep -E 'Sig(Blk|Ign)' /proc/self/status; pwd",
           NULL);
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 0);
    assert_string_equal(out_text(), "SigBlk:\t0000000000000000\n"
                                    "SigIgn:\t0000000000000000\n/\n");
}

/* It has the watches of those before it. */
static void each_broker_has_the_same_inotify(void **state)
{
    (void)state;
    reach_ready();
    expect_link_of(broker_pid(), "fd/4", "anon_inode:inotify");
    next_broker();
    expect_link_of(broker_pid(), "fd/4", "anon_inode:inotify");
}

static void no_stray_signal_ends_it(void **state)
{
    int signo;

    (void)state;
    reach_ready();
    for (signo = 1; signo <= SIGRTMAX; signo++) {
        if (signo != SIGKILL && signo != SIGSTOP)
            (void)kill(spawner_pid, signo);
    }
    goes_on();
    goes_on();
}

static void it_keeps_few_capabilities(void **state)
{
    const unsigned long long few = 1ull << CAP_SETUID | 1ull << CAP_SETGID
                                   | 1ull << CAP_KILL | 1ull << CAP_SETPCAP;

    (void)state;
    LEAVE_OUT_IF(geteuid() != 0, "it has none");
    reach_ready();
    assert_true(proc_hex(spawner_pid, "CapPrm") == few);
    assert_true(proc_hex(spawner_pid, "CapEff") == few);
    assert_true(proc_hex(spawner_pid, "CapInh") == 0);
    /* jobs may get back what httpd was started with */
    assert_true(proc_hex(spawner_pid, "CapBnd")
                == proc_hex(getpid(), "CapBnd"));
}

static void as_nobody(void)
{
    if (syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY) < 0)
        _exit(94);
}

static int start_as_nobody(void **state)
{
    if (geteuid() == 0)
        before_exec = as_nobody;
    return start_spawner(state);
}

/* The account that it has cannot look into it, or trace it. */
static void its_memory_is_its_own(void **state)
{
    char path[32];
    struct stat st;

    (void)state;
    reach_ready();
    (void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)spawner_pid);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, 0);
    (void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)broker_pid());
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_uid, geteuid() ? geteuid() : NOBODY);
}

/* Processes that a job leaves are the spawner's, and are reaped without a word.
 */
static void what_jobs_leave_is_its_own(void **state)
{
    char expected[64];
    spawn_id id;
    pid_t left;

    (void)state;
    reach_ready();
    new_id(&id);
    launch(&id, "/bin/sh",
           "(echo; while [ -e /proc/$$ ]; do sleep 0.01; done; "
           "exec grep -E '^(PPid|Pid)' /proc/self/status) & read x < /dev/null",
           NULL);
    expect_id(SPAWN_M_STARTED, &id);
    expect_exit(&id, 1);
    wait_for_output(15);
    (void)snprintf(expected, sizeof(expected), "PPid:\t%d\n", (int)spawner_pid);
    assert_non_null(strstr(out_text(), expected));
    left = atoi(strstr(out_text(), "\nPid:") + 5);
    assert_true(left > 1);
    wait_for_reaping(left);
    goes_on();
}

#define T(f) cmocka_unit_test_setup_teardown(f, start_spawner, stop_all)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_lacks_has_a_name),
        cmocka_unit_test(only_httpd_starts_it),
        cmocka_unit_test(what_an_upgrade_left_must_be_readable),
        cmocka_unit_test_setup_teardown(what_it_was_started_in_does_not_matter,
                                        start_carelessly, stop_all),
        T(each_broker_has_the_same_inotify),
        T(no_stray_signal_ends_it),
        T(it_keeps_few_capabilities),
        cmocka_unit_test_setup_teardown(its_memory_is_its_own, start_as_nobody,
                                        stop_all),
        T(what_jobs_leave_is_its_own),
    };

    BE_THE_BROKER_IF_ASKED(argc, argv);
    leave_nothing();
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_start", tests, NULL, NULL);
}
