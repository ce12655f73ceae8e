/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's limit, from C: how long a bare message to a peer holds the
 * sender, one way, with its answer, or as a job that is made, checked, kept and
 * answered.
 *
 *   message PATH one_way|answered|job COUNT GAP_US BURST
 *
 * prints the times, in ns, a line each. Runs beside httpd, alone.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bench/c/bare.h"
#include "bench/c/job.h"

int main(int argc, char **argv)
{
    static char program[] = "/bin/true";
    char *words[] = {program, NULL};
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    _Alignas(struct job) char message[BARE_SIZE] = {0};
    char answer[BARE_ANSWER];
    long count, gap, burst, i;
    int64_t *took;
    bool ask, job;
    int fd;

    if (argc != 6 || strlen(argv[1]) >= sizeof(to.sun_path)) {
        (void)fprintf(stderr, "usage: message PATH one_way|answered|job "
                              "COUNT GAP_US BURST\n");
        return 2;
    }
    (void)strcpy(to.sun_path, argv[1]);
    job = strcmp(argv[2], "job") == 0;
    ask = job || strcmp(argv[2], "answered") == 0;
    count = strtol(argv[3], NULL, 10);
    gap = strtol(argv[4], NULL, 10);
    burst = strtol(argv[5], NULL, 10);
    took = calloc((size_t)count, sizeof(*took));
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (!took || fd < 0
        || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
        perror(argv[1]);
        return 1;
    }
    message[0] = ask ? BARE_ASK : 0;
    for (i = 0; i < count; i++) {
        int64_t from;

        if (i % burst == 0)
            (void)usleep((useconds_t)gap);
        from = now_ns();
        if ((job && !job_write(message, "default", words))
            || send(fd, message, sizeof(message), 0) < 0
            || (ask && recv(fd, answer, sizeof(answer), 0) <= 0)) {
            perror("message");
            return 1;
        }
        took[i] = now_ns() - from;
    }
    for (i = 0; i < count; i++)
        (void)printf("%lld\n", (long long)took[i]);
    return 0;
}
