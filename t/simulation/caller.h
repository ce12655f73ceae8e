/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A caller, for the files that play some of what it does.
 */
#ifndef SIMULATION_CALLER_H
#define SIMULATION_CALLER_H

#include "t/simulation/answers.h"

typedef struct {
    int fd; /* -1: none */
    uint32_t seq;
    request asked[ASKED_MAX];
    unsigned asked_used;
    unsigned burst; /* calls that it makes, one after another */

    /* one whose job ends with its connection (bound.c) */
    bool bound;
    job *bound_job;
    bool bound_taken; /* an answer said so on this connection */

    /* the worker that it is lent (direct.c) */
    int direct; /* -1: none */
    spawn_id worker;
    unsigned lent_in; /* by this broker */
    bool waits;       /* for the answer to "directly"; */
    bool looks_last;  /* and closes it then */
    request directly;
    int64_t broker_gone_ms; /* since when it has no broker meanwhile */
    job *again;             /* submitted to the next broker */
} caller;

extern caller callers[CALLERS_MAX];

/* A request begins, which w gets. NULL: it has asked enough, or is not there.
 */
request *caller_asks(caller *c, spawn_writer *w, unsigned type, job *j);
/* It is sent. */
void caller_sends(caller *c, spawn_writer *w, const request *r);
void caller_leaves(caller *c);
void caller_submits(caller *c, job *j, spawn_reply want);
/* This job is on its way now. */
void caller_sent(job *j);
/* It is posted, or put into the spool (posted.c). */
void caller_posts(job *j);
void caller_spools(job *j);
/* It has been told the end of this job, which it waited for. */
void caller_has_end(caller *c, const job *j);

#endif
