/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers that are owed until the turn's commit. Runs in the broker. Must not
 * say `accepted` of a job that nothing keeps yet.
 */
#include "broker/caller/reply.h"

#include "broker/base/alloc.h"

typedef struct {
    spawn_peer *peer;
    spawn_job *job;
    uint32_t seq;
    bool done; /* DONE, else ACCEPTED */
} reply;

static reply *replies;
static unsigned used, room;

static void add(spawn_peer *peer, uint32_t seq, spawn_job *job, bool done)
{
    reply *r;

    if (used == room) {
        room = room ? room * 2 : 32;
        replies = spawn_realloc(replies, room * sizeof(reply));
    }
    r = &replies[used++];
    r->peer = peer;
    r->seq = seq;
    r->job = job;
    r->done = done;
}

void spawn_reply_accepted(spawn_peer *peer, uint32_t seq, spawn_job *job)
{
    add(peer, seq, job, false);
}

void spawn_reply_done(spawn_peer *peer, uint32_t seq, spawn_job *job)
{
    add(peer, seq, job, true);
}

void spawn_replies_send(bool committed)
{
    spawn_failure why;
    unsigned i, kept = 0;

    spawn_failure_set(&why, SPAWN_E_STORE, SPAWN_STEP_STORE, 0,
                      "the store could not be written; see the error log");
    for (i = 0; i < used; i++) {
        const reply *r = &replies[i];

        if (!spawn_peer_open(r->peer))
            continue;
        if (committed && r->job->rest)
            replies[kept++] = *r;
        else if (!committed && r->job->due == SPAWN_DUE_THIS_TURN)
            spawn_peer_refuse(r->peer, r->seq, &r->job->id, &why);
        else if (r->done)
            spawn_peer_done(r->peer, r->seq, &r->job->id);
        else
            spawn_peer_accepted(r->peer, r->seq, &r->job->id, r->job->state);
    }
    used = kept;
}
