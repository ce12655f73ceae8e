/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The start of a broker by the spawner, and the message when it cannot. The
 * test's program is the broker, too.
 */
#include "t/unit/spawner_brokers.h"

#include <grp.h>
#include <sys/inotify.h>
#include <sys/syscall.h>

/* ---- what it is started with ---- */

/* As the broker: what it finds, to who started it. */
static int be_the_started(int argc, char **argv)
{
    char text[1024] = "", what[100] = "";
    uint64_t mask = 1;
    int size = 0, flags = fcntl(3, F_GETFL);
    socklen_t length = sizeof(size);
    unsigned i;
    size_t n;

    (void)syscall(SYS_rt_sigprocmask, SIG_SETMASK, NULL, &mask, sizeof(mask));
    (void)getsockopt(3, SOL_SOCKET, SO_SNDBUF, &size, &length);
    (void)snprintf(
        text, sizeof(text),
        "%d %s, uid %d, %d more, %llx blocked, nnp %d, %s, %s:", argc, argv[1],
        (int)getuid(), getuid() ? getgroups(0, NULL) : -1,
        (unsigned long long)mask, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
        flags >= 0 && (flags & O_NONBLOCK) ? "does not wait" : "waits",
        size > 300000 ? "has room" : "has no room");
    for (i = 0; environ[i]; i++) {
        n = strlen(text);
        (void)snprintf(text + n, sizeof(text) - n, " %s", environ[i]);
    }
    if (readlink("/proc/self/fd/4", what, sizeof(what) - 1) > 0) {
        n = strlen(text);
        (void)snprintf(text + n, sizeof(text) - n, " 4: %s", what);
    }
    (void)send(3, text, strlen(text) + 1, MSG_NOSIGNAL);
    return 5;
}

/* How the real one ended; what it said is in text. */
static int start_one(char *text, size_t room)
{
    struct pollfd p;
    sigset_t old;
    int status;

    the_fork = 0;
    (void)sigprocmask(SIG_SETMASK, NULL, &old);
    (void)spawn_os_block_signals(); /* as the spawner has them */
    broker_start();
    (void)sigprocmask(SIG_SETMASK, &old, NULL);
    p.fd = spawner.link;
    p.events = POLLIN;
    if (poll(&p, 1, 10000) != 1)
        return -1;
    memset(text, 0, room);
    if (recv(spawner.link, text, room - 1, 0) < 0)
        text[0] = '\0';
    if (waitpid(spawner.broker_pid, &status, 0) != spawner.broker_pid)
        return -1;
    return status;
}

static void it_gets_its_link_and_little_else(void **state)
{
    char text[1024], expected[1024], zone[160];
    int size = 0;
    socklen_t length = sizeof(size);

    (void)state;
    (void)setenv("TZ", "Europe/Berlin", 1);
    (void)setenv("SECRET", "of the starter", 1);
    if (geteuid() == 0) {
        spawner.broker_as.uid = spawner.broker_as.gid = NOBODY;
        spawner.broker_as.groups[0] = 7;
        spawner.broker_as.groups_count = 1;
    }
    spawner.broker_start_at = 5;
    spawner.broker_ready = spawner.broker_refused = true;
    assert_int_equal(start_one(text, sizeof(text)), 5 << 8);
    (void)snprintf(expected, sizeof(expected),
                   "2 /its/socket, uid %d, %d more, 0 blocked, nnp 1, does not "
                   "wait, has room: PATH=/usr/bin:/bin TZ=Europe/Berlin",
                   geteuid() ? (int)geteuid() : NOBODY,
                   geteuid() ? getgroups(0, NULL) : 1);
    assert_string_equal(text, expected);
    expect_called("watch link in; ");
    assert_int_equal(spawner.broker_start_at, 0);
    assert_int_equal(spawner.broker_since, clock_ms);
    assert_false(spawner.broker_ready || spawner.broker_refused);
    assert_int_equal(
        getsockopt(spawner.link, SOL_SOCKET, SO_SNDBUF, &size, &length), 0);
    assert_true(size > 300000);
    (void)start(NULL);

    (void)unsetenv("TZ");
    assert_int_equal(start_one(text, sizeof(text)), 5 << 8);
    assert_non_null(strstr(text, ": PATH=/usr/bin:/bin"));
    assert_null(strstr(text, "TZ="));
    (void)start(NULL);
    /* the longest zone that there is room for, and a longer one */
    memset(zone, 'x', sizeof(zone));
    zone[124] = '\0';
    (void)setenv("TZ", zone, 1);
    assert_int_equal(start_one(text, sizeof(text)), 5 << 8);
    assert_non_null(strstr(text, zone));
    (void)start(NULL);
    zone[124] = 'x';
    zone[125] = '\0';
    (void)setenv("TZ", zone, 1);
    assert_int_equal(start_one(text, sizeof(text)), 5 << 8);
    assert_null(strstr(text, "TZ="));
    (void)unsetenv("TZ");
}

static const char its_notify[] = " 4: anon_inode:inotify";

static int notify_at; /* its number; -1: there is none */

