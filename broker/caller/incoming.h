/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file incoming.h
 * @brief A job that has come, before it is taken: its message, and where that
 * comes from.
 */
#ifndef SPAWN_BROKER_CALLER_INCOMING_H
#define SPAWN_BROKER_CALLER_INCOMING_H

#include "common/spawn_field.h"
#include "broker/job/job.h"
#include "broker/caller/connection.h"

/** It comes with peer and packet, or in a slot, or in a file of the spool, or
 * from the ledger, or the broker made it. */
typedef struct {
    spawn_batch *batch; /* that it goes into */
    spawn_peer *peer;
    spawn_packet *packet;
    unsigned slot;
    bool spooled;
    bool left;          /* a broker before us has taken it */
    bool own;           /* the broker made it, and looks what becomes of it */
    const char *origin; /* the host that it came from; NULL: this one */
    uid_t uid;          /* its writer, where there is no peer */
    pid_t pid;          /* 0: not known */
    const spawn_message *m;
    const uint8_t *attrs;
    size_t length;
    spawn_id id;
    uint64_t digest;
} spawn_incoming;

/** The name of its queue. */
static inline const char *spawn_incoming_queue(const spawn_incoming *in)
{
    return spawn_str_or(in->m, SPAWN_A_QUEUE, SPAWN_DEFAULT_QUEUE);
}

static inline bool spawn_incoming_durable(const spawn_incoming *in)
{
    return spawn_u64_or(in->m, SPAWN_A_DURABLE, 0) != 0;
}

/** Its message is this, as it came. */
void spawn_incoming_fill(spawn_incoming *in, const spawn_message *m,
                         const uint8_t *data, size_t length);

/** Is this message the SUBMIT of that id? */
bool spawn_incoming_is(const spawn_message *m, const spawn_id *id);

/** Since when it is submitted, wall ms. */
int64_t spawn_incoming_since(const spawn_incoming *in);

/** Does it wait for its time? */
bool spawn_incoming_delayed(const spawn_incoming *in);

/** The job that it becomes, in its queue and in no state. Takes the body over.
 */
spawn_job *spawn_incoming_job(const spawn_incoming *in, spawn_body *body);

#endif
