/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fork and exec of the spawner: a lean program, never a fork of its parent's
 * image, so that it has nothing of it (memory, descriptors, scoreboard).
 *
 * Runs in the process that is the spawner's parent (httpd's, or a standalone
 * one); exec_spawner runs in the forked child, where it must make
 * async-signal-safe calls only, and end by exec or _exit, never with 7 or 15
 * (httpd would stop itself).
 */
#include "parent/begin.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/spawn_os.h"
#include "common/spawn_sweep.h"

#define LINK_FD    3 /* the control link, in the spawner */
#define EXEC_FAILS 127

typedef struct {
    const char *path;
    char *const *argv;
    char *const *envp;
    int link;
    int null;
    int report; /* close-on-exec: end of file when exec has happened */
} exec_order;

static void reset_signals(void)
{
    struct sigaction plain;
    sigset_t none;
    int signo;

    memset(&plain, 0, sizeof(plain));
    plain.sa_handler = SIG_DFL;
    for (signo = 1; signo < NSIG; signo++)
        (void)sigaction(signo, &plain, NULL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the child. All signals were blocked until here, so that none of its
 * parent's handlers runs in it. */
static void exec_spawner(const exec_order *order)
{
    int error;

    reset_signals();
    (void)setsid();
    (void)umask(022);
    if (chdir("/") == 0 && dup2(order->null, 0) == 0
        && dup2(order->null, 1) == 1 && dup2(order->link, LINK_FD) == LINK_FD
        && spawn_os_cloexec_from(LINK_FD + 1) == 0)
        (void)execve(order->path, order->argv, order->envp);
    error = errno;
    (void)!write(order->report, &error, sizeof(error));
    _exit(EXEC_FAILS);
}

/* A duplicate above 0 to LINK_FD, which dup2 fills. */
static int lift(int fd)
{
    int up = fcntl(fd, F_DUPFD_CLOEXEC, LINK_FD + 1);
    int error = errno;

    (void)close(fd);
    errno = error;
    return up;
}

/* 0: exec has happened; else the error. */
static int await_exec(int report, int wait_ms)
{
    int64_t deadline = spawn_mono_ms() + wait_ms;
    struct pollfd wait_for = {report, POLLIN, 0};
    int error = 0, n;

    do {
        int64_t left = deadline - spawn_mono_ms();

        n = poll(&wait_for, 1, left > 0 ? (int)left : 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno;
    if (n == 0)
        return ETIMEDOUT;
    return read(report, &error, sizeof(error)) == (ssize_t)sizeof(error) ? error
                                                                         : 0;
}

/* Fork with all signals blocked in the child until it has reset them. */
static pid_t fork_spawner(const exec_order *order)
{
    sigset_t all, before;
    pid_t pid;
    int error;

    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    pid = fork();
    if (pid == 0)
        exec_spawner(order);
    error = errno;
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return pid;
}

int spawn_begin(const char *path, char *const *argv, char *const *envp,
                int wait_ms, int *ret_link, pid_t *ret_pid)
{
    exec_order order = {path, argv, envp, -1, -1, -1};
    int ends[2] = {-1, -1}, report[2] = {-1, -1};
    int rv = 0;
    pid_t pid = -1;

    order.null = lift(open("/dev/null", O_RDWR | O_CLOEXEC));
    /* before anything can be sent, so that the kernel tells each message's
     * sender */
    if (order.null < 0
        || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0
        || spawn_os_pass_credentials(ends[1]) < 0
        || pipe2(report, O_CLOEXEC) < 0)
        rv = errno;
    order.link = ends[1] = rv ? ends[1] : lift(ends[1]);
    order.report = report[1] = rv ? report[1] : lift(report[1]);
    if (!rv && (order.link < 0 || order.report < 0))
        rv = errno;
    if (!rv) {
        pid = fork_spawner(&order);
        if (pid < 0)
            rv = errno;
    }
    if (order.null >= 0)
        (void)close(order.null);
    if (ends[1] >= 0)
        (void)close(ends[1]);
    if (report[1] >= 0)
        (void)close(report[1]);
    if (!rv)
        rv = await_exec(report[0], wait_ms);
    if (report[0] >= 0)
        (void)close(report[0]);
    if (!rv) {
        *ret_link = ends[0];
        *ret_pid = pid;
        return 0;
    }
    if (ends[0] >= 0)
        (void)close(ends[0]);
    /* the child failed to exec and ends at once; a slow one finds its link
     * closed, ends too, and the MPM reaps it */
    if (pid > 0 && rv != ETIMEDOUT)
        (void)waitpid(pid, NULL, 0);
    return rv;
}
