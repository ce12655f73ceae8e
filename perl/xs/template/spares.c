/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spares: clones of the template that are there before their order, so that a
 * call finds its process forked, set up as far as that goes, and with the pages
 * that every job writes copied. The first half runs in the template, the second
 * in a spare. docs/spares.md is about it.
 *
 * A spare is a job's process like any other, only early: it serves one order or
 * none. It has a socket whose other end the template has, and a pidfd of the
 * template, and nothing else that the template has: when that end is closed or
 * the template has ended, the spare ends. (The end alone would not do: a
 * process that hangs in a handler of the fork has a copy.) An order is given to
 * it whole, with the link. When it is set up it tells so to the spawner, and to
 * us. The spawner is told of one that has not done so soon; when that one ends,
 * it has not run, and the spawner has the order started again.
 *
 * Must not hold up an order: spares are forked when none waits.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "common/spawn_child.h"
#include "common/spawn_os.h"
#include "common/spawn_process.h"
#include "common/spawn_sweep.h"
#include "perl/xs/template/hot.h"
#include "perl/xs/template/template.h"

#define LEAST  2     /* while calls come */
#define STAY   10000 /* ms after the last call */
#define SETTLE 1     /* ms after an order: its job goes first */
#define PERIOD 2000  /* ms: how many are needed is known of so long */
/* The broker knows a process by its start, which must not be too long before
 * its order (orphan.c). */
#define OLD_MS    30000
#define PAUSE_MIN 100 /* ms, when they cannot be forked, or die */
#define PAUSE_MAX 60000

typedef struct {
    int fd;    /* our end */
    int pidfd; /* or -1 */
    pid_t pid;
    int64_t born; /* ms since boot */
} spare;

static spare spares[SPAWN_SPARES_MAX]; /* the oldest first */
static unsigned count;

/* That have an order and have not told us so. */
typedef struct {
    int fd;
    pid_t pid;
    spawn_id id;
    int64_t since; /* mono ms */
} busy;

static busy given[SPAWN_SPARES_MAX]; /* the oldest first */
static unsigned given_count;

static unsigned most;
static bool own;
static int the_template = -1; /* its pidfd, in it and in idle spares */
static int64_t called_at;     /* mono ms of the last order; 0: none yet */
static unsigned burst;        /* orders that came without a pause in between */
static unsigned peak[2];      /* of burst: of this period, of the one before */
static int64_t period_from;   /* mono ms */
static int64_t pause_until;   /* mono ms */
static int64_t pause_ms;

/* ---- in the template ---- */

/* Above the numbers that jobs ask for. Without it spares see the end of their
 * socket. */
static void know_the_template(void)
{
    int pidfd = spawn_os_pidfd(getpid());

    if (pidfd < 0)
        return;
    the_template = fcntl(pidfd, F_DUPFD_CLOEXEC, SPAWN_CHILD_LIFTED);
    (void)close(pidfd);
}

void spawn_spares_begin(unsigned at_most, bool are_ours)
{
    most = at_most < SPAWN_SPARES_MAX ? at_most : SPAWN_SPARES_MAX;
    own = are_ours;
    if (most > 0)
        know_the_template();
}

static void close_it(const spare *s)
{
    (void)close(s->fd);
    if (s->pidfd >= 0)
        (void)close(s->pidfd);
}

void spawn_spares_leave(void)
{
    while (count > 0)
        close_it(&spares[--count]);
    while (given_count > 0)
        (void)close(given[--given_count].fd);
}

static void drop(unsigned i)
{
    close_it(&spares[i]);
    count--;
    memmove(&spares[i], &spares[i + 1], (count - i) * sizeof(*spares));
}

/* Not by its number: another process may have that. */
static void end(unsigned i)
{
    if (spares[i].pidfd >= 0)
        (void)syscall(SYS_pidfd_send_signal, spares[i].pidfd, SIGKILL, NULL, 0);
    drop(i);
}

/* A spare that is set up has told the spawner of itself. Of others we tell. */
static int settle_one(int link)
{
    busy g = given[0];
    char byte;
    bool told = recv(g.fd, &byte, 1, MSG_DONTWAIT) == 1;

    (void)close(g.fd);
    given_count--;
    memmove(&given[0], &given[1], given_count * sizeof(*given));
    return told ? 0 : spawn_template_tell_launched(link, &g.id, g.pid, true);
}

int spawn_spares_settle(int link)
{
    int rv = 0;

    while (rv >= 0 && given_count > 0
           && spawn_mono_ms() - given[0].since > SETTLE)
        rv = settle_one(link);
    return rv;
}

void spawn_spares_end(int link)
{
    while (given_count > 0)
        (void)settle_one(link);
    while (count > 0)
        end(count - 1);
    most = 0;
}

static void pause_a_while(int64_t now)
{
    pause_ms = pause_ms ? pause_ms * 2 : PAUSE_MIN;
    if (pause_ms > PAUSE_MAX)
        pause_ms = PAUSE_MAX;
    pause_until = now + pause_ms;
}

