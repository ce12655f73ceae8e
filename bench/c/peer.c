/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other end of a bare message: takes packets from an AF_UNIX SEQPACKET
 * socket and answers those that ask for it. What a broker could cost at the
 * least, so it does nothing else; one blocking process a connection.
 *
 *   peer PATH      until it is ended by a signal
 *
 * Runs beside httpd. Must never look into a message further than one byte.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench/c/bare.h"

static void serve(int fd)
{
    char message[BARE_SIZE];

    while (recv(fd, message, sizeof(message), 0) > 0) {
        if (message[0] == BARE_ASK && send(fd, message, BARE_ANSWER, 0) < 0)
            break;
    }
    _exit(0);
}

int main(int argc, char **argv)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int listener;

    if (argc != 2 || strlen(argv[1]) >= sizeof(at.sun_path)) {
        (void)fprintf(stderr, "usage: peer PATH\n");
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
            if (getppid() == parent)
                serve(fd);
            _exit(0);
        }
        (void)close(fd);
    }
}
