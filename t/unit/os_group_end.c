/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rest of the group of a leader that has ended, found in /proc and ended:
 * which processes, in which order, by pidfds, and which are left alone. Each
 * pidfd that is opened and each signal that is sent goes through this program,
 * which notes them, and does in between what others do in such a moment.
 */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_os.h"
#include "common/spawn_process.h"

/* ---- what is called ---- */

#define PIDFDS 128

static pid_t pid_of[PIDFDS]; /* by pidfd */
static char calls[2048];     /* calls about members, by their names */
static char name_of(pid_t pid);

static void (*at_open)(char name); /* before it */
static int (*at_kill)(char name);  /* before it; an errno instead of it */

static void add_call(const char *what, pid_t pid)
{
    const size_t length = strlen(calls);

    (void)snprintf(calls + length, sizeof(calls) - length, "%s %c; ", what,
                   name_of(pid));
}

static long fails_with(int error)
{
    errno = error;
    return -1;
}

/* A member's end is waited for, so that it is not found once more. */
static long send_to(long (*call)(long, ...), int fd, int signo)
{
    struct pollfd p = {fd, POLLIN, 0};
    const pid_t pid = fd >= 0 && fd < PIDFDS ? pid_of[fd] : 0;
    int error;
    long rv;

    add_call(signo == SIGKILL   ? "kill"
             : signo == SIGSTOP ? "stop"
                                : "signal",
             pid);
    if (name_of(pid) == '?')
        return fails_with(EPERM);
    error = signo == SIGKILL && at_kill ? at_kill(name_of(pid)) : 0;
    if (error)
        return fails_with(error);
    rv = call(SYS_pidfd_send_signal, fd, signo, NULL, 0);
    if (signo == SIGKILL)
        (void)poll(&p, 1, 10000);
    return rv;
}

/* In the place of libc's. */
long syscall(long number, ...)
{
    static long (*call)(long, ...);
    long a[6], rv;
    va_list args;
    int i;

    if (!call)
        call = (long (*)(long, ...))(uintptr_t)dlsym(RTLD_NEXT, "syscall");
    va_start(args, number);
    for (i = 0; i < 6; i++)
        a[i] = va_arg(args, long);
    va_end(args);
    if (number == SYS_pidfd_send_signal)
        return send_to(call, (int)a[0], (int)a[1]);
    if (number != SYS_pidfd_open)
        return call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    add_call("open", (pid_t)a[0]);
    if (at_open)
        at_open(name_of((pid_t)a[0]));
    rv = call(number, a[0], a[1]);
    if (rv >= 0 && rv < PIDFDS)
        pid_of[rv] = (pid_t)a[0];
    return rv;
}

/* ---- a session ---- */

/* The kinds of members, as the leader is ordered to fork them. A member obeys
 * until nobody can tell it more. */
#define PLAIN       'p'
#define ELSEWHERE   'e' /* in a group of its own */
#define BY_A_THREAD 't' /* its first thread has ended */
#define ENDED       'z' /* and is not reaped */

#define JOIN  'j' /* the leader's group */
#define LEAVE 'l'

#define MEMBERS 16

/* Their names are 'a' and so on; pid 0: none. */
static struct {
    pid_t pid;
    int ends[2]; /* ours, its */
} members[MEMBERS];
static pid_t leader;
static int leads[2]; /* ours, its */
static int64_t lived;

static char name_of(pid_t pid)
{
    unsigned i;

    for (i = 0; i < MEMBERS; i++) {
        if (pid > 0 && members[i].pid == pid)
            return (char)('a' + i);
    }
    return '?';
}

static void *goes_on(void *unused)
{
    for (;;)
        (void)pause();
    return unused;
}

static void be_member(char what, int end)
{
    const pid_t group = getpgrp();
    pthread_t thread;
    char order;
    int fd;

    for (fd = 3; fd < 300; fd++) {
        if (fd != end)
            (void)close(fd);
    }
    if (what == ELSEWHERE)
        (void)setpgid(0, 0);
    if (what == BY_A_THREAD)
        (void)pthread_create(&thread, NULL, goes_on, NULL);
    (void)!write(end, "+", 1);
    if (what == BY_A_THREAD)
        pthread_exit(NULL);
    while (what != ENDED && read(end, &order, 1) == 1) {
        (void)setpgid(0, order == JOIN ? group : 0);
        (void)!write(end, "+", 1);
    }
    _exit(0);
}

