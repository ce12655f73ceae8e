/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file stranger.c
 * @brief A caller that passes what does not close. Run by tests only.
 *
 *   stranger SOCKET HOW WHAT [QUEUE]
 *
 * HOW   early   with the first packet, before HELLO
 *       submit  as stdin of a job, /bin/true, in the queue
 *       empty   as submit, behind a packet that is empty
 *       many    as submit, 3000 times over one connection
 * WHAT  tcp     a connection with SO_LINGER whose other end does not read
 *       tty     a terminal with output that nobody takes
 *       a path  of a file that is opened
 *
 * It says on stdout, a line each: what came of it ("sent", "not sent: ..."),
 * then what the broker answered, and "done" at last. It keeps the other ends of
 * connections and terminals until its stdin ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pty.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/spawn_packet.h"

#define LINGER_S  60
#define ANSWER_MS 5000
#define MANY      3000
#define TIMES     8 /* the broker must be the last to close one of them */

static uint8_t buffer[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];

static void fail(const char *what) __attribute__((noreturn));

static void fail(const char *what)
{
    (void)fprintf(stderr, "stranger: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Its other end is left open and never read. */
static int lingering(void)
{
    const struct linger linger = {1, LINGER_S};
    static char zeros[65536];
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(a);
    int l = socket(AF_INET, SOCK_STREAM, 0);
    int c = socket(AF_INET, SOCK_STREAM, 0);
    const int small = 4096; /* soon full */

    (void)setsockopt(l, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    (void)setsockopt(c, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));

    if (bind(l, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(l, 1) < 0
        || getsockname(l, (struct sockaddr *)&a, &length) < 0
        || connect(c, (struct sockaddr *)&a, sizeof(a)) < 0
        || accept(l, NULL, NULL) < 0
        || setsockopt(c, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) < 0)
        fail("tcp");
    (void)close(l);
    while (send(c, zeros, sizeof(zeros), MSG_DONTWAIT) > 0)
        continue;
    return c;
}

/* Its master is left open and never read. */
static int undrained(void)
{
    static char zeros[65536];
    int master, fd;

    if (openpty(&master, &fd, NULL, NULL, NULL) < 0
        || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        fail("tty");
    while (write(fd, zeros, sizeof(zeros)) > 0)
        continue;
    if (fcntl(fd, F_SETFL, 0) < 0)
        fail("tty");
    return fd;
}

static int make(const char *what)
{
    int fd = strcmp(what, "tcp") == 0   ? lingering()
             : strcmp(what, "tty") == 0 ? undrained()
                                        : open(what, O_RDONLY);

    if (fd < 0)
        fail(what);
    return fd;
}

static int reach(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int sock = socket(AF_UNIX, SOCK_SEQPACKET, 0);

    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    if (connect(sock, (struct sockaddr *)&a, sizeof(a)) < 0) {
        (void)printf("not connected: %s\n", strerror(errno));
        exit(0);
    }
    return sock;
}

static void say_answer(int sock)
{
    struct pollfd p = {sock, POLLIN, 0};
    spawn_message m;
    spawn_packet packet;

    if (poll(&p, 1, ANSWER_MS) != 1
        || spawn_packet_receive(sock, buffer, sizeof(buffer), &packet) != 1
        || spawn_message_parse(packet.data, packet.length, SPAWN_FROM_BROKER,
                               packet.fds_count, &m, NULL)
               != 0) {
        (void)printf("no answer\n");
        return;
    }
    (void)printf("%s %s\n", spawn_message_name(m.header.type),
                 spawn_has(&m, SPAWN_A_CODE) ? spawn_error_name(
                     (spawn_error)spawn_attr_u64(&m.attr[SPAWN_A_CODE]))
                                             : "");
}

/* A process that has the descriptor too, and goes when told: the end of a
 * process does not linger, a close by the last owner would. */
static pid_t second_owner(int *ret_tell)
{
    int ends[2];
    char byte;
    pid_t pid;

    if (pipe(ends) < 0 || (pid = fork()) < 0)
        fail("fork");
    if (pid == 0) {
        (void)close(ends[1]);
        (void)!read(ends[0], &byte, 1);
        _exit(0);
    }
    (void)close(ends[0]);
    *ret_tell = ends[1];
    return pid;
}

/* With the descriptor, of which no copy is left here. Was it sent? */
static bool send_with(int sock, spawn_writer *w, const char *what)
{
    int fd = make(what), tell;
    pid_t second = second_owner(&tell);
    int rv = spawn_writer_finish(w, 1);

    if (rv == 0)
        rv = spawn_packet_send(sock, w->data, w->length, &fd, 1);
    (void)close(fd);
    (void)close(tell);
    (void)waitpid(second, NULL, 0);
    if (rv < 0)
        (void)printf("not sent: %s\n", strerror(-rv));
    else
        (void)printf("sent\n");
    (void)fflush(stdout);
    return rv == 0;
}

static void hello(int sock)
{
    spawn_writer w;

    spawn_writer_init(&w, SPAWN_REQUEST_MAX);
    spawn_writer_begin(&w, SPAWN_M_HELLO, 1);
    spawn_put_str(&w, SPAWN_A_CLIENT, "stranger");
    spawn_put_str(&w, SPAWN_A_RELEASE, "0");
    (void)spawn_writer_finish(&w, 0);
    (void)spawn_packet_send(sock, w.data, w.length, NULL, 0);
    spawn_writer_free(&w);
}

static void build_submit(spawn_writer *w, const char *queue)
{
    const spawn_stdio in = {SPAWN_STDIO_FD, 0, 0, ""};
    spawn_id id;
    size_t mark;

    (void)spawn_id_make(&id);
    spawn_writer_begin(w, SPAWN_M_SUBMIT, 2);
    spawn_put_id(w, SPAWN_A_ID, &id);
    spawn_put_u64(w, SPAWN_A_REPLY, SPAWN_REPLY_ACCEPTED);
    mark = spawn_open_strv(w, SPAWN_A_ARGV);
    spawn_add_text(w, mark, "/bin/true", 9);
    spawn_close(w, mark);
    if (queue)
        spawn_put_str(w, SPAWN_A_QUEUE, queue);
    spawn_put_stdio(w, SPAWN_A_STDIN, &in);
}

int main(int argc, char **argv)
{
    const char *how = argc > 3 ? argv[2] : "";
    spawn_writer w;
    char byte;
    int i, k;

    if (argc < 4)
        return 2;
    spawn_writer_init(&w, SPAWN_REQUEST_MAX);
    for (i = 0; i < (strcmp(how, "early") == 0 ? TIMES : 1); i++) {
        int sock = reach(argv[1]);

        if (strcmp(how, "early") == 0) {
            spawn_writer_begin(&w, SPAWN_M_HELLO, 1);
            (void)send_with(sock, &w, argv[3]);
            continue;
        }
        hello(sock);
        say_answer(sock);
        for (k = 0; k < (strcmp(how, "many") == 0 ? MANY : 1); k++) {
            build_submit(&w, argc > 4 ? argv[4] : NULL);
            if (strcmp(how, "empty") == 0)
                (void)!send(sock, "", 0, 0);
            if (send_with(sock, &w, argv[3]))
                say_answer(sock);
        }
    }
    (void)printf("done\n");
    (void)fflush(stdout);
    while (read(0, &byte, 1) > 0)
        continue;
    return 0;
}
