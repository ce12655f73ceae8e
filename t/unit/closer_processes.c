/* SPDX-License-Identifier: Apache-2.0 */
/* The closer's processes: when one is started, one more, and none; and what
 * they are to others. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "t/unit/closer_play.h"

#define CLOSERS 8
#define MINUTE  60000

/* ---- one is started, and leaves ---- */

static int nothing_yet(void)
{
    unsigned before;

    begin();
    before = open_count();
    IS(tick() == -1);
    spawn_closer_give(-1, OWNER);
    spawn_closer_end();
    IS(spawn_closer_waiting(OWNER) == 0);
    IS(tick() == -1);
    IS(open_count() == before && starts == 0);
    return 0;
}

static int one_for_all(void)
{
    int other, fd, i;

    begin();
    for (i = 0; i < 5; i++) {
        fd = an_end(&other);
        spawn_closer_give(fd, OWNER);
        UNTIL(!is_open(fd)); /* without a tick */
        UNTIL(spawn_closer_waiting(OWNER) == 0);
        UNTIL(tick() > LATER);
        IS(tick() <= 10 * LATER);
        IS(is_open(other) && starts == 1);
    }
    UNTIL(play->waits > 0);
    IS(play->asked_for > LATER && play->asked_for <= 10 * LATER);
    IS(play->waits <= 10); /* it sleeps */
    return 0;
}

static int leaves(void)
{
    int other, fd, i;

    begin();
    play->patience = 1;
    for (i = 0; i < 2; i++) {
        fd = an_end(&other);
        spawn_closer_give(fd, OWNER);
        UNTIL(tick() == -1);
        IS(!is_open(fd));
        IS(kill(started[starts - 1], 0) < 0 && errno == ESRCH);
    }
    IS(starts == 2);
    play->kills = 0;
    spawn_closer_end(); /* the numbers are not theirs any more */
    IS(play->kills == 0 && play->blind == 0);
    return 0;
}

static void one_is_started_at_once_stays_and_leaves(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(nothing_yet);
    HOLDS_IN_A_CHILD(one_for_all);
    HOLDS_IN_A_CHILD(leaves);
}

/* ---- one more ---- */

static int one_is_stuck(void)
{
    int64_t since;
    int other, peer, fd;

    begin();
    since = play->clock;
    spawn_closer_give(lingering(&peer), OWNER);
    UNTIL(tick() == LATER); /* it is closing, and nothing waits */
    fd = an_end(&other);
    spawn_closer_give(fd, OWNER);
    IS(tick_at(since + 5) == STUCK - 5);
    IS(tick_at(since + STUCK - 1) == 1);
    IS(starts == 1 && is_open(fd));
    IS(tick_at(since + STUCK) == STUCK);
    IS(starts == 2);
    UNTIL(!is_open(fd));
    UNTIL(tick() == LATER);
    IS(tick_at(since + 1999) == LATER);
    IS(log_has("MS0341") == 0);
    IS(tick_at(since + 2000) == LATER);
    IS(log_has("MS0341: 1 descriptors") == 1);
    IS(log_has(", 0 wait behind") == 1);
    IS(tick_at(since + 2000 + MINUTE - 1) == LATER);
    IS(log_has("MS0341") == 1);
    IS(tick_at(since + 2000 + MINUTE) == LATER);
    IS(log_has("MS0341") == 2);
    IS(tick_at(since + 2000 + MINUTE + 1) == LATER);
    IS(log_has("MS0341") == 2);
    IS(spawn_closer_waiting(OWNER) == 1);
    (void)close(peer);
    UNTIL(tick() > LATER);
    IS(spawn_closer_waiting(OWNER) == 0 && starts == 2);
    return 0;
}

static int all_are_stuck(void)
{
    int peers[CLOSERS + 4], i;

    begin();
    for (i = 0; i < CLOSERS + 4; i++)
        spawn_closer_give(lingering(&peers[i]), OWNER);
    for (i = 1; i <= CLOSERS; i++) {
        UNTIL(starts == (unsigned)i || tick_at(play->clock + STUCK) == LATER);
        IS(starts == (unsigned)i);
    }
    UNTIL(tick_at(play->clock + STUCK) == LATER);
    UNTIL(tick_at(play->clock + 2000) == LATER && log_has("MS0341: 8 "));
    IS(log_has(", 4 wait behind") == 1);
    for (i = 0; i < 5; i++)
        IS(tick_at(play->clock + MINUTE) == LATER);
    IS(starts == CLOSERS && spawn_closer_waiting(OWNER) == CLOSERS + 4);
    for (i = 0; i < CLOSERS + 4; i++)
        (void)close(peers[i]);
    UNTIL(tick() > LATER);
    IS(starts == CLOSERS && spawn_closer_waiting(OWNER) == 0);
    return 0;
}

