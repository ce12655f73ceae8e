/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other end of a bare message: takes packets from an AF_UNIX SEQPACKET
 * socket and answers those that ask for it. That is the least that a broker
 * could cost, so it does nothing else; one blocking process a connection.
 *
 *   peer PATH            until it is ended by a signal
 *   peer PATH NEXT       passes each message on to the peer at NEXT, and its
 * answer back: the least that a process in between costs
 *
 * Runs beside httpd. Must never look into a message further than one byte,
 * unless it is a job, which it checks and keeps before it answers.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench/c/bare.h"
#include "bench/c/job.h"

static int meet(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

    (void)strcpy(to.sun_path, path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
        perror(path);
        _exit(1);
    }
    return fd;
}

static void pass_on(int fd, int next)
{
    char message[BARE_SIZE];
    ssize_t length;

    while ((length = recv(fd, message, sizeof(message), 0)) > 0) {
        bool ask = message[0] == BARE_ASK;

        if (send(next, message, (size_t)length, 0) < 0
            || (ask
                && (recv(next, message, BARE_ANSWER, 0) <= 0
                    || send(fd, message, BARE_ANSWER, 0) < 0)))
            break;
    }
    _exit(0);
}

static void serve(int fd)
{
    _Alignas(struct job) char message[BARE_SIZE];
    ssize_t length;

    while ((length = recv(fd, message, sizeof(message), 0)) > 0) {
        bool ask = message[0] == BARE_ASK;

        if (message[0] == BARE_JOB) {
            ask = true;
            if (!job_keep(message, (size_t)length))
                break;
        }
        if (ask && send(fd, message, BARE_ANSWER, 0) < 0)
            break;
    }
    _exit(0);
}

int main(int argc, char **argv)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int listener;

    if (argc < 2 || argc > 3 || strlen(argv[1]) >= sizeof(at.sun_path)
        || (argc == 3 && strlen(argv[2]) >= sizeof(at.sun_path))) {
        (void)fprintf(stderr, "usage: peer PATH [NEXT]\n");
        return 2;
    }
    (void)strcpy(at.sun_path, argv[1]);
    listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&at, sizeof(at)) < 0
        || chmod(argv[1], 0666) < 0 || listen(listener, 64) < 0) {
        perror(argv[1]);
        return 1;
    }
    (void)signal(SIGCHLD, SIG_IGN);
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        pid_t parent = getpid();

        if (fd < 0)
            continue;
        if (fork() == 0) {
            (void)close(listener);
            (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
            if (getppid() == parent && argc == 3)
                pass_on(fd, meet(argv[2]));
            if (getppid() == parent)
                serve(fd);
            _exit(0);
        }
        (void)close(fd);
    }
}
