/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A terminal for a job: a new pty, whose one end is the job's stdin, stdout and
 * stderr, while ours stands for the terminal that spawnctl was started at. That
 * one is raw while spawnctl is in its foreground: keys go to the job as they
 * are, Ctrl-C too. Runs in spawnctl. Must leave nobody with a raw terminal,
 * however spawnctl ends: a process of its own puts it back when spawnctl could
 * not. Must not touch a terminal that is another process group's.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/spawn_sweep.h"
#include "ctl/ctl.h"

#define THEIRS STDIN_FILENO

/* What the guard is told: the last word counts when there is no other. */
typedef struct {
    bool over; /* nothing is left to do */
    bool raw;
    struct termios before;
} guard_word;

/* Without SIGTTOU, which stops a process that is in the background. What the
 * terminal has not shown yet is not waited for: it may be never. */
static void set(const struct termios *how)
{
    sigset_t one, before;

    (void)sigemptyset(&one);
    (void)sigaddset(&one, SIGTTOU);
    (void)pthread_sigmask(SIG_BLOCK, &one, &before);
    while (tcsetattr(THEIRS, TCSANOW, how) < 0 && errno == EINTR) {
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static bool is_raw(const struct termios *now, const struct termios *before)
{
    struct termios raw = *before;

    cfmakeraw(&raw);
    return now->c_iflag == raw.c_iflag && now->c_oflag == raw.c_oflag
           && now->c_lflag == raw.c_lflag;
}

/* A shell that has its terminal back may have changed it already: then it is
 * the shell's. */
static void put_back(const ctl_terminal *t)
{
    struct termios now;

    if (t->raw && tcgetattr(THEIRS, &now) == 0 && is_raw(&now, &t->before))
        set(&t->before);
}

/* ---- the guard ---- */

/* The process that waits for our end. It takes no signal, and has nothing open
 * but the terminal and the socket: the end of the job's terminal and of a
 * pipeline depend on what others have open. */
static _Noreturn void stand_by(ctl_terminal *t, int socket_)
{
    guard_word word;
    ssize_t n;

    (void)dup2(socket_, STDOUT_FILENO);
    (void)spawn_os_close_from(STDERR_FILENO);
    for (;;) {
        n = read(STDOUT_FILENO, &word, sizeof(word));
        if (n < 0 && errno == EINTR)
            continue;
        if (n != (ssize_t)sizeof(word) || word.over)
            break;
        t->raw = word.raw;
        t->before = word.before;
    }
    if (n == 0) /* it has ended without a word */
        put_back(t);
    _exit(0);
}

static int guard(ctl_terminal *t)
{
    sigset_t all, before;
    int ends[2];

    if (socketpair(AF_UNIX, (int)SOCK_SEQPACKET | (int)SOCK_CLOEXEC, 0, ends)
        < 0)
        return -errno;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    t->guard = fork();
    if (t->guard == 0) {
        (void)close(ends[1]);
        stand_by(t, ends[0]);
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)close(ends[0]);
    if (t->guard < 0) {
        int error = errno;

        (void)close(ends[1]);
        return -error;
    }
    t->guarded = ends[1];
    return 0;
}

static void tell_guard(const ctl_terminal *t, bool over)
{
    guard_word word;

    memset(&word, 0, sizeof(word));
    word.over = over;
    word.raw = t->raw;
    word.before = t->before;
    (void)!send(t->guarded, &word, sizeof(word), MSG_NOSIGNAL);
}

/* ---- for beside.c and options.c ---- */

bool ctl_terminal_in_front(void)
{
    pid_t front = tcgetpgrp(THEIRS);

    /* one that does not control us has no foreground */
    return front < 0 || front == getpgrp();
}

int ctl_terminal_open(const spawn_ctl *ctl, ctl_terminal *t)
{
    struct winsize size;

    if (tcgetattr(THEIRS, &t->before) < 0)
        return ctl_usage(ctl, "--tty: our stdin is not a terminal");
    t->ours = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (t->ours >= 0 && grantpt(t->ours) == 0 && unlockpt(t->ours) == 0)
        t->its = ioctl(t->ours, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (t->its < 0 || fcntl(t->ours, F_SETFL, O_NONBLOCK) < 0)
        return ctl_usage(ctl, "--tty: no terminal can be made: %s",
                         strerrordesc_np(errno));
    /* it begins as ours is, but not as a shell has it that reads a command */
    if (ctl_terminal_in_front())
        (void)tcsetattr(t->its, TCSANOW, &t->before);
    if (ioctl(THEIRS, TIOCGWINSZ, &size) == 0)
        (void)ioctl(t->ours, TIOCSWINSZ, &size);
    return -1;
}

int ctl_terminal_begin(const spawn_ctl *ctl, ctl_terminal *t)
{
    int rv = guard(t);

    if (rv < 0)
        return ctl_usage(ctl, "--tty: no process can be made: %s",
                         strerrordesc_np(-rv));
    ctl_terminal_raw(t);
    return -1;
}

/* How it is to be again: a shell may have changed it since. */
static void look(ctl_terminal *t)
{
    struct termios now;

    if (tcgetattr(THEIRS, &now) == 0 && !is_raw(&now, &now))
        t->before = now;
}

void ctl_terminal_raw(ctl_terminal *t)
{
    bool front = ctl_terminal_in_front();
    struct termios raw;

    if (front && !t->raw)
        look(t);
    t->raw = front;
    tell_guard(t, false);
    if (!front)
        return;
    raw = t->before;
    cfmakeraw(&raw);
    set(&raw);
    ctl_terminal_resize(t);
}

void ctl_terminal_resize(const ctl_terminal *t)
{
    struct winsize size;

    if (ioctl(THEIRS, TIOCGWINSZ, &size) == 0)
        (void)ioctl(t->ours, TIOCSWINSZ, &size); /* tells the job (WINCH) */
}

void ctl_terminal_restore(ctl_terminal *t)
{
    if (ctl_terminal_in_front())
        put_back(t);
    t->raw = false;
    tell_guard(t, false);
}

void ctl_terminal_hand_over(ctl_terminal *t)
{
    if (t->its >= 0)
        (void)close(t->its);
    t->its = -1;
}

void ctl_terminal_close(ctl_terminal *t)
{
    ctl_terminal_hand_over(t);
    if (t->ours >= 0)
        (void)close(t->ours);
    if (t->guarded >= 0) {
        ctl_terminal_restore(t);
        tell_guard(t, true);
        (void)close(t->guarded);
        while (waitpid(t->guard, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    t->ours = t->guarded = -1;
}