unsigned spawn_spares_watch(struct pollfd *into)
{
    unsigned i;

    for (i = 0; i < count; i++)
        into[i] = spares[i].pidfd >= 0
                      ? (struct pollfd){.fd = spares[i].pidfd, .events = POLLIN}
                      : (struct pollfd){.fd = spares[i].fd};
    return count;
}

/* They say nothing: one that has something to tell has ended. By its process:
 * another spare that was forked with it has a copy of its socket, as long as it
 * hangs in a handler of the fork. */
void spawn_spares_look(const struct pollfd *found, unsigned n)
{
    bool died = false;

    while (n-- > 0) {
        if (found[n].revents) {
            drop(n);
            died = true;
        }
    }
    if (died)
        pause_a_while(spawn_mono_ms());
}

static bool no_calls(int64_t now)
{
    return called_at == 0 || now - called_at >= STAY;
}

static unsigned wanted(int64_t now)
{
    unsigned n = LEAST;

    if (no_calls(now))
        return 0;
    n = peak[0] > n ? peak[0] : n;
    n = peak[1] > n ? peak[1] : n;
    return n < most ? n : most;
}

void spawn_spares_called(void)
{
    int64_t now = spawn_mono_ms();

    if (now - period_from >= PERIOD) {
        peak[1] = now - period_from < 2 * PERIOD ? peak[0] : 0;
        peak[0] = 0;
        period_from = now;
    }
    burst = now - called_at > SETTLE ? 1 : burst + 1;
    if (burst > peak[0])
        peak[0] = burst;
    called_at = now;
}

/* When the next one is to be forked. */
static int64_t due(int64_t now)
{
    int64_t at = count == 0 ? now : called_at + SETTLE + 1;

    return at > pause_until ? at : pause_until;
}

int spawn_spares_wait(void)
{
    int64_t now = spawn_mono_ms();
    int64_t at;

    if (most == 0 || no_calls(now))
        return count > 0 ? 0 : -1;
    at = given_count > 0 ? given[0].since + SETTLE + 1 : called_at + STAY;
    if (count < wanted(now) && due(now) < at)
        at = due(now);
    return at > now ? (int)(at - now) : 0;
}

static bool is_old(const spare *s)
{
    return spawn_boot_ms() - s->born > OLD_MS;
}

/* A socket: our end, the spare's. */
static bool make_socket(int *ends)
{
    int lifted;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return false;
    /* the job's own numbers are below */
    lifted = fcntl(ends[1], F_DUPFD_CLOEXEC, SPAWN_CHILD_LIFTED);
    (void)close(ends[1]);
    if (lifted < 0)
        (void)close(ends[0]);
    ends[1] = lifted;
    return lifted >= 0;
}

/* false: it could not be forked. */
static bool take_forked(int ours, pid_t pid)
{
    if (pid < 0)
        (void)close(ours); /* which ends one that we do not know of */
    else
        spares[count++] = (spare){.fd = ours,
                                  .pidfd = spawn_os_pidfd(pid),
                                  .pid = pid,
                                  .born = spawn_boot_ms()};
    return pid >= 0;
}

/* 0 or -EOWNERDEAD, as for a job's fork: the helper was killed, perhaps with
 * locks of ours that handlers of the fork had taken. */
static int fork_some(pTHX_ unsigned n, int64_t now)
{
    int ends[SPAWN_FORK_MOST][2];
    pid_t pids[SPAWN_FORK_MOST];
    unsigned made = 0, forked = 0, i;
    int which, rv = 0;

    while (made < n && make_socket(ends[made]))
        made++;
    if (made > 0) {
        spawn_template_flush(aTHX);
        which = spawn_template_fork_some(!own, made, pids);
        if (which >= 0)
            spawn_spares_be(aTHX_ ends[which][1]);
    }
    for (i = 0; i < made; i++) {
        (void)close(ends[i][1]);
        forked += take_forked(ends[i][0], pids[i]);
        if (pids[i] == -EOWNERDEAD)
            rv = -EOWNERDEAD;
    }
    if (forked < n)
        pause_a_while(now);
    return rv;
}

/* One, so that the next order does not wait; but when orders come so fast that
 * none is left, all that are missing, since that costs less. */
static unsigned how_many(int64_t now)
{
    unsigned missing = wanted(now) - count;

    if (count > 0 || missing <= LEAST)
        return 1;
    return missing < SPAWN_FORK_MOST ? missing : SPAWN_FORK_MOST;
}

int spawn_spares_keep(pTHX)
{
    int64_t now = spawn_mono_ms();

    while (count > 0 && (is_old(&spares[0]) || count > wanted(now)))
        end(0);
    if (count < wanted(now) && due(now) <= now)
        return fork_some(aTHX_ how_many(now), now);
    return 0;
}

/* 0, or a negative errno: it has not got it. */
static int send_order(const spare *s, int link, const spawn_packet *packet)
{
    int fds[SPAWN_FDS_MAX];

    memcpy(fds, packet->fds, packet->fds_count * sizeof(*fds));
    fds[packet->fds_count] = link;
    return spawn_packet_send(s->fd, packet->data, packet->length, fds,
                             packet->fds_count + 1);
}

