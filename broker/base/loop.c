/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop on apr_pollset. Runs in the broker, one thread.
 *
 * APR's wrappers of descriptors come from a pool and cannot be given back, so
 * closed ones are kept for the next descriptor: memory follows the highest
 * number of descriptors ever watched at once. All descriptors, pipes and pidfds
 * too, have the wrapper of a socket, since only that kind can be given another
 * descriptor; the pollset uses nothing else of it.
 */
#include "broker/base/loop.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <apr_general.h>
#include <apr_portable.h>

#include "common/spawn_closer.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "broker/base/array.h"
#include "broker/base/timer.h"

#define EVENTS_A_TURN 256
#define LONGEST_WAIT  3600000 /* ms */

static apr_pool_t *pool;
static apr_pollset_t *pollset;

static apr_socket_t **spare;
static size_t spare_used, spare_room;

static void **garbage;
static size_t garbage_used, garbage_room;

static bool again;
static bool one_event;

int spawn_loop_init(void)
{
    if (apr_initialize() != APR_SUCCESS
        || apr_pool_create(&pool, NULL) != APR_SUCCESS)
        return -ENOMEM;
    apr_pool_tag(pool, "spawn broker");
    if (apr_pollset_create_ex(&pollset, EVENTS_A_TURN, pool, APR_POLLSET_NOCOPY,
                              APR_POLLSET_EPOLL)
        != APR_SUCCESS)
        return -ENOSYS;
    return 0;
}

static int watch_add(spawn_watch *w)
{
    apr_status_t rv;

    w->poll.reqevents = (apr_int16_t)w->events;
    rv = apr_pollset_add(pollset, &w->poll);
    return rv == APR_SUCCESS ? 0 : -APR_TO_OS_ERROR(rv);
}

int spawn_watch_open(spawn_watch *w, int fd, int events,
                     void (*ready)(spawn_watch *w, int events))
{
    apr_socket_t *wrapper = spare_used ? spare[--spare_used] : NULL;
    int rv;

    memset(w, 0, sizeof(*w));
    w->fd = -1;
    if (apr_os_sock_put(&wrapper, &fd, pool) != APR_SUCCESS) {
        (void)close(fd);
        return -ENOMEM;
    }
    w->fd = fd;
    w->events = events;
    w->ready = ready;
    w->poll.p = pool;
    w->poll.desc_type = APR_POLL_SOCKET;
    w->poll.desc.s = wrapper;
    w->poll.client_data = w;
    rv = watch_add(w);
    if (rv < 0)
        spawn_watch_close(w);
    return rv;
}

void spawn_watch_events(spawn_watch *w, int events)
{
    if (w->fd < 0 || events == w->events)
        return;
    w->events = events;
    (void)apr_pollset_remove(pollset, &w->poll);
    if (watch_add(w) < 0)
        spawn_log_few("the broker", SPAWN_LOG_FEW, SPAWN_LOG_ERR,
                      MSNO(0501) "descriptor %d cannot be watched any more",
                      w->fd);
}

void spawn_watch_pause(spawn_watch *w)
{
    if (w->fd < 0)
        return;
    w->events = 0;
    (void)apr_pollset_remove(pollset, &w->poll);
}

/* Stop watching; the wrapper is for the next one. */
static int take_back(spawn_watch *w)
{
    int fd = w->fd;

    (void)apr_pollset_remove(pollset, &w->poll);
    w->fd = -1;
    spare = spawn_array_grow(spare, spare_used, &spare_room, sizeof(*spare));
    spare[spare_used++] = w->poll.desc.s;
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
    garbage = spawn_array_grow(garbage, garbage_used, &garbage_room,
                               sizeof(*garbage));
    garbage[garbage_used++] = p;
}

void spawn_loop_again(void)
{
    again = true;
}

bool spawn_loop_one_event(void)
{
    return one_event;
}

static apr_interval_time_t longest_wait(void)
{
    int64_t next = spawn_timer_next(), count = spawn_log_due();
    int closer = spawn_closer_tick(spawn_mono_ms());
    int64_t wait = LONGEST_WAIT;

    if (again)
        return 0;
    if (count && (next < 0 || count < next))
        next = count;
    if (next >= 0) {
        wait = next - spawn_mono_ms();
        if (wait < 0)
            wait = 0;
        if (wait > LONGEST_WAIT)
            wait = LONGEST_WAIT;
    }
    if (closer >= 0 && closer < wait)
        wait = closer;
    return (apr_interval_time_t)wait * 1000;
}

void spawn_loop_run(void (*turn_end)(void *of), void *of)
{
    for (;;) {
        apr_interval_time_t wait = longest_wait();
        const apr_pollfd_t *ready;
        apr_int32_t count = 0, i;

        one_event = !again;
        again = false;
        if (apr_pollset_poll(pollset, wait, &count, &ready) != APR_SUCCESS)
            count = 0;
        one_event = one_event && count == 1;
        for (i = 0; i < count; i++) {
            spawn_watch *w = ready[i].client_data;

            if (w->fd >= 0)
                w->ready(w, ready[i].rtnevents);
        }
        spawn_timers_run(spawn_mono_ms());
        turn_end(of);
        spawn_log_counts(spawn_mono_ms());
        while (garbage_used > 0)
            free(garbage[--garbage_used]);
    }
}
