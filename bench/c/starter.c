/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least that a process can be which starts programs for others: takes
 * packets from an AF_UNIX SEQPACKET socket, answers those that ask for it, and
 * starts the program that is named in each, with the set-up that mod_spawn
 * gives its jobs. No queue, no record, no limits; ends are not looked at.
 *
 *   starter PATH UID GID      until it is ended by a signal
 *
 * A packet: BARE_ASK or 0, then the words of the program, each with its end.
 * Runs beside httpd. Linked statically, as the spawner is.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench/c/bare.h"
#include "bench/c/setup.h"

#define WORDS 8
#define STACK 32768
#define ROOMS 256

/* A child that shares our memory until it executes, with what it needs for
 * that. */
typedef struct {
    _Alignas(16) char stack[STACK];
    char words[BARE_SIZE];
    char *argv[WORDS + 1];
    volatile pid_t on; /* the kernel writes 0 when it has executed or ended */
} child_room;

static child_room rooms[ROOMS];
static uid_t uid;
static gid_t gid;

static int child(void *of)
{
    const child_room *room = of;

    set_up_and_exec((char **)room->argv, uid, gid);
    return 127;
}

static child_room *free_room(void)
{
    unsigned i = 0;

    while (rooms[i].on) {
        i = (i + 1) % ROOMS;
        if (i == 0)
            (void)sched_yield();
    }
    return &rooms[i];
}

static void start(const char *words, size_t length)
{
    child_room *room = free_room();
    unsigned count = 0;
    size_t at = 0;

    memcpy(room->words, words, length);
    while (at < length && room->words[at] && count < WORDS) {
        room->argv[count++] = room->words + at;
        at += strlen(room->words + at) + 1;
    }
    room->argv[count] = NULL;
    room->on = 1;
    if (count == 0
        || clone(child, room->stack + STACK,
                 CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, room, NULL, NULL,
                 &room->on)
               < 0)
        room->on = 0;
}

/* false: the connection has ended. */
static bool take(int fd)
{
    char message[BARE_SIZE + 1];
    ssize_t length = recv(fd, message, BARE_SIZE, 0);

    if (length <= 0)
        return false;
    message[length] = '\0';
    if (message[0] == BARE_ASK && send(fd, message, BARE_ANSWER, 0) < 0)
        return false;
    start(message + 1, (size_t)length);
    return true;
}

static int listen_at(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    if (strlen(path) >= sizeof(at.sun_path))
        return -1;
    (void)strcpy(at.sun_path, path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0
        || chmod(path, 0666) < 0 || listen(fd, 64) < 0)
        return -1;
    return fd;
}

int main(int argc, char **argv)
{
    struct epoll_event event = {.events = EPOLLIN};
    int listener, epoll = epoll_create1(EPOLL_CLOEXEC);

    if (argc != 4) {
        (void)fprintf(stderr, "usage: starter PATH UID GID\n");
        return 2;
    }
    uid = (uid_t)strtoul(argv[2], NULL, 10);
    gid = (gid_t)strtoul(argv[3], NULL, 10);
    listener = listen_at(argv[1]);
    event.data.fd = listener;
    if (listener < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) < 0) {
        perror(argv[1]);
        return 1;
    }
    (void)signal(SIGCHLD, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    for (;;) {
        struct epoll_event got;
        int fd;

        if (epoll_wait(epoll, &got, 1, -1) <= 0)
            continue;
        if (got.data.fd != listener) {
            if (!take(got.data.fd))
                (void)close(got.data.fd);
            continue;
        }
        fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        event.data.fd = fd;
        if (fd >= 0)
            (void)epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
    }
}
