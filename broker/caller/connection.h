/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file connection.h
 * @brief Callers' connections: packets in, answers out.
 *
 * Each has a bounded queue of answers. While answers wait, nothing more is read
 * from it, and of big answers one waits to be read. A fault of one connection
 * touches no other.
 */
#ifndef SPAWN_BROKER_CALLER_CONNECTION_H
#define SPAWN_BROKER_CALLER_CONNECTION_H

#include "common/spawn_packet.h"
#include "broker/base/loop.h"
#include "broker/base/timer.h"
#include "broker/job/job.h"
#include "broker/caller/unread.h"

typedef struct spawn_ask spawn_ask;
typedef struct spawn_answer_out spawn_answer_out;
typedef struct spawn_peer_line spawn_peer_line;

typedef struct spawn_peer spawn_peer;
struct spawn_peer {
    spawn_watch watch;
    spawn_batch *batch;    /* that its jobs go into */
    spawn_timer hello;     /* until HELLO has come */
    spawn_timer relief;    /* until more descriptors are taken */
    spawn_timer retry;     /* until an answer is tried again */
    spawn_peer_line *line; /* ask.c: where it waits with its asks, or NULL */
    spawn_peer *line_next;
    spawn_peer *read_next; /* in the list of those that are read later */
    spawn_ask *asks, **asks_last;
    spawn_answer_out *out, **out_last;
    spawn_waiter *waiters;
    spawn_unread *unread_answer; /* its last big one; NULL: read */
    size_t out_bytes;
    unsigned out_count;
    unsigned waiters_count;
    unsigned watches;    /* of jobs: watcher.h */
    unsigned owed_count; /* answers that are owed: reply.c */
    pid_t pid;
    uid_t uid;
    int64_t since;     /* mono ms: of the configuration that it came under */
    int64_t called_at; /* mono ms: its last call of a worker; offer.h */
    unsigned calls;    /* of workers, in a row */
    bool proven;       /* it has shown the secret, and has an account for it */
    bool direct;       /* a child of httpd, that can be lent a worker */
    bool lease_lost;   /* what it submits next may have run: doubt.h */
    bool trusted;      /* its uid alone lets it in */
    bool listed;       /* counted in crowd.h */
    bool unproven;     /* counted as one of which nothing is known */
    bool welcome;      /* HELLO is done */
    bool later;        /* in the list of those that are read later */
    bool unread;       /* too many descriptors of its uid do not close */
    bool bound;        /* its job ends with it; stop.h */
    bool has_bound;    /* bound_job is filled */
    spawn_id bound_job;
    uint8_t may;     /* access.h: what it may in any place */
    uint8_t *rights; /* access.h: in each place; NULL: nothing */
    spawn_peer *all_next, **all_before;
};

/** Answers that wait or are owed: read no more. */
#define SPAWN_PEER_OUT_PAUSE 16

/** Requests of one connection that wait for jobs, which are memory of the
 * broker's. Ours have one. */
#define SPAWN_WAITERS_MAX 1024

/** Events of a connection, for caller/accept.c. */
typedef struct {
    /** A packet has come. A descriptor that is taken out of it is -1
     * afterwards. */
    void (*packet)(spawn_peer *peer, spawn_packet *p);
    /** A packet that could not be received as a whole; rv: a negative errno,
     * and with -EMFILE, for want of descriptors here, its bytes have come. */
    void (*bad_packet)(spawn_peer *peer, const uint8_t *bytes, int rv);
    /** All answers are sent. */
    void (*writable)(spawn_peer *peer);
    /** The peer closes: nothing may point at it any more. */
    void (*closed)(spawn_peer *peer);
} spawn_peer_events;

/** Once, before the first connection. */
void spawn_peers_open(const spawn_peer_events *to);

/** A connection for an accepted socket, which is not watched yet. Its jobs go
 * into this batch. */
spawn_peer *spawn_peer_new(int fd, spawn_batch *batch);
/** Watch it; takes fd. 0 or a negative errno. */
int spawn_peer_watch(spawn_peer *peer, int fd);
/** One that is not watched: forget it. Its fd is the caller's. */
void spawn_peer_free(spawn_peer *peer);
/** All that are watched, one after another; NULL: the first. */
spawn_peer *spawn_peer_next(const spawn_peer *peer);

/** A turn ends, what it has read is stored: others can be read in the next. */
void spawn_peers_turn_over(void);

static inline bool spawn_peer_open(const spawn_peer *peer)
{
    return peer->watch.fd >= 0;
}

/** Close; the object stays until the end of the turn. */
void spawn_peer_close(spawn_peer *peer);

/** Watch for what it wants now. */
void spawn_peer_watch_what(spawn_peer *peer);

/** Send a finished message, or queue it, or drop a peer that reads none. */
void spawn_peer_send(spawn_peer *peer, const spawn_writer *w);
/** The same with the end of a job, whose output reaches its caller by this; run
 * NULL: of no job. */
void spawn_peer_send_end(spawn_peer *peer, const spawn_writer *w,
                         const spawn_id *run);

/** The small answers. */
void spawn_peer_accepted(spawn_peer *peer, uint32_t seq, const spawn_id *id,
                         unsigned state);
/** The job was not taken, since another one is kept in its place. */
void spawn_peer_kept(spawn_peer *peer, uint32_t seq, const spawn_id *id,
                     const spawn_id *other, unsigned state);
void spawn_peer_done(spawn_peer *peer, uint32_t seq, const spawn_id *id);
/** @param id may be NULL. */
void spawn_peer_refuse(spawn_peer *peer, uint32_t seq, const spawn_id *id,
                       const spawn_failure *why);

#endif