/* Our own child's process is told by the code that adds it to the children. */
static void note_given(int link, const spare *s, const spawn_message *order)
{
    busy *g;

    if (own) {
        (void)close(s->fd);
        return;
    }
    if (given_count == SPAWN_SPARES_MAX)
        (void)settle_one(link); /* a link that has failed is noticed */
    g = &given[given_count++];
    g->fd = s->fd;
    g->pid = s->pid;
    g->since = spawn_mono_ms();
    spawn_attr_id(&order->attr[SPAWN_A_ID], &g->id);
}

pid_t spawn_spares_give(int link, const spawn_message *order,
                        const spawn_packet *packet)
{
    /* a worker stays: nobody waits for its start; what came in a file would be
     * copied */
    if (spawn_has(order, SPAWN_A_IS_WORKER) || packet->map
        || packet->fds_count >= SPAWN_FDS_MAX)
        return 0;
    while (count > 0) {
        spare s = spares[0];
        int rv;

        if (is_old(&s)) {
            end(0);
            continue;
        }
        rv = send_order(&s, link, packet);
        if (rv < 0) {
            drop(0);
            pause_a_while(spawn_mono_ms());
            continue;
        }
        count--;
        memmove(&spares[0], &spares[1], count * sizeof(*spares));
        if (s.pidfd >= 0)
            (void)close(s.pidfd);
        note_given(link, &s, order);
        pause_ms = 0;
        return s.pid;
    }
    return 0;
}

/* ---- in a spare ---- */

static uint8_t buffer[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];
static spawn_message order;

/* By hand: Perl would touch some twenty pages, and the job sets $0 anyway. */
static void set_title(pTHX)
{
    static const char template[] = "mod_spawn template ";
    static const char is_spare[] = "mod_spawn spare ";
    const size_t shorter = sizeof(template) - sizeof(is_spare);
    size_t room = PL_origargv ? (size_t)PL_origalen : 0;
    char *title = room ? PL_origargv[0] : NULL;

    if (room < sizeof(template)
        || memcmp(title, template, sizeof(template) - 1) != 0)
        return;
    memcpy(title, is_spare, sizeof(is_spare) - 1);
    memmove(title + sizeof(is_spare) - 1, title + sizeof(template) - 1,
            room - (sizeof(template) - 1));
    memset(title + room - shorter, title[room - shorter - 1], shorter);
    (void)prctl(PR_SET_NAME, title, 0, 0, 0);
}

/* All but 0 to 2, the socket and the template's pidfd. */
static void close_all_but(int fd)
{
    int first = the_template, second = fd;

    if (first > second) {
        first = fd;
        second = the_template;
    }
    if (first < 0)
        first = STDERR_FILENO;
    if (first > STDERR_FILENO + 1)
        (void)spawn_os_close_between(STDERR_FILENO + 1, first - 1);
    if (second > first + 1)
        (void)spawn_os_close_between(first + 1, second - 1);
    (void)spawn_os_close_from(second + 1);
}

/* The part of the set-up that does not depend on the order. A step that fails
 * here fails again in the job's own set-up, and is told then. */
static void prepare(pTHX_ int fd)
{
    sigset_t none;

    spawn_spares_leave();
    set_title(aTHX);
    spawn_template_close_handles(aTHX);
    close_all_but(fd);
    spawn_template_block_numbers();
    if (setsid() < 0)
        _exit(127);
    (void)spawn_os_die_with_parent(SIGKILL); /* also one that is stopped */
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* false: there is none, and when its template has ended, there will be none. */
static bool wait_for_order(int fd, int timeout)
{
    struct pollfd wait_for[] = {{.fd = fd, .events = POLLIN},
                                {.fd = the_template, .events = POLLIN}};
    int n = poll(wait_for, 2, timeout);

    return n < 0 ? errno == EINTR : n > 0 && wait_for[0].revents;
}

void spawn_spares_be(pTHX_ int fd)
{
    spawn_packet packet;
    bool may_come = true, has_copies;
    int link, rv;

    has_copies = spawn_hot_copy();
    prepare(aTHX_ fd);
    if (!has_copies && !wait_for_order(fd, 0))
        spawn_template_warm_up(aTHX);
    /* the last message of a template is taken */
    while ((rv = spawn_packet_receive(fd, buffer, sizeof(buffer), &packet))
               == -EAGAIN
           && may_come)
        may_come = wait_for_order(fd, -1);
    if (rv != 1 || packet.fds_count == 0)
        _exit(0); /* there will be none */
    (void)spawn_os_die_with_parent(0);
    packet.fds_count--;
    link = fcntl(packet.fds[packet.fds_count], F_DUPFD_CLOEXEC,
                 SPAWN_CHILD_LIFTED);
    if (link < 0
        || spawn_message_parse(packet.data, packet.length,
                               SPAWN_FROM_BROKER_TO_SPAWNER, packet.fds_count,
                               &order, NULL)
               < 0)
        _exit(127);
    spawn_template_become(aTHX_ link, &order, packet.fds, fd);
}
