/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's loop (broker/base/loop.h) in the place of the one on
 * apr_pollset. Runs in the simulated broker. It does one turn when the world
 * calls for it, so whatever is ready was made ready before the turn, and says
 * when it wants the next. In which order things are taken comes from the seed.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/base/loop.h"
#include "broker/base/notify.h"
#include "broker/base/timer.h"
#include "broker/run/lease.h"
#include "broker/run/pool.h"
#include "broker/base/passed.h"
#include "broker/process/link.h"
#include "broker/broker.h"
#include "broker/spawner_says.h"
#include "broker/store/commit.h"
#include "broker/turn.h"
#include "common/spawn_closer.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_sweep.h"
#include "t/simulation/world.h"

#define WATCHES 256

static spawn_watch *watches[WATCHES];
static struct pollfd fds[WATCHES];
static unsigned used;
static bool again = true;
static spawn_broker broker;

static void **garbage;
static unsigned garbage_used, garbage_room;

int spawn_loop_init(void)
{
    return 0;
}

int spawn_watch_open(spawn_watch *w, int fd, int events,
                     void (*ready)(spawn_watch *w, int events))
{
    memset(w, 0, sizeof(*w));
    w->fd = -1;
    if (used == WATCHES) {
        (void)close(fd);
        return -ENOMEM;
    }
    w->fd = fd;
    w->events = events;
    w->ready = ready;
    w->poll.reqevents = 1; /* it is watched */
    watches[used++] = w;
    return 0;
}

void spawn_watch_events(spawn_watch *w, int events)
{
    w->events = events;
    w->poll.reqevents = 1;
}

void spawn_watch_pause(spawn_watch *w)
{
    w->events = 0;
    w->poll.reqevents = 0;
}

static int take_back(spawn_watch *w)
{
    int fd = w->fd;
    unsigned i;

    for (i = 0; watches[i] != w; i++)
        ;
    memmove(&watches[i], &watches[i + 1], (used - i - 1) * sizeof(*watches));
    used--;
    w->fd = -1;
    return fd;
}

void spawn_watch_close(spawn_watch *w)
{
    if (w->fd >= 0)
        (void)close(take_back(w));
}

void spawn_watch_give_away(spawn_watch *w, uid_t owner)
{
    if (w->fd >= 0)
        spawn_closer_give_socket(take_back(w), owner);
}

void spawn_free_later(void *p)
{
    if (garbage_used == garbage_room) {
        garbage_room = garbage_room ? garbage_room * 2 : 32;
        garbage = realloc(garbage, garbage_room * sizeof(void *));
        if (!garbage)
            abort();
    }
    garbage[garbage_used++] = p;
}

bool spawn_loop_one_event(void)
{
    return false;
}

void spawn_loop_again(void)
{
    again = true;
}

/* ---- turns ---- */

static void want_turn(void)
{
    int64_t next = spawn_timer_next(), count = spawn_log_due();

    if (count && (next < 0 || count < next))
        next = count;
    board->next = again ? board->mono_ms : next < 0 ? FOREVER : next;
    again = false;
}

/* The descriptors that are ready, in an order of their own. */
static unsigned find_ready(spawn_watch **ready, int *seen)
{
    unsigned i, k, count = 0;

    for (i = 0; i < used; i++) {
        fds[i].fd = watches[i]->poll.reqevents ? watches[i]->fd : -1;
        fds[i].events =
            (short)((watches[i]->events & SPAWN_IN ? POLLIN : 0)
                    | (watches[i]->events & SPAWN_OUT ? POLLOUT : 0));
        fds[i].revents = 0;
    }
    (void)poll(fds, used, 0);
    for (i = 0; i < used; i++) {
        int events = (fds[i].revents & POLLIN ? SPAWN_IN : 0)
                     | (fds[i].revents & POLLOUT ? SPAWN_OUT : 0)
                     | (fds[i].revents & POLLHUP ? APR_POLLHUP : 0)
                     | (fds[i].revents & POLLERR ? APR_POLLERR : 0);

        if (!events)
            continue;
        board->order =
            board->order * 6364136223846793005u + 1442695040888963407u;
        k = (unsigned)(board->order >> 33) % (count + 1);
        ready[count] = ready[k];
        seen[count++] = seen[k];
        ready[k] = watches[i];
        seen[k] = events;
    }
    return count;
}

/* A part that leaves work for the next turn calls for it: the real loop could
 * wait for an hour else. Work that the store did not take has a time of its
 * own. */
static void does_nothing_more(void)
{
    uint64_t before = board->points;

    spawn_turn_end(&broker);
    if (board->points != before)
        promise_broken("the broker had work to do, and waited");
}

void life_does_turn(void)
{
    static spawn_watch *ready[WATCHES + 1];
    static int seen[WATCHES + 1];
    bool store_takes_all = board->store == STORE_GOOD && board->fail_in == 0
                           && !spawn_commit_failing(broker.store);
    unsigned count, i;

    count = find_ready(ready, seen);
    for (i = 0; i < count; i++) {
        if (ready[i]->fd >= 0)
            ready[i]->ready(ready[i], seen[i]);
    }
    spawn_timers_run(spawn_mono_ms());
    spawn_turn_end(&broker);
    spawn_log_counts(spawn_mono_ms());
    while (garbage_used > 0)
        free(garbage[--garbage_used]);
    if (!again && store_takes_all)
        does_nothing_more();
    want_turn();
}

/* The steps of broker/main.c, but for those that would be of the whole process.
 */
void life_starts(void)
{
    spawn_notify_take(SPAWN_LINK_FD + 1);
    spawn_passed_begin();
    broker.store = spawn_store_new();
    spawn_batch_init(&broker.batch, broker.store);
    spawn_pools_open();
    spawn_leases_open(&broker.batch);
    spawn_turn_open(&broker);
    if (spawn_link_open(&spawn_spawner_says, &broker) < 0)
        _exit(1);
    want_turn();
}
