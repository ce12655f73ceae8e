/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How the spawner keeps a broker alive: what it starts it with, what it does
 * when one dies (young, old, in an upgrade, after its good-bye, or without an
 * end), and when it gives up. The test's program is the broker, too.
 */
#define PART_HAS_BROKER
#define PART_HAS_TABLE
#define PART_HAS_RESERVE
#define PART_HAS_PROGRAMS
#include "t/unit/spawner_part.h"

#include <grp.h>
#include <sys/inotify.h>
#include <sys/syscall.h>

#include "spawner/template_note.h"

/* What the dead broker had ordered: so many messages. */
static int ordered;

static int its_end = -1;

int orders_take_one(void)
{
    if (its_end >= 0 && send(its_end, "x", 1, MSG_NOSIGNAL) >= 0)
        note("more can come");
    note("order");
    return ordered-- > 0;
}

int config_for_broker(spawn_writer *w, int *fds, unsigned *ret_count)
{
    (void)w;
    (void)fds;
    *ret_count = 0;
    return -EBADMSG;
}

static unsigned noted, used_up, filled; /* so often */
static bool filled_with_link;           /* the last time */

void programs_note_broker(void)
{
    noted++;
}

void reserve_use(void)
{
    used_up++;
}

void reserve_fill(void)
{
    filled++;
    filled_with_link = spawner.link >= 0;
}

/* Its own clock. */
static int64_t clock_ms = 1000000;
#define spawn_mono_ms() clock_ms

static int the_fork; /* 0: a real one, else what it returns */

static pid_t make_process(void)
{
    if (the_fork)
        errno = EAGAIN;
    return the_fork ? the_fork : fork();
}
#define fork() make_process()

static bool on_its_way_out;

static bool is_exiting(pid_t pid)
{
    note("look at %d", (int)pid);
    return on_its_way_out;
}
#define spawn_os_exiting(pid) is_exiting(pid)

#include "spawner/table.c"
#include "spawner/template_note.c"
#include "spawner/tell.c"
#include "spawner/broker.c"
#include "t/unit/spawner_internal.h"
#undef fork

static int start(void **state)
{
    (void)state;
    no_state();
    told_to_end = httpd_has_gone = false;
    end = 1;
    fifo_head = fifo_tail = used = 0;
    spawner.job_as.groups_count = spawner.broker_as.groups_count = -1;
    spawner.fds[SPAWN_FD_BROKER_BIN] =
        open("/proc/self/exe", O_PATH | O_CLOEXEC);
    (void)strcpy(spawner.socket_path, "/its/socket");
    spawner.notify = -1;
    the_fork = 4242;
    ordered = 0;
    read_log();
    return table_init();
}

static int stop(void **state)
{
    (void)state;
    spawn_close_fds(&its_end, 1);
    spawn_close_fds(&spawner.link, 1);
    spawn_close_fds(&spawner.fds[SPAWN_FD_BROKER_BIN], 1);
    return 0;
}

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

/* ---- when it dies ---- */

/* One lives, and is so old. */
static void have_broker(int64_t age)
{
    int ends[2];

    make_pair(ends);
    spawn_close_fds(&its_end, 1);
    its_end = ends[1];
    spawn_close_fds(&spawner.link, 1);
    spawner.link = ends[0];
    spawner.broker_pid = 77;
    spawner.broker_since = clock_ms - age;
    spawner.broker_ready = true;
    spawner.broker_start_at = 0;
    called[0] = '\0';
}

static void expect_started(void)
{
    assert_int_equal(spawner.broker_pid, 4242);
    assert_true(spawner.link >= 0);
    assert_int_equal(spawner.broker_start_at, 0);
}

static void expect_planned(int64_t delay)
{
    assert_int_equal(spawner.broker_start_at, clock_ms + delay);
    assert_int_equal(spawner.broker_pid, 0);
    assert_int_equal(spawner.link, -1);
}

static void who_dies_young_has_its_successor_later(void **state)
{
    static const int delays[] = {0,    100,  200,   400,   800,  1600,
                                 3200, 6400, 10000, 10000, 10000};
    unsigned i;

    (void)state;
    for (i = 0; i < 11; i++) {
        have_broker(4999);
        broker_died(0);
        assert_int_equal(spawner.broker_deaths, i + 1);
        if (delays[i] == 0)
            expect_started();
        else
            expect_planned(delays[i]);
    }
    spawner.broker_deaths = 1000;
    have_broker(0);
    broker_died(0);
    expect_planned(10000);
    have_broker(5000);
    broker_died(0);
    expect_started();
    assert_int_equal(spawner.broker_deaths, 0);
    have_broker(0);
    broker_died(0);
    expect_started();
}