/* One that only had no CPU yet is no reason, also beside a stuck one. */
static int one_is_late(void)
{
    siginfo_t info;
    int64_t since;
    int other, peer, fd;

    begin();
    since = play->clock;
    spawn_closer_give(lingering(&peer), OWNER);
    UNTIL(tick() == LATER);
    play->clock += STUCK;
    spawn_closer_give(an_end(&other), OWNER);
    UNTIL(tick() == LATER);
    IS(starts == 2);
    (void)kill(started[1], SIGSTOP);
    IS(waitid(P_PID, (id_t)started[1], &info, WSTOPPED | __WALL) == 0);
    fd = an_end(&other);
    spawn_closer_give(fd, OWNER);
    IS(tick_at(since + STUCK) == STUCK);
    IS(tick_at(since + STUCK + 1) == STUCK);
    IS(tick_at(since + LATER) == STUCK);
    IS(starts == 2 && is_open(fd));
    (void)kill(started[1], SIGCONT);
    UNTIL(tick() == LATER);
    IS(starts == 2 && !is_open(fd));
    (void)close(peer);
    UNTIL(tick() > LATER);
    return 0;
}

/* As soon as the older one of two is stuck. */
static int two_are_closing(void)
{
    siginfo_t info;
    int64_t since;
    int other, peers[2], fd;

    begin();
    spawn_closer_give(lingering(&peers[0]), OWNER);
    UNTIL(tick() == LATER);
    play->clock += STUCK;
    spawn_closer_give(an_end(&other), OWNER);
    UNTIL(tick() == LATER);
    (void)close(peers[0]);
    UNTIL(tick() > LATER);
    IS(starts == 2);
    (void)kill(started[0], SIGSTOP);
    IS(waitid(P_PID, (id_t)started[0], &info, WSTOPPED | __WALL) == 0);
    since = play->clock;
    spawn_closer_give(lingering(&peers[0]), OWNER);
    UNTIL(tick() == LATER);
    (void)kill(started[0], SIGCONT);
    play->clock += 8;
    spawn_closer_give(lingering(&peers[1]), OWNER);
    UNTIL(tick() == LATER);
    fd = an_end(&other);
    spawn_closer_give(fd, OWNER);
    IS(tick_at(since + 10) == STUCK - 10);
    IS(starts == 2 && is_open(fd));
    (void)close(peers[0]);
    (void)close(peers[1]);
    UNTIL(tick() > LATER);
    IS(!is_open(fd));
    return 0;
}

static void one_more_is_started_beside_a_stuck_one(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(one_is_stuck);
    HOLDS_IN_A_CHILD(all_are_stuck);
    HOLDS_IN_A_CHILD(one_is_late);
    HOLDS_IN_A_CHILD(two_are_closing);
}

/* ---- to others ---- */

static char *argv0;

static size_t command_line(pid_t pid, char *text, size_t room)
{
    char path[64];
    ssize_t n;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
    memset(text, 0, room);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = read(fd, text, room - 1);
    (void)close(fd);
    return n < 0 ? 0 : (size_t)n;
}

static int has_its_name(void)
{
    static char mine[4096], now[4096], its[4096];
    size_t length = strlen("mod_spawn closer");
    int other;

    begin();
    IS(command_line(me, mine, sizeof(mine)) > 0);
    spawn_closer_name(argv0);
    spawn_closer_give(an_end(&other), OWNER);
    UNTIL(tick() > LATER);
    IS(command_line(started[0], its, sizeof(its)) > 0);
    IS(command_line(me, now, sizeof(now)) > 0);
    IS(strcmp(mine, now) == 0);
    if (length > strlen(mine))
        length = strlen(mine);
    IS(strncmp(its, "mod_spawn closer", length) == 0);
    IS(strlen(its) == length);
    return 0;
}

