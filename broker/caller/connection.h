/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file connection.h
 * @brief Callers' connections: let in, read, answered, dropped.
 *
 * Each has a deadline to say HELLO, before which it can pass no descriptors
 * where the kernel knows how to refuse them, and a bounded queue of answers.
 * While answers wait, nothing more is read from it. What goes wrong with one
 * touches no other.
 */
#ifndef SPAWN_BROKER_CALLER_CONNECTION_H
#define SPAWN_BROKER_CALLER_CONNECTION_H

#include "common/spawn_packet.h"
#include "broker/job/job.h"
#include "broker/base/loop.h"
#include "broker/caller/template_rows.h"
#include "broker/store/store.h"

/** What of a job's output an answer has: nothing; all that is kept; all, for
 * who ran the job, after which it is not kept whole. */
#define SPAWN_OUTPUT_NONE   0
#define SPAWN_OUTPUT_WANTED 1
#define SPAWN_OUTPUT_RUN    2

/** Question that is answered from the store, after the commit. */
typedef struct spawn_ask spawn_ask;
struct spawn_ask {
    spawn_ask *next;
    uint32_t seq;
    bool list;
    bool templates;
    uint8_t output; /* SPAWN_OUTPUT_ */
    spawn_id id;
    spawn_list_filter filter;
    uint64_t rows;   /* still wanted */
    spawn_row *told; /* TEMPLATES: made when it was asked */
    uint64_t sent;
};

typedef struct spawn_answer_out spawn_answer_out;

typedef struct spawn_peer spawn_peer;
struct spawn_peer {
    spawn_watch watch;
    spawn_timer hello;  /* until HELLO has come */
    spawn_timer relief; /* until more descriptors are taken */
    spawn_peer *next;   /* all peers */
    spawn_peer *serve_next;
    spawn_ask *asks, **asks_last;
    spawn_answer_out *out, **out_last;
    spawn_waiter *waiters;
    size_t out_bytes;
    unsigned out_count;
    pid_t pid;
    uid_t uid;
    bool friendly; /* its uid alone lets it in */
    bool welcome;  /* HELLO is done */
    bool serving;  /* in the list of those with asks */
    bool unread;   /* too many of its uid's do not close */
};

/** The listening socket; accepting begins with listen. */
void spawn_peers_listen_on(int fd);
void spawn_peers_listen(void);

static inline bool spawn_peer_open(const spawn_peer *peer)
{
    return peer->watch.fd >= 0;
}

/** Close; waiters go, the object stays until the end of the turn. */
void spawn_peer_close(spawn_peer *peer);

/** What is watched has changed. */
void spawn_peer_events(spawn_peer *peer);

/** Send a finished message, or keep it, or drop the peer that reads none. */
void spawn_peer_send(spawn_peer *peer, const spawn_writer *w);

/** The small answers. */
void spawn_peer_accepted(spawn_peer *peer, uint32_t seq, const spawn_id *id,
                         unsigned state);
void spawn_peer_done(spawn_peer *peer, uint32_t seq, const spawn_id *id);
/** @param id may be NULL. */
void spawn_peer_refuse(spawn_peer *peer, uint32_t seq, const spawn_id *id,
                       const spawn_failure *why);

/** Answer with the JOB as the store has it, now. */
void spawn_peer_job(spawn_peer *peer, uint32_t seq, const spawn_id *id,
                    unsigned output);

/** Put a question (malloc'd, taken over). */
void spawn_peer_ask(spawn_peer *peer, spawn_ask *ask);
/** Somebody was answered in this turn: who shares our CPU goes on before we do
 * the rest of the turn. */
void spawn_peers_go_first(void);

/** End of a turn: answer the questions as far as there is room. */
void spawn_peers_serve(void);

/** Handle one message of a peer that was let in: request.c. */
void spawn_request(spawn_peer *peer, const spawn_message *m, spawn_packet *p);

#endif
