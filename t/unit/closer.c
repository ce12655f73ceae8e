/* SPDX-License-Identifier: Apache-2.0 */
/* The closer: who gives never waits, a stuck one holds up no other, what is
 * queued in a socket is not closed here; boxes keep what nobody has open. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "t/unit/corner.h"
#include "common/spawn_box.h"
#include "common/spawn_closer.h"
#include "common/spawn_os.h"
#include "common/spawn_packet.h"

#define OWNER 4711
#ifndef DEADLINE_MS
#define DEADLINE_MS 60000
#endif
#define AT_ONCE_MS 30000 /* a connection that lingers takes a minute */

/* Its other end is in *ret_other, and never read. */
static int lingering(int *ret_other)
{
    const struct linger linger = {1, 60};
    static char zeros[65536];
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(a);
    int l = socket(AF_INET, SOCK_STREAM, 0);
    int c = socket(AF_INET, SOCK_STREAM, 0);
    const int little = 4096; /* takes less than is sent at once */

    assert_int_equal(
        setsockopt(l, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)), 0);
    assert_int_equal(bind(l, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(l, 1), 0);
    assert_int_equal(getsockname(l, (struct sockaddr *)&a, &length), 0);
    assert_int_equal(connect(c, (struct sockaddr *)&a, sizeof(a)), 0);
    *ret_other = accept(l, NULL, NULL);
    assert_true(*ret_other >= 0);
    assert_int_equal(
        setsockopt(c, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    (void)close(l);
    while (send(c, zeros, sizeof(zeros), MSG_DONTWAIT) > 0)
        continue;
    return c;
}

/* Turns of a loop, until no more than so many wait. */
static void until_waiting(unsigned count)
{
    int64_t deadline = spawn_mono_ms() + DEADLINE_MS;

    while (spawn_closer_waiting(OWNER) > count) {
        int wait = spawn_closer_tick(spawn_mono_ms());

        assert_true(spawn_mono_ms() < deadline);
        (void)poll(NULL, 0, wait < 0 || wait > 20 ? 20 : wait);
    }
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void what_is_given_is_closed(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    spawn_closer_give(ends[0], OWNER);
    until_waiting(0);
    assert_false(is_open(ends[0]));
    assert_true(is_open(ends[1]));
    spawn_closer_give(-1, OWNER);
    assert_int_equal(spawn_closer_waiting(OWNER), 0);
    (void)close(ends[1]);
}

/* It was the last of that file. */
static void was_the_last(int other)
{
    struct pollfd p = {.fd = other, .events = 0};

    assert_int_equal(poll(&p, 1, DEADLINE_MS), 1);
    assert_true(p.revents & POLLHUP);
    (void)close(other);
}

/* Though nobody reads what was written there. */
static void so_is_a_terminal(void **state)
{
    int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), fd;

    (void)state;
    assert_true(terminal >= 0);
    assert_int_equal(grantpt(terminal), 0);
    assert_int_equal(unlockpt(terminal), 0);
    fd = open(ptsname(terminal), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    while (write(fd, "output", 6) > 0)
        continue;
    spawn_closer_give(fd, OWNER);
    until_waiting(0);
    assert_false(is_open(fd));
    was_the_last(terminal);
}

static void so_is_a_unix_socket(void **state)
{
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX,
                                SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
                                ends),
                     0);
    while (write(ends[0], "output", 6) > 0)
        continue;
    spawn_closer_give(ends[0], OWNER);
    until_waiting(0);
    assert_false(is_open(ends[0]));
    was_the_last(ends[1]);
}

static void who_is_stuck_holds_up_nobody(void **state)
{
    int64_t since = spawn_mono_ms();
    int stuck[5], others[5], ends[2];
    unsigned i;

    (void)state;
    for (i = 0; i < 5; i++) {
        stuck[i] = lingering(&others[i]);
        spawn_closer_give(stuck[i], OWNER);
    }
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    spawn_closer_give(ends[0], OWNER);
    until_waiting(5);
    assert_true(spawn_mono_ms() - since < AT_ONCE_MS);
    assert_false(is_open(ends[0]));
    for (i = 0; i < 5; i++)
        (void)close(others[i]); /* resets them */
    until_waiting(0);
    (void)close(ends[1]);
}

/* More than there are closers: the rest waits, and is closed when it can be. */
static void all_may_be_stuck(void **state)
{
    int others[20], ends[2];
    unsigned i;

    (void)state;
    for (i = 0; i < 20; i++)
        spawn_closer_give(lingering(&others[i]), OWNER);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    spawn_closer_give(ends[0], OWNER);
    spawn_closer_give(ends[1], OWNER);
    until_waiting(22);
    assert_int_equal(spawn_closer_waiting(OWNER + 1), 0);
    for (i = 0; i < 20; i++)
        (void)close(others[i]);
    until_waiting(0);
    assert_false(is_open(ends[0]));
}

static void a_killed_closer_is_replaced(void **state)
{
    int others[1], ends[2];
    pid_t pid = 0, p;

    (void)state;
    spawn_closer_give(lingering(&others[0]), OWNER);
    until_waiting(1);
    for (p = getpid() + 1; p < getpid() + 4096 && !pid; p++) {
        siginfo_t info;

        if (waitid(P_PID, (id_t)p, &info, WEXITED | WNOHANG | WNOWAIT | __WALL)
            == 0) {
            (void)kill(p, SIGKILL);
            pid = p;
        }
    }
    assert_true(pid > 0);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    spawn_closer_give(ends[0], OWNER);
    spawn_closer_give(ends[1], OWNER);
    until_waiting(1);
    (void)close(others[0]);
    until_waiting(0);
    assert_false(is_open(ends[0]));
}

static void send_fd(int sock, int fd, size_t length)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } c;
    char byte = 0;
    struct iovec part = {&byte, length};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = c.room,
                       .msg_controllen = sizeof(c.room)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&m);

    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &fd, sizeof(fd));
    assert_int_equal(sendmsg(sock, &m, 0), (int)length);
}

