/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fork and exec of the spawner: a lean program, never a fork of httpd's image,
 * so that it has nothing of httpd (memory, descriptors, scoreboard).
 *
 * Runs in the httpd parent; exec_spawner runs in the forked child, where it
 * must make async-signal-safe calls only, and end by exec or _exit, never with
 * 7 or 15 (httpd would stop itself).
 */
#include "module/start.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/spawn_os.h"
#include "common/spawn_sweep.h"
#include "module/config.h"

#define LINK_FD    3 /* the control link, in the spawner */
#define EXEC_FAILS 127

static const char *program_path(apr_pool_t *p, const char *name)
{
    Dl_info info;
    const char *slash;

    if (!dladdr(&spawn_module, &info) || !info.dli_fname)
        return NULL;
    slash = strrchr(info.dli_fname, '/');
    if (!slash)
        return NULL;
    return apr_pstrcat(
        p,
        apr_pstrmemdup(p, info.dli_fname, (apr_size_t)(slash - info.dli_fname)),
        "/" SPAWN_PROGRAM_DIR "/", name, NULL);
}

static apr_status_t open_program(apr_pool_t *p, server_rec *s, const char *name,
                                 const char **ret_path, int *ret_fd)
{
    const char *path = program_path(p, name);
    int fd = path ? open(path, O_PATH | O_CLOEXEC) : -1;

    if (fd < 0 || access(path, X_OK) < 0) {
        apr_status_t rv = path ? errno : APR_ENOENT;

        ap_log_error(
            APLOG_MARK, APLOG_CRIT, rv, s,
            MSNO(0140) "cannot execute %s; the programs spawner and "
                       "broker belong into the directory " SPAWN_PROGRAM_DIR
                       " beside mod_spawn.so: "
                       "install mod_spawn again",
            path ? path : name);
        if (fd >= 0)
            (void)close(fd);
        return rv;
    }
    *ret_path = path;
    *ret_fd = fd;
    return APR_SUCCESS;
}

apr_status_t spawn_programs_open(apr_pool_t *p, server_rec *s,
                                 spawn_programs *ret)
{
    const char *unused;
    apr_status_t rv;

    rv = open_program(p, s, "spawner", &ret->spawner_path, &ret->spawner_bin);
    if (rv != APR_SUCCESS)
        return rv;
    rv = open_program(p, s, "broker", &unused, &ret->broker_bin);
    if (rv != APR_SUCCESS) {
        (void)close(ret->spawner_bin);
        return rv;
    }
    ret->relay_bin = -1;
    if (spawn_config_of(s)->relay_where)
        rv = open_program(p, s, "relay", &unused, &ret->relay_bin);
    if (rv != APR_SUCCESS)
        spawn_programs_close(ret);
    return rv;
}

void spawn_programs_close(spawn_programs *programs)
{
    (void)close(programs->spawner_bin);
    (void)close(programs->broker_bin);
    if (programs->relay_bin >= 0)
        (void)close(programs->relay_bin);
}

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

/* In the child. All signals were blocked until here, so that none of httpd's
 * handlers runs in it. */
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

static int start(const exec_order *template, int wait_ms, int *ret_link,
                 pid_t *ret_pid)
{
    exec_order order = *template;
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

apr_status_t spawn_start(apr_pool_t *p, server_rec *s,
                         const spawn_programs *programs,
                         const char *socket_path, int wait_ms, int *ret_link,
                         pid_t *ret_pid)
{
    char *argv[] = {apr_pstrdup(p, "mod_spawn spawner"),
                    apr_pstrdup(p, socket_path), NULL};
    char *envp[3] = {apr_pstrdup(p, "PATH=/usr/local/bin:/usr/bin:/bin"), NULL,
                     NULL};
    const char *zone = getenv("TZ");
    exec_order order = {programs->spawner_path, argv, envp, -1, -1, -1};
    int rv;

    if (zone)
        envp[1] = apr_pstrcat(p, "TZ=", zone, NULL);
    rv = start(&order, wait_ms, ret_link, ret_pid);
    if (rv)
        ap_log_error(APLOG_MARK, APLOG_CRIT, rv, s,
                     MSNO(0141) "cannot start %s", programs->spawner_path);
    return rv;
}