static int signals_do_not_reach_it(void)
{
    int other, fd, signo;

    begin();
    spawn_closer_give(an_end(&other), OWNER);
    UNTIL(tick() > LATER);
    for (signo = 1; signo <= SIGRTMAX; signo++) {
        if (signo != SIGKILL && signo != SIGSTOP)
            (void)kill(started[0], signo);
    }
    fd = an_end(&other);
    spawn_closer_give(fd, OWNER);
    UNTIL(tick() > LATER);
    IS(starts == 1 && !is_open(fd));
    return 0;
}

/* One that works, one that waits for work. */
static pid_t parent_of_two(pid_t *ret)
{
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) < 0)
        _exit(96);
    pid = fork();
    if (pid == 0) {
        int other, fd = an_end(&other);

        me = getpid();
        spawn_closer_give(lingering(&other), OWNER);
        while (tick() != LATER)
            a_moment();
        play->clock += STUCK;
        spawn_closer_give(fd, OWNER);
        while (tick() != LATER)
            a_moment();
        (void)!write(ends[1], started, 2 * sizeof(pid_t));
        for (;;)
            (void)pause();
    }
    if (read(ends[0], ret, 2 * sizeof(pid_t)) != 2 * sizeof(pid_t))
        _exit(95);
    return pid;
}

static int ends_with_its_parent(void)
{
    pid_t pid, two[2];
    int i;

    begin();
    IS(spawn_os_subreaper() == 0);
    pid = parent_of_two(two);
    for (i = 0; i < 2; i++)
        IS(kill(two[i], 0) == 0);
    (void)kill(pid, SIGKILL);
    IS(waitpid(pid, NULL, 0) == pid);
    for (i = 0; i < 2; i++)
        UNTIL(waitpid(two[i], NULL, __WALL | WNOHANG) == two[i]);
    return 0;
}

static int parent_had_gone(void)
{
    int other, fd;

    begin();
    fd = an_end(&other);
    play->orphan = true;
    spawn_closer_give(fd, OWNER);
    UNTIL(starts >= 3 || (tick(), !is_open(fd)));
    IS(is_open(fd) && spawn_closer_waiting(OWNER) == 1);
    play->orphan = false;
    UNTIL(tick() > LATER);
    IS(!is_open(fd));
    return 0;
}

/* The exec that came then has failed: what nobody closed is closed now. */
static int what_was_open_is_given_again(void)
{
    int other, fd;

    begin();
    play->orphan = true; /* none of them gets to it */
    fd = an_end(&other);
    spawn_closer_give(fd, OWNER);
    UNTIL(starts >= 1);
    spawn_closer_end();
    play->orphan = false;
    IS(is_open(fd) && spawn_closer_waiting(OWNER) == 0);
    spawn_closer_again();
    UNTIL((tick(), !is_open(fd)));
    IS(spawn_closer_waiting(OWNER) == 0);
    spawn_closer_again(); /* once */
    IS(spawn_closer_waiting(OWNER) == 0);
    return 0;
}

/* The process that gives has other children, which somebody else waits for. */
static int others_are_left_alone(void)
{
    siginfo_t info;
    pid_t pid;
    int other;

    begin();
    pid = fork();
    if (pid == 0)
        _exit(7);
    IS(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
    spawn_closer_give(an_end(&other), OWNER);
    UNTIL(tick() > LATER);
    spawn_closer_end();
    IS(tick() == -1);
    IS(waitpid(pid, NULL, WNOHANG) == pid);
    return 0;
}

static void what_it_is_to_others(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(has_its_name);
    HOLDS_IN_A_CHILD(signals_do_not_reach_it);
    HOLDS_IN_A_CHILD(ends_with_its_parent);
    HOLDS_IN_A_CHILD(parent_had_gone);
    HOLDS_IN_A_CHILD(others_are_left_alone);
    HOLDS_IN_A_CHILD(what_was_open_is_given_again);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_is_started_at_once_stays_and_leaves),
        cmocka_unit_test(one_more_is_started_beside_a_stuck_one),
        cmocka_unit_test(what_it_is_to_others)};

    (void)argc;
    argv0 = argv[0];
    if (play_init() < 0)
        return 99;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests_name("closer_processes", tests, NULL, NULL);
}
