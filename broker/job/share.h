/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file share.h
 * @brief What a job of a shared queue has beside other jobs: which of the two
 * hosts this is, and how far it has come. docs/cluster.md.
 */
#ifndef SPAWN_BROKER_JOB_SHARE_H
#define SPAWN_BROKER_JOB_SHARE_H

#include "broker/job/job.h"

/** Which host this is; stored. */
enum {
    SPAWN_SHARE_ORIGIN = 1, /* it was submitted here, and runs anywhere */
    SPAWN_SHARE_TAKEN = 2,  /* it was submitted elsewhere, and runs here */
    SPAWN_SHARE_HOME = 3    /* it was submitted here, and came back to run */
};

/** How far a job has come at its origin; stored. */
enum {
    SPAWN_SHARE_HERE,        /* nobody else has it */
    SPAWN_SHARE_HANDED_OVER, /* the engine has it, or the host that took it */
    SPAWN_SHARE_RUNS         /* a host has said that it runs there */
};

struct spawn_share {
    uint8_t role;
    uint8_t stage;   /* SPAWN_SHARE_; of its origin */
    bool on_way;     /* the relay has it, and the engine has not confirmed it */
    bool told_start; /* taken: its start is on its way, or was told */
    bool told_end;   /* the same of its end */
    /* The delivery that is acknowledged when the store has the job as it is
     * now; 0: none. */
    uint64_t delivery;
    char host[SPAWN_HOST_MAX + 1]; /* the other one; "": not known */
};

/** What the scheduler has to know of the relay. */
typedef struct {
    bool open;       /* it is there, and connected */
    unsigned on_way; /* jobs that are */
} spawn_shares_state;
extern spawn_shares_state spawn_shares;

/** Most jobs that are on their way at once. */
#define SPAWN_SHARES_ON_WAY 256

/** Make it a job of a shared queue. host may be "". */
spawn_share *spawn_share_make(spawn_job *job, unsigned role, const char *host);

/** Is it a job that another host runs, whichever that will be? */
static inline bool spawn_job_away(const spawn_job *job)
{
    return job->share && job->share->role == SPAWN_SHARE_ORIGIN;
}

/** Can one more be handed over now? */
static inline bool spawn_shares_room(void)
{
    return spawn_shares.open && spawn_shares.on_way < SPAWN_SHARES_ON_WAY;
}

/** It is on its way, or not any more. Does nothing when that is so already. */
void spawn_share_on_way(spawn_job *job, bool is);

/** Called before a job is freed. */
void spawn_share_drop(spawn_job *job);

#endif