static void lead(void)
{
    unsigned i;
    char what;

    (void)setsid();
    (void)close(leads[0]);
    for (i = 0; read(leads[1], &what, 1) == 1; i++) {
        pid_t pid = fork();

        if (pid == 0)
            be_member(what, members[i].ends[1]);
        (void)!write(leads[1], &pid, sizeof(pid));
    }
    _exit(0);
}

static void expect_bytes(int fd, void *bytes, size_t length)
{
    struct pollfd p = {fd, POLLIN, 0};

    assert_int_equal(poll(&p, 1, 10000), 1);
    assert_int_equal(read(fd, bytes, length), length);
}

static void pair(int ends[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends),
                     0);
}

static void order(char name, char what)
{
    const int fd = members[name - 'a'].ends[0];
    char byte;

    assert_int_equal(write(fd, &what, 1), 1);
    expect_bytes(fd, &byte, 1);
}

/* A process that is left is our child, since this program is a subreaper. */
static void end_session(void)
{
    unsigned i;

    for (i = 0; i < MEMBERS; i++) {
        if (members[i].pid > 0) {
            (void)kill(members[i].pid, SIGKILL);
            assert_int_equal(waitpid(members[i].pid, NULL, 0), members[i].pid);
        }
        (void)close(members[i].ends[0]);
        (void)close(members[i].ends[1]);
    }
    memset(members, 0, sizeof(members));
}

/* So many as there are letters. Do their numbers ascend? /proc is read in that
 * order, and the numbers may have begun anew. */
static bool begin_session(const char *whats)
{
    bool ascend = true;
    unsigned i;
    char byte;

    pair(leads);
    for (i = 0; i < MEMBERS; i++)
        pair(members[i].ends);
    (void)fflush(NULL);
    leader = fork();
    if (leader == 0)
        lead();
    (void)close(leads[1]);
    for (i = 0; whats[i]; i++) {
        assert_int_equal(write(leads[0], &whats[i], 1), 1);
        expect_bytes(leads[0], &members[i].pid, sizeof(pid_t));
        expect_bytes(members[i].ends[0], &byte, 1);
        ascend &= i == 0 || members[i].pid > members[i - 1].pid;
    }
    return ascend;
}

/* The leader lives at the time `lived`, when all members have been there for
 * two of the steps that /proc counts in, and ends. */
static void have_session(const char *whats)
{
    bool ascend;

    do {
        ascend = begin_session(whats);
        lived = spawn_boot_ms() + 25;
        while (spawn_boot_ms() < lived)
            (void)poll(NULL, 0, 1);
        (void)close(leads[0]);
        assert_int_equal(waitpid(leader, NULL, 0), leader);
        if (!ascend)
            end_session();
    } while (!ascend);
    calls[0] = '\0';
}

static const char *who_lives(void)
{
    static char names[MEMBERS + 1];
    unsigned i, n = 0;

    for (i = 0; i < MEMBERS; i++) {
        siginfo_t info = {.si_pid = 0};

        if (members[i].pid > 0
            && waitid(P_PID, (id_t)members[i].pid, &info,
                      WEXITED | WNOHANG | WNOWAIT)
                   == 0
            && info.si_pid == 0)
            names[n++] = (char)('a' + i);
    }
    names[n] = '\0';
    return names;
}

/* ---- what happens meanwhile ---- */

static int a_joins_with_the_last(char name)
{
    if (name == 'c')
        order('a', JOIN);
    return 0;
}

static char next_joins;

/* Each has a lower number than the one that is killed. */
static int others_join_without_end(char name)
{
    (void)name;
    order(next_joins--, JOIN);
    return 0;
}

static int b_is_protected(char name)
{
    return name == 'b' ? EPERM : 0;
}

static void b_leaves(char name)
{
    if (name == 'b')
        order('b', LEAVE);
}

static void a_leaves(char name)
{
    if (name == 'a')
        order('a', LEAVE);
}

/* ---- groups ---- */

/* The first that is found is stopped and killed as the last one: as long as it
 * is there nobody else gets the group's number. */
