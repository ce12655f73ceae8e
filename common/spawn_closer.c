/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The closer of spawn_closer.h. Runs in spawner and broker, and (help) in the
 * processes that they clone, which must never return.
 *
 * Numbers travel through a pipe, and any closer that is free reads them. A page
 * that all share has the state of each. A closer is no child in the sense of
 * wait and SIGCHLD (its exit signal is 0), so that the spawner does not see it
 * when it reaps jobs; it ends with the process that cloned it.
 *
 * A closer that dies had at most one number. Nobody can know whether that is
 * closed, so it is left alone: another file may have it by now.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/spawn_closer.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_packet.h"
#include "common/spawn_process.h"
#include "common/spawn_tree.h"

#define CLOSERS        8
#define OWNERS         256  /* places to count in */
#define STUCK          20   /* ms in one close: another closer is started */
#define TOLD_AFTER     2000 /* ms in one close: a line in the log */
#define TELL_AGAIN     60000
#define TRY_AGAIN      1000
#define IDLE           10000 /* ms without work: a closer leaves */
#define KILLED         50    /* ms until one that was killed has gone */
#define PACKETS_THROWN 64
#define PIPE_SIZE      (1 << 20)

typedef struct {
    int32_t fd;
    uint32_t owner; /* place */
} item;

enum {
    FREE, /* no process */
    WAITS,
    CLOSES
};

typedef struct {
    _Atomic int state;
    _Atomic int owner; /* of what it closes */
    _Atomic int64_t since;
} place;

typedef struct {
    _Atomic uint32_t all;
    _Atomic uint32_t of[OWNERS];
    place closer[CLOSERS];
} board_t;

static board_t *board;
static pid_t pids[CLOSERS];
static int pipe_ends[2] = {-1, -1};
static char *name;
static int64_t told_at;
static item *taken_back; /* by spawn_closer_end; heap */
static unsigned taken_count;

void spawn_closer_name(char *argv0)
{
    name = argv0;
}

static unsigned place_of(uid_t owner)
{
    return (unsigned)(owner % OWNERS);
}

static void count(uint32_t owner)
{
    (void)atomic_fetch_add(&board->all, 1);
    (void)atomic_fetch_add(&board->of[owner], 1);
}

static void uncount(uint32_t owner)
{
    (void)atomic_fetch_sub(&board->of[owner], 1);
    (void)atomic_fetch_sub(&board->all, 1);
}

/* ---- in the closer ---- */

static void close_one(place *me, const item *it)
{
    atomic_store(&me->owner, it->owner);
    atomic_store(&me->since, spawn_mono_ms());
    atomic_store(&me->state, CLOSES);
    (void)close(it->fd);
    atomic_store(&me->state, WAITS);
    uncount(it->owner);
}

static void help(place *me, pid_t parent) __attribute__((noreturn));

static void help(place *me, pid_t parent)
{
    static const char is[] = "mod_spawn closer";
    item it;

    (void)spawn_os_block_signals();
    (void)spawn_os_die_with_parent(SIGKILL);
    if (getppid() != parent)
        _exit(0);
    if (name)
        (void)strncpy(name, is, strlen(name));
    for (;;) {
        struct pollfd p = {pipe_ends[0], POLLIN, 0};

        if (read(pipe_ends[0], &it, sizeof(it)) == (ssize_t)sizeof(it)) {
            close_one(me, &it);
            continue;
        }
        /* a descriptor that is given just now is for another closer, at the
         * next tick */
        if (poll(&p, 1, IDLE) == 0)
            _exit(0);
    }
}

/* ---- in the process that gives ---- */

