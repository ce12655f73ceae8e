/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A terminal for a job: a new pty, whose one end is the job's stdin, stdout and
 * stderr, while ours stands for the terminal that spawnctl was started at. That
 * one is raw meanwhile: keys go to the job as they are, Ctrl-C too. Runs in
 * spawnctl. Must leave nobody with a raw terminal, however spawnctl ends: a
 * process of its own puts it back when spawnctl could not.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "common/spawn_sweep.h"
#include "ctl/ctl.h"

#define THEIRS STDIN_FILENO

/* Without SIGTTOU, which stops a process that is in the background. */
static void set(const struct termios *how)
{
    sigset_t one, before;

    (void)sigemptyset(&one);
    (void)sigaddset(&one, SIGTTOU);
    (void)pthread_sigmask(SIG_BLOCK, &one, &before);
    while (tcsetattr(THEIRS, TCSADRAIN, how) < 0 && errno == EINTR) {
    }
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* A shell that has its terminal back may have changed it already: then it is
 * the shell's. */
static void put_back(const ctl_terminal *t)
{
    struct termios now, raw = t->before;

    cfmakeraw(&raw);
    if (tcgetattr(THEIRS, &now) == 0 && now.c_iflag == raw.c_iflag
        && now.c_oflag == raw.c_oflag && now.c_lflag == raw.c_lflag)
        set(&t->before);
}

/* The process that waits for our end. It takes no signal, and has nothing open
 * but the terminal and the pipe: the end of the job's terminal and of a
 * pipeline depend on what others have open. */
static _Noreturn void stand_by(const ctl_terminal *t, int pipe_)
{
    char over;
    ssize_t n;

    (void)dup2(pipe_, STDOUT_FILENO);
    (void)spawn_os_close_from(STDERR_FILENO);
    do
        n = read(STDOUT_FILENO, &over, 1);
    while (n < 0 && errno == EINTR);
    if (n == 0) /* it has ended without a word */
        put_back(t);
    _exit(0);
}

static int guard(ctl_terminal *t)
{
    sigset_t all, before;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
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
    /* it begins as ours is */
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

void ctl_terminal_raw(ctl_terminal *t)
{
    struct termios raw = t->before;

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

void ctl_terminal_restore(const ctl_terminal *t)
{
    put_back(t);
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
        put_back(t);
        (void)!write(t->guarded, "", 1); /* nothing is left to do */
        (void)close(t->guarded);
        while (waitpid(t->guard, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    t->ours = t->guarded = -1;
}
