/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load for httpd: keep-alive connections that ask for one path, in a closed
 * loop (the next request when the answer is there) or at a fixed rate that does
 * not wait for answers. At a fixed rate the latency counts from the moment at
 * which the request was to be sent, so that a server that stands still is
 * charged for all who would have come meanwhile.
 *
 *   load PORT PATH CONNECTIONS SECONDS RATE      RATE 0: closed loop
 *
 * Prints lines: "seconds S", "unfinished N", "failed N", then "LATENCY BODY" of
 * each request, in ns; BODY is the number that the answer's body began with
 * (what the handler measured inside of itself), or -1. Requests of the first
 * tenth of the time are warm-up and not told. Runs beside httpd, one process.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/c/bare.h"

#define MOST_CONNECTIONS 1024
#define ANSWER_MAX       8192
#define NO_BODY          -1           /* of an answer that did not come */
#define GRACE_NS         1000000000LL /* for answers after the end */

typedef struct {
    int fd;
    bool busy;
    int64_t since; /* when the request was to be sent */
    size_t got;
    char answer[ANSWER_MAX];
} connection;

typedef struct {
    int64_t latency, body;
} sample;

static struct {
    connection *all;
    int *idle; /* a ring: who has been idle longest is next */
    long count, idle_from, idle_count;
    int epoll;
    char request[1024];
    size_t request_length;
    int64_t from, told_from, end, every; /* every: ns between requests, or 0 */
    int64_t next;                        /* the next one is to be sent then */
    sample *samples;
    size_t used, room;
    long failed, busy;
    struct sockaddr_in to;
} load;

static void die(const char *why)
{
    perror(why);
    exit(1);
}

static void open_connection(connection *c)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0
        || connect(c->fd, (struct sockaddr *)&load.to, sizeof(load.to)) < 0)
        die("connect");
    (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, c->fd, &e) < 0)
        die("epoll");
}

static void set_idle(connection *c)
{
    c->busy = false;
    load.idle[(load.idle_from + load.idle_count++) % load.count] =
        (int)(c - load.all);
}

static void ask(int64_t since)
{
    connection *c = &load.all[load.idle[load.idle_from]];

    load.idle_from = (load.idle_from + 1) % load.count;
    load.idle_count--;
    load.busy++;
    c->busy = true;
    c->since = since;
    c->got = 0;
    if (send(c->fd, load.request, load.request_length, MSG_NOSIGNAL)
        != (ssize_t)load.request_length)
        load.failed++;
}

static void tell(int64_t latency, int64_t body)
{
    if (load.used == load.room) {
        load.room = load.room ? load.room * 2 : 65536;
        load.samples = realloc(load.samples, load.room * sizeof(*load.samples));
        if (!load.samples)
            die("memory");
    }
    load.samples[load.used++] = (sample){latency, body};
}

/* The body if the answer is whole, else NULL. */
static const char *whole(const connection *c)
{
    const char *body = strstr(c->answer, "\r\n\r\n");
    const char *length;

    if (!body)
        return NULL;
    body += 4;
    length = strcasestr(c->answer, "\r\nContent-Length:");
    if (!length || length > body) {
        (void)fprintf(stderr, "load: an answer without a length: %.80s\n",
                      c->answer);
        exit(1);
    }
    if (c->got - (size_t)(body - c->answer)
        < (size_t)strtol(length + 17, NULL, 10))
        return NULL;
    return body;
}

static void read_answer(connection *c)
{
    ssize_t n = recv(c->fd, c->answer + c->got, ANSWER_MAX - 1 - c->got, 0);
    const char *body;

    if (n <= 0) {
        load.failed += c->busy;
        load.busy -= c->busy;
        (void)close(c->fd);
        open_connection(c);
        if (c->busy)
            set_idle(c);
        return;
    }
    c->got += (size_t)n;
    c->answer[c->got] = '\0';
    body = whole(c);
    if (!body || !c->busy)
        return;
    load.busy--;
    if (strncmp(c->answer, "HTTP/1.1 200", 12) != 0)
        load.failed++;
    else if (c->since >= load.told_from)
        tell(now_ns() - c->since, strtoll(body, NULL, 10));
    set_idle(c);
}

/* Sends what is due; ns until the next is. */
static int64_t send_due(int64_t now)
{
    if (!load.every) {
        while (load.idle_count && now < load.end)
            ask(now_ns());
        return load.end - now;
    }
    while (load.idle_count && load.next <= now && load.next < load.end) {
        ask(load.next);
        load.next += load.every;
    }
    if (load.next >= load.end)
        return load.end - now;
    return load.idle_count ? load.next - now : load.end - now;
}

static void run(void)
{
    struct epoll_event events[64];

    for (;;) {
        int64_t now = now_ns();
        int64_t wait = send_due(now);
        struct timespec t;
        int n, i;

        if (now >= load.end) {
            bool waits = load.every && load.next < load.end;

            if ((!load.busy && !waits) || now >= load.end + GRACE_NS)
                return;
            wait = load.end + GRACE_NS - now;
        }
        if (wait < 0)
            wait = 0;
        t.tv_sec = wait / 1000000000;
        t.tv_nsec = wait % 1000000000;
        n = epoll_pwait2(load.epoll, events, 64, &t, NULL);
        if (n < 0 && errno != EINTR)
            die("epoll");
        for (i = 0; i < n; i++)
            read_answer(events[i].data.ptr);
    }
}

/* A request without an answer has waited so long at least, also one that was
 * not even sent. */
static long unfinished(void)
{
    int64_t now = now_ns();
    long n = 0, i;

    for (i = 0; i < load.count; i++) {
        if (load.all[i].busy && load.all[i].since >= load.told_from) {
            tell(now - load.all[i].since, NO_BODY);
            n++;
        }
    }
    for (; load.every && load.next < load.end; load.next += load.every, n++)
        tell(now - load.next, NO_BODY);
    return n;
}

int main(int argc, char **argv)
{
    double seconds, rate;
    long left, i;
    size_t s;

    if (argc != 6) {
        (void)fprintf(stderr,
                      "usage: load PORT PATH CONNECTIONS SECONDS RATE\n");
        return 2;
    }
    load.to.sin_family = AF_INET;
    load.to.sin_port = htons((uint16_t)strtol(argv[1], NULL, 10));
    load.to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    load.count = strtol(argv[3], NULL, 10);
    seconds = strtod(argv[4], NULL);
    rate = strtod(argv[5], NULL);
    load.request_length =
        (size_t)snprintf(load.request, sizeof(load.request),
                         "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", argv[2]);
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load.count < 1 || load.count > MOST_CONNECTIONS || load.epoll < 0)
        die("load");
    load.all = calloc((size_t)load.count, sizeof(*load.all));
    load.idle = calloc((size_t)load.count, sizeof(*load.idle));
    if (!load.all || !load.idle)
        die("memory");
    (void)prctl(PR_SET_TIMERSLACK, 1);
    for (i = 0; i < load.count; i++) {
        open_connection(&load.all[i]);
        set_idle(&load.all[i]);
    }
    load.from = load.next = now_ns();
    load.end = load.from + (int64_t)(seconds * 1e9);
    load.told_from = load.from + (int64_t)(seconds * 1e8);
    load.every = rate > 0 ? (int64_t)(1e9 / rate) : 0;
    run();
    left = unfinished();
    (void)printf("seconds %.6f\nunfinished %ld\nfailed %ld\n", seconds * 0.9,
                 left, load.failed);
    for (s = 0; s < load.used; s++)
        (void)printf("%lld %lld\n", (long long)load.samples[s].latency,
                     (long long)load.samples[s].body);
    return 0;
}