static int with_notify(void)
{
    int made = notify_at < 0 ? -1 : inotify_init1(IN_CLOEXEC);
    char text[1024];

    if (made < 0)
        (void)close(4);
    if (made >= 0 && made != notify_at) {
        (void)dup3(made, notify_at, O_CLOEXEC);
        (void)close(made);
    }
    spawner.notify = notify_at;
    if (start_one(text, sizeof(text)) != 5 << 8 || text[0] != '2')
        return 3;
    return (made >= 0) == (strstr(text, its_notify) != NULL) ? 0 : 4;
}

/* The end that becomes its link, where the inotify goes. */
static int with_the_link_at_4(void)
{
    int fd;

    for (fd = 3; fd < 5; fd++)
        (void)close(fd);
    (void)dup3(spawner.fds[SPAWN_FD_BROKER_BIN], 20, O_CLOEXEC);
    spawner.fds[SPAWN_FD_BROKER_BIN] = 20;
    notify_at = 10;
    return with_notify();
}

static int with_the_program_at_3(void)
{
    char text[1024];

    (void)dup2(spawner.fds[SPAWN_FD_BROKER_BIN], 3);
    (void)close(spawner.fds[SPAWN_FD_BROKER_BIN]);
    spawner.fds[SPAWN_FD_BROKER_BIN] = 3;
    (void)fcntl(3, F_SETFD, FD_CLOEXEC);
    return start_one(text, sizeof(text)) == 5 << 8 && text[0] == '2' ? 0 : 3;
}

static int of_no_program(void)
{
    char text[16];

    spawner.fds[SPAWN_FD_BROKER_BIN] = open("/etc/passwd", O_PATH | O_CLOEXEC);
    return start_one(text, sizeof(text)) == 1 << 8 && text[0] == '\0'
                   && log_says("MS0305: the broker's program cannot be "
                               "executed: Permission denied")
               ? 0
               : 3;
}

static int without_number_3(void)
{
    char text[16];

    deny(SYS_dup2, EBUSY);
    return start_one(text, sizeof(text)) == 1 << 8
                   && log_says("MS0305: the broker's program cannot be "
                               "executed: Device or resource busy")
               ? 0
               : 3;
}

static int without_numbers(void)
{
    char text[16];

    deny(SYS_fcntl, EMFILE);
    return start_one(text, sizeof(text)) == 1 << 8
                   && log_says("MS0305: the broker's program cannot be "
                               "executed: Too many open files")
               ? 0
               : 3;
}

static int without_its_account(void)
{
    char text[16];

    spawner.broker_as.uid = spawner.broker_as.gid = NOBODY;
    spawner.broker_as.groups_count = 0;
    deny(SYS_setgroups, EPERM);
    return start_one(text, sizeof(text)) == 1 << 8 && text[0] == '\0'
                   && log_says("MS0304: the broker cannot start: groups: "
                               "Operation not permitted")
               ? 0
               : 3;
}

static void what_it_cannot_be_started_with_is_told(void **state)
{
    static const int numbers[] = {-1, 0, 3, 4};
    unsigned i;

    (void)state;
    assert_int_equal(in_a_child(with_the_program_at_3), 0);
    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        notify_at = numbers[i];
        assert_int_equal(in_a_child(with_notify), 0);
    }
    assert_int_equal(in_a_child(with_the_link_at_4), 0);
    assert_int_equal(in_a_child(of_no_program), 0);
    assert_int_equal(in_a_child(without_number_3), 0);
    assert_int_equal(in_a_child(without_numbers), 0);
    LEAVE_OUT_IF(geteuid() != 0, "one account has no other");
    assert_int_equal(in_a_child(without_its_account), 0);
}

/* Tried once more at once, then after a while. */
static bool is_planned(void)
{
    return spawner.link < 0 && spawner.broker_deaths == 2
           && spawner.broker_start_at == clock_ms + 100
           && log_says("MS0306: the broker could not be forked; another starts "
                       "in 0 ms, running jobs go on");
}

static int without_sockets(void)
{
    deny(SYS_socketpair, EMFILE);
    broker_start();
    return is_planned()
                   && strcmp(called, "not ready 'the broker ended before "
                                     "it was ready; the lines above say "
                                     "why'; not ready 'the broker ended "
                                     "before it was ready; the lines "
                                     "above say why'; ")
                          == 0
               ? 0
               : 1;
}

static void what_cannot_be_forked_is_tried_again(void **state)
{
    unsigned open = open_count();

    (void)state;
    the_fork = -1;
    broker_start();
    assert_true(is_planned());
    assert_int_equal(open_count(), open);
    assert_int_equal(spawner.broker_pid, 0);
    (void)start(NULL);
    assert_int_equal(in_a_child(without_sockets), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(it_gets_its_link_and_little_else),
        T(what_it_cannot_be_started_with_is_told),
        T(what_cannot_be_forked_is_tried_again),
    };

    if (argc > 0 && strcmp(argv[0], "mod_spawn broker") == 0)
        return be_the_started(argc, argv);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_broker_start", tests, NULL,
                                       NULL);
}