/* Also behind packets that are empty, and in them. */
static void a_socket_is_emptied_before_it_is_closed(void **state)
{
    int64_t since = spawn_mono_ms();
    int ends[2], others[3], fd, i;

    (void)state;
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    for (i = 0; i < 3; i++) {
        assert_int_equal(send(ends[0], "", 0, 0), 0);
        fd = lingering(&others[i]);
        send_fd(ends[0], fd, i == 1 ? 0 : 1);
        (void)close(fd); /* not the last */
    }
    spawn_closer_give_socket(ends[1], OWNER);
    assert_true(spawn_mono_ms() - since < AT_ONCE_MS);
    assert_false(is_open(ends[1]));
    assert_int_equal(spawn_closer_waiting(OWNER), 3);
    for (i = 0; i < 3; i++)
        (void)close(others[i]);
    until_waiting(0);
    (void)close(ends[0]);
}

static void a_box_keeps_what_nobody_has_open(void **state)
{
    int ends[2], got[SPAWN_FDS_MAX], box, round;
    char byte = 'x';

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    box = spawn_box_make(&ends[1], 1);
    assert_true(box >= 0);
    (void)close(ends[1]);
    for (round = 0; round < 3; round++) {
        assert_int_equal(spawn_box_look(box, got, SPAWN_FDS_MAX), 1);
        assert_true(fcntl(got[0], F_GETFD) & FD_CLOEXEC);
        assert_int_equal(write(got[0], &byte, 1), 1);
        (void)close(got[0]);
        assert_int_equal(read(ends[0], &byte, 1), 1);
    }
    assert_int_equal(spawn_box_look(box, got, 0), -EMFILE);
    (void)close(box);
    assert_int_equal(read(ends[0], &byte, 1), 0); /* its end */
    (void)close(ends[0]);
    assert_int_equal(spawn_box_make(ends, 0), -EINVAL);
    assert_int_equal(spawn_box_make(ends, SPAWN_FDS_MAX + 1), -EINVAL);
}

/* As many as there may be, and each failure without a trace. */
static void a_box_takes_all_or_none(void **state)
{
    int fds[SPAWN_FDS_MAX], got[SPAWN_FDS_MAX], pair[2], box, i, next;
    unsigned before = open_count();
    const int on = 1;

    (void)state;
    for (i = 0; i < SPAWN_FDS_MAX; i++)
        fds[i] = 0;
    box = spawn_box_make(fds, SPAWN_FDS_MAX);
    assert_true(box >= 0);
    assert_int_equal(fcntl(box, F_GETFD), FD_CLOEXEC);
    assert_int_equal(open_count(), before + 1);
    assert_int_equal(spawn_box_look(box, got, SPAWN_FDS_MAX), SPAWN_FDS_MAX);
    spawn_close_fds(got, SPAWN_FDS_MAX);
    next = dup(0);
    (void)close(next);
    assert_int_equal(spawn_box_look(box, got, SPAWN_FDS_MAX - 1), -EMFILE);
    assert_int_equal(dup(0), next); /* none stayed open */
    (void)close(next);
    (void)close(box);
    fds[3] = -1;
    next = dup(0);
    (void)close(next);
    assert_int_equal(spawn_box_make(fds, 4), -EBADF);
    assert_int_equal(dup(0), next);
    (void)close(next);
    assert_int_equal(
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(spawn_box_look(pair[0], got, 1), -EAGAIN);
    assert_int_equal(send(pair[1], "x", 1, 0), 1);
    assert_int_equal(spawn_box_look(pair[0], got, 1), -EBADMSG);
    /* the control message with it has no descriptors */
    assert_int_equal(
        setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
    assert_int_equal(spawn_box_look(pair[0], got, SPAWN_FDS_MAX), -EBADMSG);
    assert_int_equal(recv(pair[0], got, sizeof(got), 0), 1);
    (void)close(pair[1]);
    errno = ENOENT;
    assert_int_equal(spawn_box_look(pair[0], got, 1), -EBADMSG);
    (void)close(pair[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_given_is_closed),
        cmocka_unit_test(so_is_a_terminal),
        cmocka_unit_test(so_is_a_unix_socket),
        cmocka_unit_test(who_is_stuck_holds_up_nobody),
        cmocka_unit_test(all_may_be_stuck),
        cmocka_unit_test(a_killed_closer_is_replaced),
        cmocka_unit_test(a_socket_is_emptied_before_it_is_closed),
        cmocka_unit_test(a_box_keeps_what_nobody_has_open),
        cmocka_unit_test(a_box_takes_all_or_none)};

    (void)alarm(60); /* nothing here takes that long */
    return cmocka_run_group_tests_name("closer", tests, NULL, NULL);
}
