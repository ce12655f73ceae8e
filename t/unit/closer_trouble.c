/* SPDX-License-Identifier: Apache-2.0 */
/* The closer that has no process, no room, no time before an exec, and sockets
 * that cannot be emptied: all is counted, what stays open is told, and nothing
 * else is closed. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "t/unit/closer_play.h"

/* ---- when there can be none ---- */

static int no_process(void)
{
    int other, fd, i;

    begin();
    fd = an_end(&other);
    play->no_process = true;
    spawn_closer_give(fd, OWNER);
    for (i = 0; i < 5; i++)
        IS(tick() == LATER);
    IS(log_has("[spawn:error]") == 1);
    IS(log_has("MS0340: no process can be started that closes: Resource "
               "temporarily unavailable; ")
       == 1);
    IS(is_open(fd) && spawn_closer_waiting(OWNER) == 1);
    play->no_process = false;
    IS(tick() == STUCK);
    UNTIL(!is_open(fd));
    UNTIL(tick() > LATER);
    IS(log_has("MS0340") == 1);
    return 0;
}

static int no_descriptor(void)
{
    struct rlimit limit, less;
    unsigned before;
    int other, fd;

    begin();
    fd = an_end(&other);
    before = open_count();
    IS(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    less = limit;
    less.rlim_cur = (rlim_t)other + 1;
    IS(setrlimit(RLIMIT_NOFILE, &less) == 0);
    spawn_closer_give(fd, OWNER);
    IS(log_has("MS0340: nothing can be closed without blocking: Too many open "
               "files")
       == 1);
    IS(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    IS(is_open(fd) && open_count() == before);
    IS(spawn_closer_waiting(OWNER) == 0 && tick() == -1 && starts == 0);
    spawn_closer_give(fd, OWNER);
    UNTIL(tick() > LATER);
    IS(!is_open(fd));
    return 0;
}

/* It was there before. */
static int no_descriptor_any_more(void)
{
    struct rlimit limit, less;
    int other, fd;

    begin();
    spawn_closer_prepare();
    fd = an_end(&other);
    IS(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    less = limit;
    less.rlim_cur = 3;
    IS(setrlimit(RLIMIT_NOFILE, &less) == 0);
    spawn_closer_give(fd, OWNER);
    UNTIL(tick() > LATER);
    IS(!is_open(fd));
    IS(log_has("MS0340") == 0);
    IS(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    return 0;
}

static int no_memory(void)
{
    unsigned before;
    int other, fd, next;

    begin();
    fd = an_end(&other);
    next = dup(fd);
    (void)close(next);
    before = open_count();
    no_more_memory_than(0);
    spawn_closer_give(fd, OWNER);
    IS(log_has("MS0340: nothing can be closed without blocking: Cannot "
               "allocate memory")
       == 1);
    IS(is_open(fd) && open_count() == before && dup(fd) == next);
    IS(spawn_closer_waiting(OWNER) == 0 && tick() == -1);
    return 0;
}

/* A pipe of usual size where no bigger one can be had. */
static int no_room(void)
{
    int other, fd, i;

    begin();
    fd = an_end(&other);
    play->no_process = true;
    deny(SYS_fcntl, EPERM);
    for (i = 0; i < 8192; i++)
        spawn_closer_give(1 << 20, OWNER + i % 2);
    IS(log_has("too much") == 0);
    IS(spawn_closer_waiting(OWNER) == 4096);
    IS(spawn_closer_waiting(OWNER + 1) == 4096);
    spawn_closer_give(fd, OWNER);
    spawn_closer_give(fd, OWNER);
    IS(log_has("MS0340: too much waits to be closed: Resource temporarily "
               "unavailable; ")
       == 1);
    IS(spawn_closer_waiting(OWNER) == 4096);
    play->no_process = false;
    UNTIL(tick() > LATER);
    IS(spawn_closer_waiting(OWNER) == 0);
    IS(spawn_closer_waiting(OWNER + 1) == 0);
    return 0;
}

static int much_room(void)
{
    int i;

    begin();
    play->no_process = true;
    for (i = 0; i < 100000; i++)
        spawn_closer_give(1 << 20, OWNER);
    IS(log_has("too much") == 0);
    IS(spawn_closer_waiting(OWNER) == 100000);
    return 0;
}

static void what_cannot_be_closed_is_told_and_stays(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(no_process);
    HOLDS_IN_A_CHILD(no_descriptor);
    HOLDS_IN_A_CHILD(no_descriptor_any_more);
    HOLDS_IN_A_CHILD(no_memory);
    HOLDS_IN_A_CHILD(no_room);
    HOLDS_IN_A_CHILD(much_room);
}

/* ---- before exec ---- */

static int what_waits_stays_open(void)
{
    int fds[3], other, fd, i;

    begin();
    play->no_process = true;
    for (i = 0; i < 3; i++) {
        fds[i] = an_end(&other);
        spawn_closer_give(fds[i], OWNER);
    }
    spawn_closer_end();
    for (i = 0; i < 3; i++)
        IS(fcntl(fds[i], F_GETFD) == 0);
    IS(fcntl(other, F_GETFD) == FD_CLOEXEC);
    IS(spawn_closer_waiting(OWNER) == 0);
    play->no_process = false;
    IS(tick() == -1);
    fd = an_end(&other); /* the exec failed */
    spawn_closer_give(fd, OWNER);
    UNTIL(tick() > LATER);
    IS(!is_open(fd) && is_open(fds[0]));
    return 0;
}

static int processes_end(void)
{
    unsigned before;
    int peer, other;

    begin();
    spawn_closer_give(lingering(&peer), OWNER);
    UNTIL(tick() == LATER);
    play->clock += STUCK;
    spawn_closer_give(an_end(&other), OWNER);
    UNTIL(tick() == LATER);
    IS(starts == 2);
    before = open_count();
    play->slow_death = true;
    spawn_closer_end();
    IS(waitpid(-1, NULL, __WALL | WNOHANG) < 0 && errno == ECHILD);
    IS(spawn_closer_waiting(OWNER) == 0 && tick() == -1);
    IS(open_count() == before && play->blind == 0 && !play->long_wait);
    return 0;
}

static void before_exec_they_end_and_what_waits_stays_open(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(what_waits_stays_open);
    HOLDS_IN_A_CHILD(processes_end);
}

/* ---- what is in a socket ---- */

static void send_fds(int sock, const int *fds, unsigned count)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int) * 3)];
    } c;
    char byte = 0;
    struct iovec part = {&byte, 1};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = c.room,
                       .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&m);

    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int) * count);
    memcpy(CMSG_DATA(head), fds, sizeof(int) * count);
    if (sendmsg(sock, &m, 0) != 1)
        _exit(96);
}