static const struct {
    const char *whats;
    void (*at_open)(char name);
    int (*at_kill)(char name);
    const char *calls, *live;
    int64_t earlier;
} groups[] = {
    {"p", NULL, NULL, "open a; stop a; kill a; ", "", 0},
    {"t", NULL, NULL, "open a; stop a; kill a; ", "", 0},
    {"ppezt", NULL, NULL,
     "open a; stop a; open b; kill b; open e; kill e; kill a; ", "c", 0},
    {"zpp", NULL, NULL, "open b; stop b; open c; kill c; kill b; ", "", 0},
    {"ez", NULL, NULL, "", "a", 0},
    /* all of it began later: the number may be another group's */
    {"pp", NULL, NULL, "open a; open b; ", "ab", 3600000},
    {"epp", NULL, a_joins_with_the_last,
     "open b; stop b; open c; kill c; open a; kill a; kill b; ", "", 0},
    /* as often as it is looked for others, and no more */
    {"eeeeeeeeeeeepp", NULL, others_join_without_end,
     "open m; stop m; open n; kill n; open l; kill l; open k; kill k; "
     "open j; kill j; open i; kill i; open h; kill h; open g; kill g; "
     "open f; kill f; open e; kill e; open d; kill d; kill m; ",
     "abc", 0},
    {"ppp", NULL, b_is_protected,
     "open a; stop a; open b; kill b; open c; kill c; open b; kill b; kill a; ",
     "b", 0},
    {"ppp", b_leaves, NULL, "open a; stop a; open b; open c; kill c; kill a; ",
     "b", 0},
    {"pp", a_leaves, NULL, "open a; open b; stop b; kill b; ", "a", 0},
};

static void its_members_are_ended_and_nobody_else(void **state)
{
    unsigned i, files;

    (void)state;
    for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        have_session(groups[i].whats);
        files = open_count();
        next_joins = 'l';
        at_open = groups[i].at_open;
        at_kill = groups[i].at_kill;
        spawn_os_group_end(leader, lived - groups[i].earlier);
        at_open = NULL;
        at_kill = NULL;
        if (strcmp(calls, groups[i].calls) != 0
            || strcmp(who_lives(), groups[i].live) != 0)
            fail_msg("%u: %slive: %s", i, calls, who_lives());
        assert_int_equal(open_count(), files);
        end_session();
    }
}

/* /proc says in which of its steps a process began. */
static void who_began_in_the_same_moment_is_left_alone(void **state)
{
    const int64_t step = 1000 / sysconf(_SC_CLK_TCK);
    int64_t started;
    pid_t session;

    (void)state;
    have_session("p");
    assert_int_equal(spawn_os_process(members[0].pid, &started, &session), 0);
    spawn_os_group_end(leader, started + step);
    assert_string_equal(calls, "open a; ");
    assert_string_equal(who_lives(), "a");
    spawn_os_group_end(leader, started + step + 1);
    assert_string_equal(who_lives(), "");
    end_session();
}

/* Its number is one that another leader had. */
static void a_group_of_another_session_is_left_alone(void **state)
{
    int ends[2];
    char byte;
    pid_t pid;

    (void)state;
    pair(ends);
    pid = fork();
    if (pid == 0)
        be_member(ELSEWHERE, ends[1]);
    expect_bytes(ends[0], &byte, 1);
    calls[0] = '\0';
    spawn_os_group_end(pid, spawn_boot_ms() + 3600000);
    assert_string_equal(calls, "");
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* ---- numbers that are nobody's ---- */

/* As process 1 of a container, which leads a group, with process 2, which leads
 * one, too. */
static int be_the_first(void)
{
    const int64_t later = spawn_boot_ms() + 3600000;
    int ends[2];
    char byte;

    /* not of "/", which is no mount in a chroot */
    IS(mount("none", "/proc", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    IS(mount("proc", "/proc", "proc", 0, NULL) == 0);
    IS(setsid() == 1);
    IS(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    if (fork() == 0) {
        (void)setsid();
        be_member(PLAIN, ends[1]);
    }
    IS(read(ends[0], &byte, 1) == 1);
    spawn_os_group_end(1, later);
    IS(!calls[0]);
    spawn_os_group_end(2, later);
    IS(strcmp(calls, "open ?; stop ?; kill ?; ") == 0);
    return 0;
}

static int in_a_container(void)
{
    int status;
    pid_t pid;

    if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0)
        return 0;
    pid = fork();
    if (pid == 0)
        _exit(be_the_first());
    if (waitpid(pid, &status, 0) != pid)
        return 2;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}

static void the_first_processes_are_no_group(void **state)
{
    (void)state;
    calls[0] = '\0';
    spawn_os_group_end(0, spawn_boot_ms());
    assert_string_equal(calls, "");
    LEAVE_OUT_IF(geteuid() != 0, "no namespace can be made");
    HOLDS_IN_A_CHILD(in_a_container);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_members_are_ended_and_nobody_else),
        cmocka_unit_test(who_began_in_the_same_moment_is_left_alone),
        cmocka_unit_test(a_group_of_another_session_is_left_alone),
        cmocka_unit_test(the_first_processes_are_no_group),
    };

    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    (void)close(0);
    (void)open("/dev/null", O_RDONLY);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("os_group_end", tests, NULL, NULL);
}
