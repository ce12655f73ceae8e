/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What callers asked, and whether the answers are true.
 */
#ifndef SIMULATION_ANSWERS_H
#define SIMULATION_ANSWERS_H

#include "t/simulation/controls.h"
#include "t/simulation/crons.h"

typedef struct {
    unsigned type;
    uint32_t seq;
    job *job;                /* NULL: HELLO, QUEUES, and mostly CRON */
    control_request control; /* of QUEUES */
    cron_request cron;       /* of CRON */
    bool row_came;           /* and its answer goes on */
    spawn_reply want;
    bool limited;        /* a WAIT that may be refused when its time is over */
    bool other_contents; /* of a job with this id that is known */
    bool lost;           /* of a SUBMIT: after LEASE_LOST */
    unsigned asked_in;   /* after this turn it was asked */
    bool was_known;      /* an answer had shown the job when this was asked */
} request;

const char *request_text(const request *r);
const char *answer_text(const spawn_message *m);

/* It says that this job is accepted. */
void answer_accepts(job *j, const spawn_message *m);

/* Need the broker not know any more how it ended? */
bool answer_may_be_forgotten(const job *j);
/* The same of what was there at this time (mono ms). */
bool answer_history_may_lack(int64_t since);

/* May the store, or the ledger, be the reason for a refusal? */
bool answer_store_may_refuse(const request *r);

/* The answer to a request came. */
void answer_judge(const request *r, const spawn_message *m);

/* It will not come: the connection has ended. */
void answer_lost(const request *r);

#endif