static int open_board(void)
{
    void *map;

    if (board)
        return 0;
    if (pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return -errno;
    (void)fcntl(pipe_ends[1], F_SETPIPE_SZ, PIPE_SIZE);
    map = mmap(NULL, sizeof(board_t), PROT_READ | PROT_WRITE,
               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) {
        int error = errno;

        (void)close(pipe_ends[0]);
        (void)close(pipe_ends[1]);
        return -error;
    }
    board = map;
    return 0;
}

void spawn_closer_prepare(void)
{
    (void)open_board(); /* or with the first that is given */
}

static void cannot(const char *what, int error)
{
    spawn_log_few(what, 1, SPAWN_LOG_ERR,
                  MSNO(0340) "%s: %s; descriptors that were passed to "
                             "mod_spawn stay open",
                  what, strerror(error));
}

void spawn_closer_give(int fd, uid_t owner)
{
    const item it = {fd, place_of(owner)};
    int rv;

    if (fd < 0)
        return;
    rv = open_board();
    if (rv < 0) {
        cannot("nothing can be closed without blocking", -rv);
        return;
    }
    count(it.owner);
    if (write(pipe_ends[1], &it, sizeof(it)) != (ssize_t)sizeof(it)) {
        rv = errno;
        uncount(it.owner);
        cannot("too much waits to be closed", rv);
        return;
    }
    (void)spawn_closer_tick(spawn_mono_ms());
}

static void give_all(struct msghdr *m, uid_t owner)
{
    struct cmsghdr *c;

    for (c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        size_t at;

        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        for (at = CMSG_LEN(0); at + sizeof(int) <= c->cmsg_len;
             at += sizeof(int)) {
            int fd;

            memcpy(&fd, (const char *)c + at, sizeof(fd));
            spawn_closer_give(fd, owner);
        }
    }
}

/* Take one packet out. An empty packet reads like the end, but credentials come
 * with every packet, and none with the end. When the other end was closed
 * before it had read everything, the kernel says so ahead of what that end had
 * sent. */
static bool take_out(int sock, uid_t owner)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int) * SPAWN_FDS_AT_ONCE)
                  + CMSG_SPACE(sizeof(struct ucred))];
    } control;
    struct msghdr m = {.msg_control = control.room,
                       .msg_controllen = sizeof(control.room)};

    if (recvmsg(sock, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
        return errno == ECONNRESET;
    give_all(&m, owner);
    return m.msg_controllen > 0;
}

void spawn_closer_give_socket(int fd, uid_t owner)
{
    const int on = 1;
    int left = PACKETS_THROWN;

    /* Nothing more can be sent to it; what is there can be counted. */
    if (shutdown(fd, SHUT_RD) == 0
        && setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0) {
        while (left > 0 && take_out(fd, owner))
            left--;
    }
    else {
        left = 0;
    }
    if (left > 0)
        (void)close(fd);
    else
        spawn_closer_give(fd, owner);
}

unsigned spawn_closer_waiting(uid_t owner)
{
    return board ? atomic_load(&board->of[place_of(owner)]) : 0;
}

static void start(unsigned i)
{
    pid_t parent = getpid();
    long pid;

    atomic_store(&board->closer[i].state, WAITS);
    /* No exit signal and no common memory: a fork that shares the table. */
    pid = syscall(SYS_clone, CLONE_FILES, NULL, NULL, NULL, NULL);
    if (pid == 0)
        help(&board->closer[i], parent);
    if (pid < 0) {
        atomic_store(&board->closer[i].state, FREE);
        cannot("no process can be started that closes", errno);
        return;
    }
    pids[i] = (pid_t)pid;
}

/* Reap the closers that left or were killed. */
static unsigned reap(void)
{
    unsigned left = 0, i;

    for (i = 0; i < CLOSERS; i++) {
        place *c;

        if (pids[i] == 0) /* all of them, while there is no board */
            continue;
        c = &board->closer[i];
        if (waitpid(pids[i], NULL, __WALL | WNOHANG) == 0) {
            left++;
            continue;
        }
        spawn_tree_reaped(pids[i]);
        if (atomic_load(&c->state) == CLOSES)
            uncount((uint32_t)atomic_load(&c->owner));
        atomic_store(&c->state, FREE);
        pids[i] = 0;
    }
    return left;
}

static void tell(unsigned stuck, uint32_t all, int64_t now)
{
    if (told_at && now - told_at < TELL_AGAIN)
        return;
    told_at = now;
    spawn_log(SPAWN_LOG_WARN,
              MSNO(0341) "%u descriptors that were passed to mod_spawn do not "
                         "close (a file system or connection does not answer), "
                         "%u wait behind them; nothing else waits for them",
              stuck, (unsigned)all - stuck);
}

int spawn_closer_tick(int64_t now)
{
    unsigned closing = 0, waiting = 0, long_stuck = 0, processes, i;
    int free_place = -1, soonest = STUCK;
    uint32_t all;

    if (!board)
        return -1;
    processes = reap();
    all = atomic_load(&board->all);
    for (i = 0; i < CLOSERS; i++) {
        place *c = &board->closer[i];
        int64_t age = now - atomic_load(&c->since);

        switch (atomic_load(&c->state)) {
        case FREE:
            free_place = (int)i;
            break;
        case WAITS:
            waiting++;
            break;
        case CLOSES:
            closing++;
            long_stuck += age >= TOLD_AFTER;
            if (age >= STUCK)
                break;
            waiting++; /* that one is most likely free in a moment */
            if (STUCK - age < soonest)
                soonest = (int)(STUCK - age);
            break;
        default:
            break;
        }
    }
    if (long_stuck)
        tell(long_stuck, all, now);
    if (all <= closing) /* nothing waits */
        return closing ? TRY_AGAIN : processes ? IDLE : -1;
    if (waiting > 0)
        return soonest;
    if (free_place < 0)
        return TRY_AGAIN;
    start((unsigned)free_place);
    return pids[free_place] ? STUCK : TRY_AGAIN;
}

/* Nobody could reap them after the exec. A closer may be in a close that no
 * signal interrupts: do not wait for that one. */
static void reap_killed(void)
{
    struct pollfd p = {-1, POLLIN, 0};
    unsigned i;

    for (i = 0; i < CLOSERS; i++) {
        if (!pids[i])
            continue;
        p.fd = spawn_os_pidfd(pids[i]);
        (void)poll(&p, 1, KILLED);
        (void)close(p.fd);
    }
    (void)reap();
}

static void take_back(const item *it)
{
    item *more = realloc(taken_back, (taken_count + 1) * sizeof(*more));

    if (!more)
        return; /* it stays open, if no new self comes */
    taken_back = more;
    taken_back[taken_count++] = *it;
}

void spawn_closer_end(void)
{
    unsigned i;
    item it;

    for (i = 0; i < CLOSERS; i++) {
        if (pids[i])
            (void)kill(pids[i], SIGKILL);
    }
    while (read(pipe_ends[0], &it, sizeof(it)) == (ssize_t)sizeof(it)) {
        (void)fcntl(it.fd, F_SETFD, 0);
        uncount(it.owner);
        take_back(&it);
    }
    reap_killed();
}

void spawn_closer_again(void)
{
    unsigned i;

    for (i = 0; i < taken_count; i++)
        spawn_closer_give(taken_back[i].fd, taken_back[i].owner);
    free(taken_back);
    taken_back = NULL;
    taken_count = 0;
}
