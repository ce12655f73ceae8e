/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A closer whose world is the test's: the clock, whether there can be another
 * process, and how long one that waits for work is patient. For unit tests.
 *
 * Each test runs in a process of its own, since a closer has one table of
 * descriptors with who started it.
 */
#ifndef CLOSER_PLAY_H
#define CLOSER_PLAY_H

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "t/unit/corner.h"
#include "common/spawn_closer.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"

#define OWNER 4711
#define STUCK 20
#define LATER 1000
#ifndef DEADLINE_MS
#define DEADLINE_MS 10000 /* of the real clock */
#endif

/* ---- what the code sees ---- */

static struct {
    _Atomic int64_t clock; /* ms */
    _Atomic bool no_process;
    _Atomic bool orphan;   /* a closer's parent was gone before it looked */
    _Atomic int patience;  /* ms that a closer waits for work */
    _Atomic int asked_for; /* ms that it wanted to wait */
    _Atomic unsigned waits;
    _Atomic unsigned blind; /* waits of who gives, for nothing */
    _Atomic bool long_wait;
    _Atomic unsigned kills;
    _Atomic bool slow_death; /* a killed one ends while that is waited for */
} * play;

static long (*real_syscall)(long number, ...);
static pid_t me, started[64], dying[64];
static unsigned starts, deaths;

int clock_gettime(clockid_t id, struct timespec *ret)
{
    if (id != CLOCK_MONOTONIC || !play)
        return (int)real_syscall(SYS_clock_gettime, id, ret);
    ret->tv_sec = play->clock / 1000;
    ret->tv_nsec = play->clock % 1000 * 1000000;
    return 0;
}

/* Takes six arguments, as the C library's does, whatever was given: a sanitizer
 * must not mind. */
__attribute__((no_sanitize("address", "undefined"))) long syscall(long number,
                                                                  ...)
{
    long a[6], rv;
    va_list ap;
    int i;

    va_start(ap, number);
    for (i = 0; i < 6; i++)
        a[i] = va_arg(ap, long);
    va_end(ap);
    if (number == SYS_clone && play->no_process) {
        errno = EAGAIN;
        return -1;
    }
    rv = real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (number == SYS_clone && rv > 0)
        started[starts++] = (pid_t)rv;
    return rv;
}

pid_t getppid(void)
{
    return play->orphan ? 1 : (pid_t)real_syscall(SYS_getppid);
}

int kill(pid_t pid, int signo)
{
    play->kills++;
    if (signo == SIGKILL && play->slow_death && deaths < 64) {
        dying[deaths++] = pid;
        return 0;
    }
    return (int)real_syscall(SYS_kill, pid, signo);
}

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
    struct timespec t = {0, 0};

    if (getpid() != me) {
        play->asked_for = count == 1 ? timeout : -1;
        play->waits++;
        timeout = play->patience;
    }
    else {
        /* for one that was killed, on a machine that may be busy */
        play->blind += fds->fd < 0;
        play->long_wait |= timeout > LATER;
        timeout = DEADLINE_MS;
        while (deaths > 0)
            (void)real_syscall(SYS_kill, dying[--deaths], SIGKILL);
    }
    t.tv_sec = timeout / 1000;
    t.tv_nsec = timeout % 1000 * 1000000L;
    return ppoll(fds, count, timeout < 0 ? NULL : &t, NULL);
}

/* The same, where the compiler wants the size checked. */
int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t size);

int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t size)
{
    if (count * sizeof(*fds) > size)
        abort();
    return poll(fds, count, timeout);
}

/* ---- what the tests do ---- */

/* First of all in main. */
static int play_init(void)
{
    void *page = mmap(NULL, sizeof(*play), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    *(void **)&real_syscall = dlsym(RTLD_NEXT, "syscall");
    if (!real_syscall || page == MAP_FAILED)
        return -1;
    play = page;
    return 0;
}

static int log_file;

static void begin(void)
{
    spawn_sink sink = {-1, 0, ""};

    me = getpid();
    starts = 0;
    memset(play, 0, sizeof(*play));
    play->clock = 1000000;
    play->patience = 100000;
    log_file = sink.fd = spawn_os_memfd("log");
    spawn_log_main(&sink);
}

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

/* How often the log has this. */
static unsigned log_has(const char *what)
{
    static char text[65536];
    ssize_t n = pread(log_file, text, sizeof(text) - 1, 0);
    const char *p = text;
    unsigned count = 0;

    text[n < 0 ? 0 : n] = '\0';
    while ((p = strstr(p, what)) != NULL) {
        p++;
        count++;
    }
    return count;
}

static int tick(void)
{
    return spawn_closer_tick(play->clock);
}

static __attribute__((unused)) int tick_at(int64_t now)
{
    play->clock = now;
    return tick();
}

static int64_t real_ms(void)
{
    struct timespec t;

    (void)real_syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void a_moment(void)
{
    const struct timespec t = {0, 500000};

    (void)ppoll(NULL, 0, &t, NULL);
}

#define UNTIL(what)                                                            \
    do {                                                                       \
        int64_t until_ = real_ms() + DEADLINE_MS;                              \
                                                                               \
        while (!(what)) {                                                      \
            if (real_ms() > until_)                                            \
                return told_line(__LINE__);                                    \
            a_moment();                                                        \
        }                                                                      \
    } while (0)

/* A pipe's end, the other one in *ret_other. */
static int an_end(int *ret_other)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        _exit(96);
    *ret_other = ends[1];
    return ends[0];
}

/* Its close takes a minute, or until *ret_other is closed. */
static int lingering(int *ret_other)
{
    const struct linger linger = {1, 60};
    static char zeros[65536];
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(a);
    int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int c = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int little = 4096; /* takes less than is sent at once */

    if (setsockopt(l, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)) < 0
        || bind(l, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(l, 1) < 0
        || getsockname(l, (struct sockaddr *)&a, &length) < 0
        || connect(c, (struct sockaddr *)&a, sizeof(a)) < 0
        || setsockopt(c, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) < 0)
        _exit(96);
    *ret_other = accept(l, NULL, NULL);
    (void)close(l);
    while (send(c, zeros, sizeof(zeros), MSG_DONTWAIT) > 0)
        continue;
    return c;
}

#endif
