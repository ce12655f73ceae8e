/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file connection.h
 * @brief One connection of a caller to the broker.
 *
 * Runs in callers, in any thread; one thread uses a connection at a time. Not
 * part of the caller's contract (that is spawn_client.h).
 *
 * Deadlines are times of spawn_mono_ms, SPAWN_NO_DEADLINE for none. Functions
 * return 0 or a negative errno; -EPIPE always means that the other side has
 * gone, and -ETIMEDOUT that the deadline has passed.
 */
#ifndef SPAWN_CONNECTION_H
#define SPAWN_CONNECTION_H

#include <pthread.h>

#include "client/spawn_client.h"
#include "common/spawn_fd.h"
#include "common/spawn_spin.h"

#define SPAWN_NO_DEADLINE  INT64_MAX
#define SPAWN_RELEASE_TEXT 64

struct spawn_connection;

/** An answer that is taken later (submitted.h). The owner of the connection
 * notes it. */
typedef struct spawn_awaited {
    struct spawn_connection *connection; /* NULL: it has come, or this broke */
    uint32_t seq;
    int came; /* 1: accepted, -1: why says why not; written last */
    spawn_failure why;
    spawn_kept_fd fds[SPAWN_JOB_FDS_MAX]; /* closed when it comes */
    unsigned fds_count;
    struct spawn_awaited *next; /* of the connection */
} spawn_awaited;

typedef struct spawn_connection {
    int fd;              /* -1: it is not ours any more */
    spawn_kept_fd kept;  /* which file fd was when it was made */
    unsigned wait_ms;    /* how long a receive of fd waits by itself */
    uint32_t count;      /* of requests, begins anew when it is large */
    uint32_t seq;        /* of the last request */
    unsigned generation; /* of forks, when it was made */
    pid_t pid;           /* the process that made it */
    bool busy;           /* a thread has it */
    bool used;           /* a request has gone over it */
    uint8_t *buffer;     /* where packets are received */
    spawn_awaited *awaited, **awaited_last; /* oldest first */
    unsigned awaited_count;
    pthread_t awaits; /* the thread of these, which alone may have it then */
    /* A worker that is lent to this connection: direct.h. */
    spawn_kept_fd direct;
    spawn_id worker;
    char lent_queue[SPAWN_NAME_MAX + 1];
    spawn_spin spin;
    /* An event that ends a wait for an answer, beside that answer; NULL:
     * nothing. */
    const spawn_beside *beside;
    struct spawn_connection *next;
} spawn_connection;

/**
 * Connect, say HELLO, and wait for WELCOME.
 * @param bound the job that is submitted over it ends with it.
 * @param release SPAWN_RELEASE_TEXT bytes: the broker's release.
 * @return 0, or a negative errno with why filled: UNREACHABLE, VERSION,
 * NOT_PERMITTED or what else the broker refused with, SYSTEM. -EPIPE: it took
 * the connection and went away; another try may find the next broker.
 */
int spawn_connection_open(const spawn_endpoint *endpoint, bool bound,
                          int64_t deadline, spawn_connection **ret,
                          char *release, spawn_failure *why);

/** Forget the descriptor when its number has become somebody else's: the
 * connection is broken then, and nothing is closed. */
void spawn_connection_check(spawn_connection *c);

/** No worker is lent to it any more. */
void spawn_connection_unlend(spawn_connection *c);

/** Close without a message to the other side, if the descriptor is still ours,
 * and free. NULL is allowed. */
void spawn_connection_free(spawn_connection *c);

/** Send a finished message under the next number of this connection. */
int spawn_connection_send(spawn_connection *c, spawn_writer *w, const int *fds,
                          unsigned fds_count, int64_t deadline);

/**
 * The answer to the last request; answers to others are thrown away.
 * @param look it is used before anything else is received, so that it may stay
 * where it came; else it is copied.
 * @return 0 with *ret to be freed; -EBADMSG with why filled for bytes that are
 * not a message of the protocol; -ECANCELED: what is beside it ends the wait.
 */
int spawn_connection_receive(spawn_connection *c, int64_t deadline, bool look,
                             spawn_answer *ret, spawn_failure *why);

/** Close its descriptors. */
void spawn_awaited_close(spawn_awaited *a);
/** The answer to the last request is this one, which is this thread's. */
void spawn_connection_await(spawn_connection *c, spawn_awaited *a);
/** It is awaited no more. */
void spawn_connection_forget(spawn_connection *c, spawn_awaited *a);
/** Nothing that is awaited will come. */
void spawn_connection_forget_all(spawn_connection *c);
/** Receive until this one has come. As spawn_connection_receive. */
int spawn_connection_take(spawn_connection *c, const spawn_awaited *a,
                          int64_t deadline, spawn_failure *why);

/** Make an answer of a packet, which it takes over; look as above. 0; -EBADMSG
 * with why filled; another negative errno. */
int spawn_connection_answer(spawn_packet *p, bool look, spawn_answer *ret,
                            spawn_failure *why);

/** Wait until one of two descriptors is ready. 0, -EINTR or -ETIMEDOUT. */
int spawn_poll_both(struct pollfd *p, int64_t deadline);

/**
 * Wait until the descriptor is ready for events or has an error.
 * @return 0, or -ETIMEDOUT.
 */
int spawn_poll(int fd, short events, int64_t deadline);

/** Let up to ms milliseconds pass, not beyond the deadline. */
void spawn_pause(int ms, int64_t deadline);

/** Turn a REFUSED message into a failure. */
void spawn_refused(const spawn_message *refused, spawn_failure *why);

#endif