/* Which build runs is asked later, when another may be installed. */
static void what_is_executed_is_noted(void **state)
{
    (void)state;
    noted = 0;
    broker_start();
    assert_int_equal(noted, 1);
}

/* The descriptors of its start are kept for the next one as soon as they are
 * free: those of its link, and those of its death. */
static void descriptors_are_kept_for_the_next_start(void **state)
{
    (void)state;
    used_up = filled = 0;
    broker_start();
    assert_int_equal(used_up, 1);
    assert_int_equal(filled, 1);
    spawner.broker_deaths = 1;
    have_broker(0);
    filled = 0;
    broker_died(0);
    expect_planned(100);
    assert_int_equal(filled, 1);
    assert_false(filled_with_link);
}

static void how_it_died_is_told(void **state)
{
    (void)state;
    have_broker(9000);
    broker_died(9);
    expect_logged("MS0306: the broker was killed by signal 9; another starts "
                  "in 0 ms, running jobs go on");
    have_broker(9000);
    broker_died(3 << 8);
    expect_logged("MS0306: the broker ended with code 3; another");
    have_broker(9000);
    broker_died(END_HANGS);
    expect_logged("MS0306: the broker hangs in its end, in a handle that does "
                  "not close; another");
    expect_called("order; watch link in; "); /* and httpd is told nothing */
}

/* What it had ordered before counts, to the last. */
static void its_last_orders_are_taken(void **state)
{
    (void)state;
    have_broker(9000);
    ordered = 3;
    tell.quit = tell.places = true;
    cursor = 8;
    held_cursor = (held *)(uintptr_t)&ordered;
    spawner.broker_ending_at = 5;
    broker_died(0);
    expect_called("order; order; order; order; watch link in; ");
    expect_started();
    assert_int_equal(spawner.broker_ending_at, 0);
    expect_closed(its_end);
    /* and the next one is told all anew */
    assert_true(tell.configure && tell.sync && tell.table_end);
    assert_false(tell.quit || tell.places || tell.held || tell.go
                 || tell.linger);
    assert_int_equal(cursor, 1);
    assert_null(held_cursor);
    assert_false(spawner.broker_ready);
}

static void its_successor_is_told_what_holds(void **state)
{
    (void)state;
    spawner.gone_on = true;
    broker_start();
    assert_true(tell.go && !tell.linger);
    spawner.lingering = true;
    broker_start();
    assert_true(!tell.go && tell.linger);
    spawner.gone_on = false;
    broker_start();
    assert_true(!tell.go && tell.linger);
    spawner.lingering = false;
    broker_start();
    assert_true(!tell.go && !tell.linger);
}

static void httpd_is_told_of_one_that_was_never_ready(void **state)
{
    (void)state;
    have_broker(9000);
    spawner.broker_ready = false;
    broker_died(0);
    expect_called("order; not ready 'the broker ended before it was ready; the "
                  "lines above say why'; watch link in; ");
    have_broker(9000);
    broker_died(0);
    expect_called("order; watch link in; ");
    /* adopted just when it said bye: its successor will be ready */
    have_broker(9000);
    spawner.broker_ready = false;
    spawner.broker_said_bye = true;
    broker_died(0);
    expect_called("order; watch link in; ");
    assert_false(spawner.broker_said_bye);
    /* one that could not be started has no link to read orders from */
    have_broker(9000);
    spawn_close_fds(&spawner.link, 1);
    broker_died(0);
    expect_called("watch link in; ");
}

static void another_release_takes_its_place(void **state)
{
    (void)state;
    have_broker(9000);
    spawner.upgrading = true;
    broker_died(0);
    expect_called("order; upgrade_exec; watch link in; ");
    assert_false(spawner.upgrading);
    expect_started(); /* the old self goes on */
}

/* ---- the end ---- */

static bool its_death_ends_all(int64_t age)
{
    have_broker(age);
    end_code = -1;
    return ENDS(broker_died(0));
}

