/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The waiter: the parent of a process that Apache2::Spawn::Process::fork made,
 * and the only process that knows how it ends. It is a program of its own, so
 * that it has neither memory nor descriptors of the process that was copied,
 * from which it is executed (perl/xs/serve/fork.c).
 *
 * It tells the caller pid, exit status and the effect of signals, one word and
 * one number in a packet; it sends the signals that it is asked for, and keeps
 * the time, which it may be told later: it may be made before its process is
 * wanted (Process::Fork). It ends with the process, or with the caller when it
 * has nothing left to do. It must not reap its child before that, so that a
 * signal never meets another process, must never block but in ppoll, and must
 * use no function of the C library (bare.h).
 *
 * waiter PID TIMEOUT GRACE     both in ms, 0: no time-out
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "perl/waiter/bare.h"

/** The number of the socket to the caller. */
#define TOLD 3

/* As the kernel lays it out. */
typedef struct {
    long s;
    long ns;
} bare_time;

/* When the time is over, in the time of now_ms; -1: never. */
typedef struct {
    int64_t until;
    int64_t grace_ms;
} limit;

static int64_t now_ms(void)
{
    bare_time t = {0, 0};

    (void)call(SYS_clock_gettime, CLOCK_MONOTONIC, &t, 0, 0, 0);
    return (int64_t)t.s * 1000 + t.ns / 1000000;
}

static int64_t number_of(const char *text)
{
    int64_t number = 0;

    for (; *text >= '0' && *text <= '9' && number < INT64_MAX / 100; text++)
        number = number * 10 + (*text - '0');
    return number;
}

/* A word that ends with a space, and a number that is not negative. */
static void tell(const char *what, unsigned number)
{
    char said[40], digits[12];
    unsigned length = 0, count = 0;

    while (*what)
        said[length++] = *what++;
    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    while (count)
        said[length++] = digits[--count];
    /* the sixth argument of sendto, no address, is 0 */
    (void)call(SYS_sendto, TOLD, said, length, MSG_NOSIGNAL | MSG_DONTWAIT, 0);
}

/* Signal its process group, or only itself in the moment before it has one;
 * nothing when it has ended and is not reaped yet. Returns how many were
 * sent. */
static unsigned send_signal(long child, int signo)
{
    siginfo_t end;

    end.si_pid = 0;
    if (call(SYS_waitid, P_PID, child, &end, WEXITED | WNOHANG | WNOWAIT, 0) < 0
        || end.si_pid == child)
        return 0;
    return call(SYS_kill, -child, signo, 0, 0, 0) == 0
           || call(SYS_kill, child, signo, 0, 0, 0) == 0;
}

/* The text behind the word, when the text begins with it. */
static const char *after(const char *text, const char *word)
{
    for (; *word; text++, word++) {
        if (*text != *word)
            return 0;
    }
    return text;
}

/* "kill" and a number, or "limit", a time-out and a grace. False: the caller
 * has let go. */
static bool listen_once(long child, limit *l)
{
    char said[60];
    const char *rest;
    long got =
        call(SYS_recvfrom, TOLD, said, sizeof(said) - 1, MSG_DONTWAIT, 0);

    if (got < 0)
        return got == -EAGAIN || got == -EINTR;
    if (got == 0)
        return false;
    said[got] = '\0';
    rest = after(said, "kill ");
    if (rest)
        tell("killed ", send_signal(child, (int)number_of(rest)));
    rest = after(said, "limit ");
    if (rest) {
        l->until = now_ms() + number_of(rest);
        while (*rest && *rest != ' ')
            rest++;
        l->grace_ms = *rest ? number_of(rest + 1) : 0;
    }
    return true;
}

/* Wait until the child has ended (true, with its status), or until nobody wants
 * to know. */
static bool wait_for(long child, limit *l, int ends, int *ret_status)
{
    int signo = SIGTERM;
    bool listening = true;

    for (;;) {
        struct pollfd on[2];
        struct signalfd_siginfo end;
        bare_time wait = {0, 0};
        int64_t left = l->until < 0 ? 0 : l->until - now_ms();
        long ended = call(SYS_wait4, child, ret_status, WNOHANG, 0, 0);

        if (ended != 0 && ended != -EINTR)
            return ended == child;
        if (l->until >= 0 && left <= 0) {
            (void)send_signal(child, signo);
            l->until = signo == SIGTERM ? now_ms() + l->grace_ms : -1;
            signo = SIGKILL;
            continue;
        }
        wait.s = (long)(left / 1000);
        wait.ns = (long)(left % 1000 * 1000000);
        on[0].fd = ends;
        on[1].fd = listening ? TOLD : -1;
        on[0].events = on[1].events = POLLIN;
        on[0].revents = on[1].revents = 0;
        (void)call(SYS_ppoll, on, 2, l->until < 0 ? 0 : &wait, 0, 0);
        if (on[0].revents)
            (void)call(SYS_read, ends, &end, sizeof(end), 0, 0);
        if (on[1].revents == 0 || listen_once(child, l))
            continue;
        if (l->until < 0)
            return false;
        listening = false;
    }
}

static int run(int argc, char **argv)
{
    uint64_t ending = UINT64_C(1) << (SIGCHLD - 1); /* a kernel's signal set */
    long child = argc == 4 ? (long)number_of(argv[1]) : 0;
    limit l = {-1, 0};
    int status = 0;
    long ends;

    if (child <= 0)
        return 2;
    if (number_of(argv[2]))
        l.until = now_ms() + number_of(argv[2]);
    l.grace_ms = number_of(argv[3]);
    /* blocked and not ignored, see fork.c */
    ends = call(SYS_signalfd4, -1, &ending, sizeof(ending),
                SFD_CLOEXEC | SFD_NONBLOCK, 0);
    tell("pid ", (unsigned)child);
    if (wait_for(child, &l, (int)ends, &status))
        tell("exit ", (unsigned)status);
    return 0;
}
