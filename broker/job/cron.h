/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file cron.h
 * @brief Notes on a recurring job, from one broker to the next: caller/cron.c.
 */
#ifndef SPAWN_BROKER_JOB_CRON_H
#define SPAWN_BROKER_JOB_CRON_H

#include "common/spawn_field.h"
#include "common/spawn_id.h"

typedef struct {
    const char *name;
    const char *plan; /* schedule and zone that done is about */
    int64_t done;     /* s; what was planned until then is dealt with */
    int64_t round;    /* how often done was set back */
    int64_t shown;    /* s; what done had been before, at most */
    int64_t paused;   /* ms of Unix time; 0: it is not */
    /* the last run */
    bool has_run;
    spawn_id id;
    int64_t planned; /* s; 0: by hand */
    bool ended;
    unsigned outcome; /* SPAWN_OUTCOME_NONE: not ended, or not known */
    int exit_code;    /* -1: none */
    int signo;
    int64_t started_at, ended_at; /* ms; 0: not known */
} spawn_cron_row;

#endif
