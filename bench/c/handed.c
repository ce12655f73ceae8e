/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that Apache2::Spawn::Process->new can take: a caller hands one end
 * of a socket to a process that says that it has it, and passes it on until it
 * comes to a process that waits for it and writes a byte. No checks, no store,
 * no queue, no fork, no Perl. A person runs it, beside bench/processes.
 *
 *     handed BETWEEN ROUNDS PAUSE_MS
 *
 * BETWEEN: how many processes pass the socket on (broker, spawner, template:
 * 3). Prints, in us, p50 / p99: held, until the answer is there, and there,
 * until the byte is.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/types.h>

#define BYTES 512 /* of a message */

static double now_us(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void hand_over(int to, int fd)
{
    static char bytes[BYTES];
    struct iovec iov = {bytes, sizeof(bytes)};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.room,
                       .msg_controllen = sizeof(control.room)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);

    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(int));
    if (sendmsg(to, &m, MSG_NOSIGNAL) < 0)
        die("sendmsg");
}

/* The socket, or -1 at the end. */
static int take(int from)
{
    char bytes[BYTES];
    struct iovec iov = {bytes, sizeof(bytes)};
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.room,
                       .msg_controllen = sizeof(control.room)};
    int fd = -1;

    if (recvmsg(from, &m, MSG_CMSG_CLOEXEC) <= 0 || !CMSG_FIRSTHDR(&m))
        return -1;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(int));
    return fd;
}

/* One process after the other: the first answers, the last one writes. */
static void serve(int from, int between)
{
    int pair[2], fd, number = 0, next = -1;

    while (next < 0 && number < between) {
        pid_t pid;

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
            die("socketpair");
        pid = fork();
        if (pid < 0)
            die("fork");
        (void)close(pair[pid ? 1 : 0]);
        if (pid) {
            next = pair[0];
            continue;
        }
        (void)close(from);
        from = pair[1];
        number++;
    }
    while ((fd = take(from)) >= 0) {
        if (number == 0 && send(from, "", 1, MSG_NOSIGNAL) < 0)
            die("send");
        if (next >= 0)
            hand_over(next, fd);
        else if (write(fd, "x", 1) != 1)
            die("write");
        (void)close(fd);
    }
    _exit(0);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static void show(const char *what, double *us, int count)
{
    qsort(us, (size_t)count, sizeof(*us), by_size);
    printf("%s %.0f / %.0f us\n", what, us[count / 2], us[count * 99 / 100]);
}

int main(int argc, char **argv)
{
    int between = argc > 1 ? atoi(argv[1]) : 3;
    int rounds = argc > 2 ? atoi(argv[2]) : 100;
    int pause_ms = argc > 3 ? atoi(argv[3]) : 20;
    double *held = calloc((size_t)rounds, sizeof(*held));
    double *there = calloc((size_t)rounds, sizeof(*there));
    int first[2], own[2], i;
    pid_t pid;
    char byte;

    if (!held || !there || rounds < 1)
        return 2;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, first) < 0)
        die("socketpair");
    pid = fork();
    if (pid < 0)
        die("fork");
    if (pid == 0) {
        (void)close(first[0]);
        serve(first[1], between);
    }
    (void)close(first[1]);
    for (i = 0; i < rounds; i++) {
        struct pollfd on = {.events = POLLIN};
        double began;

        (void)poll(NULL, 0, pause_ms);
        began = now_us();
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, own) < 0)
            die("socketpair");
        hand_over(first[0], own[1]);
        (void)close(own[1]);
        if (recv(first[0], &byte, 1, 0) != 1)
            die("recv");
        held[i] = now_us() - began;
        on.fd = own[0];
        (void)poll(&on, 1, -1);
        there[i] = now_us() - began;
        (void)close(own[0]);
    }
    show("held", held, rounds);
    show("there", there, rounds);
    return 0;
}
