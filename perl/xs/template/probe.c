/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A job of nothing, to see which pages a job touches (hot.c). Runs in a
 * template before it serves; its job is a spare that gets an order like any
 * other, but that nobody waits for what it tells.
 *
 * No code of users runs in it but handlers of the fork. Such a handler may hang
 * or end the job: then the pages are not known. It must not hold up the
 * template for long.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/spawn_child.h"
#include "common/spawn_os.h"
#include "common/spawn_process.h"
#include "perl/xs/template/hot.h"
#include "perl/xs/template/template.h"

#define WAIT 2000 /* ms */

/* The things that the order needs, and those that we keep of it. */
typedef struct {
    int spare[2]; /* a socket: ours, the spare's */
    int link[2];  /* a socket: what the job tells is not read */
    int end[2];   /* a pipe that ends with the job, which has it for a bell */
    int board;
} things;

static int build(pTHX_ spawn_writer *w)
{
    const spawn_id id = {{1}};
    const uint64_t keep[] = {0, SPAWN_KEEP_BOARD, 1, SPAWN_KEEP_BELL};

    spawn_writer_begin(w, SPAWN_M_LAUNCH, 0);
    spawn_put_id(w, SPAWN_A_ID, &id);
    spawn_template_put_nothing(aTHX_ w);
    spawn_put_u64v(w, SPAWN_A_KEEP, keep, C_ARRAY_LENGTH(keep));
    return spawn_writer_finish(w, 2);
}

static int order(pTHX_ const things *t)
{
    uint8_t bytes[8192];
    const int fds[] = {t->board, t->end[1], t->link[1]};
    spawn_writer w;
    int rv;

    spawn_writer_init_fixed(&w, bytes, sizeof(bytes));
    rv = build(aTHX_ & w);
    return rv < 0 ? rv
                  : spawn_packet_send(t->spare[0], w.data, w.length, fds,
                                      C_ARRAY_LENGTH(fds));
}

/* It has ended when nobody has the pipe any more. */
static bool has_ended(int pipe, int timeout)
{
    struct pollfd wait_for = {.fd = pipe, .events = POLLIN};
    int64_t until = spawn_mono_ms() + timeout;
    char bell[8];
    ssize_t n;

    for (;;) {
        int64_t left = until - spawn_mono_ms();

        n = poll(&wait_for, 1, left > 0 ? (int)left : 0);
        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        if (n > 0 && read(pipe, bell, sizeof(bell)) == 0)
            return true;
    }
}

/* By its number, which is its own as long as somebody has the pipe. */
static void end(pid_t pid, int pipe)
{
    int pidfd = spawn_os_pidfd(pid);

    if (pidfd >= 0 && !has_ended(pipe, 0))
        (void)syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
    if (pidfd >= 0)
        (void)close(pidfd);
}

/* Nobody else does. Its number is its own as long as we have not. */
static void reap(pid_t pid)
{
    (void)kill(pid, SIGKILL); /* it may hang where it cannot know of its end */
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

static void close_all(things *t)
{
    int *fds[] = {&t->spare[0], &t->spare[1], &t->link[0], &t->link[1],
                  &t->end[0],   &t->end[1],   &t->board};
    size_t i;

    for (i = 0; i < C_ARRAY_LENGTH(fds); i++) {
        if (*fds[i] >= 0)
            (void)close(*fds[i]);
    }
}

/* Its ends that the job copies are made before the fork; those that show its
 * end, after it. */
static pid_t fork_it(pTHX_ things *t, bool own)
{
    pid_t pid;
    int lifted;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, t->spare) < 0)
        return -errno;
    lifted = fcntl(t->spare[1], F_DUPFD_CLOEXEC, SPAWN_CHILD_LIFTED);
    if (lifted < 0)
        return -errno;
    (void)close(t->spare[1]);
    t->spare[1] = lifted;
    spawn_template_flush(aTHX);
    pid = spawn_template_fork(!own);
    if (pid == 0) {
        (void)close(t->spare[0]);
        spawn_template_job_tells(spawn_hot_note);
        spawn_spares_be(aTHX_ lifted);
    }
    (void)close(t->spare[1]);
    t->spare[1] = -1;
    return pid;
}

static bool give_order(pTHX_ things *t)
{
    t->board = spawn_board_make();
    if (t->board < 0 || pipe2(t->end, O_CLOEXEC) < 0
        || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, t->link) < 0
        || order(aTHX_ t) < 0)
        return false;
    (void)close(t->end[1]);
    t->end[1] = -1;
    return true;
}

/* Without an order a spare ends, when its socket is closed. */
static bool probe(pTHX_ bool own)
{
    things t = {{-1, -1}, {-1, -1}, {-1, -1}, -1};
    pid_t pid = fork_it(aTHX_ & t, own);
    bool ended = false;

    if (pid > 0 && give_order(aTHX_ & t)) {
        ended = has_ended(t.end[0], WAIT);
        if (!ended)
            end(pid, t.end[0]);
    }
    close_all(&t);
    if (pid > 0 && own)
        reap(pid);
    return ended;
}

static bool probe_of_ours(void *unused)
{
    dTHX;

    (void)unused;
    return probe(aTHX_ true);
}

static bool probe_of_the_spawner(void *unused)
{
    dTHX;

    (void)unused;
    return probe(aTHX_ false);
}

void spawn_template_probe(bool own)
{
    spawn_hot_keep(own ? probe_of_ours : probe_of_the_spawner, NULL);
}