static void a_pair(int *ret)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) < 0)
        _exit(96);
}

/* So many are given away, and closed when there is who closes. */
#define GIVES(sock, count, before)                                             \
    do {                                                                       \
        play->no_process = true;                                               \
        spawn_closer_give_socket(sock, OWNER);                                 \
        IS(spawn_closer_waiting(OWNER) == (count));                            \
        play->no_process = false;                                              \
        UNTIL(tick() == -1);                                                   \
        IS(!is_open(sock) && open_count() == (before));                        \
        IS(spawn_closer_waiting(OWNER) == 0);                                  \
    } while (0)

static int is_emptied(void)
{
    int pair[2], fds[3] = {0, 1, 2}, other, i;
    unsigned before;

    begin();
    play->patience = 1;
    spawn_closer_give(an_end(&other), OWNER); /* opens what stays open */
    UNTIL(tick() == -1);
    before = open_count();

    a_pair(pair);
    send_fds(pair[0], fds, 3);
    send_fds(pair[0], fds, 2);
    IS(send(pair[0], "none", 4, 0) == 4);
    send_fds(pair[0], fds, 1);
    GIVES(pair[1], 6, before + 1);
    (void)close(pair[0]);

    a_pair(pair); /* its other end has gone, and had not read all */
    IS(send(pair[1], "unread", 6, 0) == 6);
    send_fds(pair[0], fds, 3);
    (void)close(pair[0]);
    GIVES(pair[1], 3, before);

    a_pair(pair); /* there is too much in it */
    for (i = 0; i < 70; i++)
        send_fds(pair[0], fds, 1);
    play->no_process = true;
    spawn_closer_give_socket(pair[1], OWNER);
    IS(is_open(pair[1]));
    IS(spawn_closer_waiting(OWNER) == SPAWN_CLOSER_MANY + 1);
    play->no_process = false;
    UNTIL(tick() == -1);
    IS(!is_open(pair[1]) && open_count() == before + 1);
    (void)close(pair[0]);
    return 0;
}

/* It cannot be emptied: it is given away itself. */
static int is_none(void)
{
    unsigned before;
    int pair[2], other, pipe_end;

    begin();
    play->patience = 1;
    spawn_closer_give(an_end(&other), OWNER);
    UNTIL(tick() == -1);
    before = open_count();
    pipe_end = dup(other);
    GIVES(pipe_end, 1, before);
    spawn_closer_give_socket(-1, OWNER);
    IS(spawn_closer_waiting(OWNER) == 0);
    deny(SYS_setsockopt, EPERM);
    a_pair(pair);
    GIVES(pair[1], 1, before + 1);
    return 0;
}

static void a_socket_is_emptied_or_given_away_itself(void **state)
{
    (void)state;
    HOLDS_IN_A_CHILD(is_emptied);
    HOLDS_IN_A_CHILD(is_none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_closed_is_told_and_stays),
        cmocka_unit_test(before_exec_they_end_and_what_waits_stays_open),
        cmocka_unit_test(a_socket_is_emptied_or_given_away_itself)};

    if (play_init() < 0)
        return 99;
    cmocka_set_message_output(CM_OUTPUT_TAP);
    (void)alarm(60); /* nothing here takes that long */
    return cmocka_run_group_tests_name("closer_trouble", tests, NULL, NULL);
}