static void its_good_bye_ends_a_lingering_pair(void **state)
{
    int posts[2];

    (void)state;
    spawner.broker_said_bye = true;
    assert_false(its_death_ends_all(9000)); /* it does not linger */
    spawner.lingering = true;
    spawner.gone_on = true;
    assert_false(its_death_ends_all(9000)); /* it has not said bye */
    spawner.broker_said_bye = true;
    assert_true(its_death_ends_all(9000));
    assert_int_equal(end_code, 0);
    assert_true(spawner.ending);

    spawner.ending = false; /* nothing is there, nothing can come */
    make_pair(posts);
    spawner.fds[SPAWN_FD_POST_RX] = posts[0];
    spawner.broker_said_bye = true;
    assert_true(its_death_ends_all(9000));
    assert_int_equal(end_code, 0);
    assert_int_equal(send(posts[1], "x", 1, MSG_NOSIGNAL), -1);
    assert_int_equal(errno, EPIPE);
    spawn_close_fds(posts, 2);

    make_pair(posts); /* something is: another broker stores it */
    spawner.fds[SPAWN_FD_POST_RX] = posts[0];
    assert_int_equal(send(posts[1], "x", 1, MSG_NOSIGNAL), 1);
    spawner.broker_said_bye = true;
    assert_false(its_death_ends_all(9000));
    expect_called("order; control_leave; watch link in; ");
    expect_started();
    assert_int_equal(send(posts[1], "x", 1, MSG_NOSIGNAL), -1);
    assert_false(log_says("MS0306: the broker ended with code 0; another "
                          "starts in 0 ms, running jobs go on")
                 && spawner.broker_deaths > 0);
    spawn_close_fds(posts, 2);

    posts[0] = spawn_os_memfd("posts"); /* it cannot be asked */
    spawner.fds[SPAWN_FD_POST_RX] = posts[0];
    spawner.broker_said_bye = true;
    assert_true(its_death_ends_all(9000));
    (void)close(posts[0]);
}

/* By systemd; its jobs run on. */
static void when_told_to_end_it_leaves_no_posts(void **state)
{
    int posts[2];

    (void)state;
    told_to_end = true;
    make_pair(posts);
    spawner.fds[SPAWN_FD_POST_RX] = posts[0];
    assert_int_equal(send(posts[1], "x", 1, MSG_NOSIGNAL), 1);
    assert_true(its_death_ends_all(9000)); /* httpd has the socket, too */
    assert_int_equal(end_code, 0);
    assert_int_equal(send(posts[1], "x", 1, MSG_NOSIGNAL), 1);

    spawner.lingering = true;
    assert_false(its_death_ends_all(9000));
    expect_called("order; watch link in; ");
    expect_started();
    assert_true(tell.linger && tell.quit);
    assert_int_equal(send(posts[1], "x", 1, MSG_NOSIGNAL), -1);
    assert_true(its_death_ends_all(9000)); /* that one has them, or cannot */
    spawn_close_fds(posts, 2);

    spawner.ending = false; /* one that fails, and would again */
    make_pair(posts);
    spawner.fds[SPAWN_FD_POST_RX] = posts[0];
    assert_int_equal(send(posts[1], "x", 1, MSG_NOSIGNAL), 1);
    have_broker(9000);
    assert_true(ENDS(broker_died(9)));
    spawn_close_fds(posts, 2);
}

/* httpd has gone in the same moment, which no event has told yet. */
static void when_told_to_end_as_httpd_ends_it_leaves_no_posts(void **state)
{
    int posts[2];

    (void)state;
    told_to_end = httpd_has_gone = true;
    make_pair(posts);
    spawner.fds[SPAWN_FD_POST_RX] = posts[0];
    assert_int_equal(send(posts[1], "x", 1, MSG_NOSIGNAL), 1);
    assert_false(its_death_ends_all(9000));
    expect_called("order; watch link in; ");
    expect_started();
    assert_true(tell.quit);
    assert_true(its_death_ends_all(9000));
    spawn_close_fds(posts, 2);
}

static void told_to_end_its_broker_is_told(void **state)
{
    (void)state;
    have_broker(9000);
    assert_false(ENDS(broker_stop()));
    assert_true(tell.quit);
    expect_called("");
}

/* The last one has died, and another was to start later. */
static void told_to_end_without_a_broker_it_has_the_posts_stored(void **state)
{
    (void)state;
    told_to_end = true;
    assert_true(ENDS(broker_stop())); /* never configured */
    assert_int_equal(end_code, 0);
    spawner.config = malloc(1);
    spawner.broker_start_at = clock_ms + 100;
    assert_true(ENDS(broker_stop())); /* httpd has them */
    assert_int_equal(end_code, 0);
    expect_called("");
    httpd_has_gone = true;
    assert_false(ENDS(broker_stop()));
    expect_called("watch link in; ");
    expect_started();
    assert_true(tell.quit);
    free(spawner.config);
    spawner.config = NULL;
}

static void without_a_broker_and_jobs_it_gives_up(void **state)
{
    spawn_id id = {{1}};
    job *j;

    (void)state;
    spawner.lingering = true; /* httpd never said GO */
    assert_true(its_death_ends_all(9000));
    assert_int_equal(end_code, 1);
    expect_called("order; ");
    spawner.lingering = false;
    assert_false(its_death_ends_all(9000));
    spawner.lingering = spawner.gone_on = true;
    assert_false(its_death_ends_all(9000));
    spawner.broker_deaths = 8;
    assert_false(its_death_ends_all(0));
    assert_true(its_death_ends_all(0)); /* the tenth */
    assert_int_equal(end_code, 1);
    /* while a job runs it tries on */
    j = table_add(&id);
    assert_false(its_death_ends_all(0));
    spawner.gone_on = false;
    assert_false(its_death_ends_all(0));
    j->state = JOB_ENDED;
    assert_true(its_death_ends_all(0));
    spawner.lingering = false;
    assert_false(its_death_ends_all(0));
}

