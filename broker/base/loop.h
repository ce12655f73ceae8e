/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file loop.h
 * @brief The one event loop: descriptors, timers, turns.
 *
 * A turn takes what is ready, lets the watches and timers act, and ends with
 * turn_end (turn.h), where the store is committed and the messages that depend
 * on it are sent. Runs in the broker. Nothing in the loop may block.
 */
#ifndef SPAWN_BROKER_BASE_LOOP_H
#define SPAWN_BROKER_BASE_LOOP_H

#include <stdbool.h>
#include <sys/types.h>
#include <apr_poll.h>

#define SPAWN_IN  APR_POLLIN
#define SPAWN_OUT APR_POLLOUT
/** The other side has gone; reported whether asked for or not. */
#define SPAWN_GONE (APR_POLLHUP | APR_POLLERR)

/** One watched descriptor, a member of the object that reads it. It stays
 * where it is from open to the end of the turn in which it is closed. */
typedef struct spawn_watch spawn_watch;
struct spawn_watch {
    int fd; /* -1: not open */
    int events;
    void (*ready)(spawn_watch *w, int events);
    apr_pollfd_t poll;
};

/** @return 0 or a negative errno. */
int spawn_loop_init(void);

/**
 * Watch fd, which belongs to the watch from now on, also on failure (it is
 * closed then).
 * @return 0 or a negative errno.
 */
int spawn_watch_open(spawn_watch *w, int fd, int events,
                     void (*ready)(spawn_watch *w, int events));

/** Ask for other events; 0: only SPAWN_GONE. */
void spawn_watch_events(spawn_watch *w, int events);

/** Ask for nothing at all, not even SPAWN_GONE, until events are asked for
 * again. */
void spawn_watch_pause(spawn_watch *w);

/** Stop watching and close. Nothing happens when it is not open. The object
 * must be freed with spawn_free_later. */
void spawn_watch_close(spawn_watch *w);

/** The same for a Unix socket that this uid can send descriptors through, which
 * must not be closed with it here: spawn_closer.h. */
void spawn_watch_give_away(spawn_watch *w, uid_t owner);

/** Free at the end of the turn: events of this turn may still point at it. */
void spawn_free_later(void *p);

/** Do not wait before the next turn. */
void spawn_loop_again(void);

/** Is one descriptor alone the reason of this turn? */
bool spawn_loop_one_event(void);

/** Turn for ever. of: passed to turn_end. */
void spawn_loop_run(void (*turn_end)(void *of), void *of)
    __attribute__((noreturn));

#endif
