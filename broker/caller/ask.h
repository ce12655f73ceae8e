/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file ask.h
 * @brief Questions that are answered from the store, after the commit.
 */
#ifndef SPAWN_BROKER_CALLER_ASK_H
#define SPAWN_BROKER_CALLER_ASK_H

#include "broker/store/store.h"
#include "broker/caller/connection.h"
#include "broker/caller/template_rows.h"

/** How much of a job's output an answer has: nothing; all that is kept; all,
 * for the caller that ran the job, after which it is not kept whole. */
#define SPAWN_OUTPUT_NONE   0
#define SPAWN_OUTPUT_WANTED 1
#define SPAWN_OUTPUT_RUN    2

/** The event that a caller waits for. */
typedef struct {
    uint8_t want;   /* SPAWN_REPLY_STARTED or SPAWN_REPLY_FINISHED, or
                     * SPAWN_WAIT_RETURNED (waiter.h) */
    uint8_t output; /* SPAWN_OUTPUT_ */
    bool submit;    /* a submit waits */
    uint64_t ms;    /* so long; 0: without a limit */
} spawn_wait;

struct spawn_ask {
    spawn_ask *next;
    uint32_t seq;
    bool list;
    bool rows_there; /* in told */
    bool to_see;     /* it is answered to a caller that may see the job */
    bool so_far;     /* the output of a job that runs, behind `from` */
    uint8_t output;  /* SPAWN_OUTPUT_ */
    uint64_t from[2];
    spawn_wait wanted;
    /* of wanted; NULL, or: there is something to wait for after all: the job
     * has come since, or waits again; or that is refused */
    bool (*wait)(spawn_peer *peer, const spawn_ask *ask);
    spawn_id id;
    spawn_list_filter filter;
    bool from_start; /* of all jobs, not behind one of them */
    bool counts;     /* without rows the dead are counted */
    uint64_t looks;  /* so many rows are looked at; 0: all */
    bool rests;      /* it goes on in the next turn */
    uint64_t rows;   /* still wanted */
    spawn_row *told; /* made when it was asked for */
    uint64_t sent;
    uint8_t texts[]; /* of the filter */
};

/** It can be answered now. Else: ask, and it is answered in a later turn. */
bool spawn_peer_has_room(spawn_peer *peer);

/** Answer with the JOB as the store has it, now; from: spawn_answer_so_far, or
 * NULL. */
void spawn_peer_job(spawn_peer *peer, uint32_t seq, const spawn_id *id,
                    unsigned output, const uint64_t *from);

/** Put a question (malloc'd, taken over). */
void spawn_peer_ask(spawn_peer *peer, spawn_ask *ask);

/** A question (malloc'd) for spawn_peer_ask: the JOB, as the next function asks
 * for it. */
spawn_ask *spawn_ask_of_job(uint32_t seq, const spawn_id *id, unsigned output);

/** The JOB is asked for, as it is stored at the end of this turn, by one who
 * may see it then. */
void spawn_peer_ask_job(spawn_peer *peer, uint32_t seq, const spawn_id *id,
                        unsigned output);

/** End of a turn: answer the questions as far as there is room. */
void spawn_peers_serve(void);
/** The same for a peer that can take more. */
void spawn_peer_serve(spawn_peer *peer);

/** The peer closes. */
void spawn_peer_drop_asks(spawn_peer *peer);

#endif