/* ---- one that does not end ---- */

static void one_that_hangs_in_its_end_is_counted_as_dead(void **state)
{
    const spawn_id id = {{1}};
    int fd = spawn_os_memfd("handle");

    (void)state;
    have_broker(9000);
    on_its_way_out = true;
    assert_int_equal(broker_timers(clock_ms), -1); /* it has no handles */
    held_add(&id, 0, &fd, 1);
    spawner.broker_pid = 0;
    assert_int_equal(broker_timers(clock_ms), -1);
    spawner.broker_pid = 77;
    on_its_way_out = false;
    assert_int_equal(broker_timers(clock_ms), 1000);
    expect_called("look at 77; ");
    assert_int_equal(broker_timers(clock_ms + 1), 999);
    assert_int_equal(broker_timers(clock_ms + 999), 1);
    expect_called(""); /* not so often */
    on_its_way_out = true;
    assert_int_equal(broker_timers(clock_ms + 1000), 1000);
    assert_int_equal(spawner.broker_ending_at, clock_ms + 1000);
    on_its_way_out = false; /* another one, by now */
    assert_int_equal(broker_timers(clock_ms + 2000), 1000);
    assert_int_equal(spawner.broker_ending_at, 0);
    on_its_way_out = true;
    assert_int_equal(broker_timers(clock_ms + 3000), 1000);
    assert_int_equal(broker_timers(clock_ms + 4500), 1000);
    assert_int_equal(spawner.broker_ending_at, clock_ms + 3000);
    expect_called("look at 77; look at 77; look at 77; look at 77; ");
    assert_int_equal(broker_timers(clock_ms + 5000 + 499), 1);
    assert_int_equal(broker_timers(clock_ms + 5500), 1000);
    expect_called("look at 77; order; watch link in; ");
    expect_started();
    expect_logged("hangs in its end");
    /* exactly as long */
    spawner.broker_ready = true;
    spawner.broker_looked_at = 0;
    spawner.broker_ending_at = clock_ms + 6000;
    called[0] = '\0';
    assert_int_equal(broker_timers(clock_ms + 7999), 1000);
    expect_called("look at 4242; ");
    spawner.broker_looked_at = 0;
    assert_int_equal(broker_timers(clock_ms + 8000), 1000);
    expect_called("look at 4242; order; watch link in; ");
    held_remove(&id);
}

/* ---- what is said to it later ---- */

static void a_configuration_starts_one_unless_one_is_planned(void **state)
{
    (void)state;
    tell.linger = true;
    broker_configure();
    expect_started();
    expect_called("watch link in; ");
    tell.configure = false;
    tell.linger = true;
    broker_configure(); /* this one is told */
    assert_true(tell.configure && !tell.linger);
    expect_called("");
    spawn_close_fds(&spawner.link, 1);
    spawner.broker_start_at = clock_ms + 5;
    tell.linger = true;
    tell.configure = false;
    broker_configure();
    assert_false(tell.linger || tell.configure);
    expect_called("");
    assert_int_equal(spawner.link, -1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        T(it_gets_its_link_and_little_else),
        T(what_it_cannot_be_started_with_is_told),
        T(what_cannot_be_forked_is_tried_again),
        T(who_dies_young_has_its_successor_later),
        T(what_is_executed_is_noted),
        T(descriptors_are_kept_for_the_next_start),
        T(how_it_died_is_told),
        T(its_last_orders_are_taken),
        T(its_successor_is_told_what_holds),
        T(httpd_is_told_of_one_that_was_never_ready),
        T(another_release_takes_its_place),
        T(its_good_bye_ends_a_lingering_pair),
        T(when_told_to_end_it_leaves_no_posts),
        T(when_told_to_end_as_httpd_ends_it_leaves_no_posts),
        T(told_to_end_its_broker_is_told),
        T(told_to_end_without_a_broker_it_has_the_posts_stored),
        T(without_a_broker_and_jobs_it_gives_up),
        T(one_that_hangs_in_its_end_is_counted_as_dead),
        T(a_configuration_starts_one_unless_one_is_planned),
    };

    if (argc > 0 && strcmp(argv[0], "mod_spawn broker") == 0)
        return be_the_started(argc, argv);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("spawner_broker_life", tests, NULL,
                                       NULL);
}
