/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recurring jobs (docs/cron.md). What is checked: no run is early, none is of a
 * minute that its schedule does not mean, none comes twice; never two of one
 * go on at once unless it may overlap; each minute that is due runs as catch_up
 * says; one that is paused, or has gone from httpd.conf, has no more runs.
 */
#ifndef SIMULATION_CRONS_H
#define SIMULATION_CRONS_H

#include "t/simulation/world.h"

#define CRONS 3

extern unsigned clocks_set; /* so often */
extern bool with_crons;     /* this run has recurring jobs, */
extern bool only_crons;     /* and no others, and a clock that jumps */

void crons_reset(bool some, bool only);

/* ---- httpd.conf ---- */

void crons_put_rules(spawn_writer *w);
/* Some of it is different from now on. */
void crons_change_rules(void);

/* ---- time ---- */

/* So long as nobody looked: a stop, or a machine that slept. 0: not now, since
 * too many runs would be made up. */
int64_t crons_leap(void);
/* The clock is to be so much further. False: the same. */
bool crons_may_jump(int64_t ms);
/* It will be, whatever runs are missed. True: that would be too many, and
 * httpd.conf says now that only the last one is made up. */
bool crons_spare(int64_t ms);
/* It was set. */
void crons_clock_is_set(void);

/* ---- runs ---- */

/* The broker submits one, which is taken. */
void crons_submitted(const spawn_message *m, bool planned);
void crons_launched(const job *j);
/* At the end of each turn. */
void crons_turn(void);
/* The broker was killed in a turn: it may have forgotten what is not in
 * httpd.conf, which may be back before a turn ends. */
void crons_lose_broker(void);
/* No run starts from now on. */
void crons_linger(void);
void crons_lose_power(void);

/* ---- by hand (cron_asked.h) ---- */

typedef struct {
    unsigned entry, what; /* SPAWN_CRON_ */
    unsigned number;      /* of what was asked of this entry */
    bool alone;           /* nothing else was on its way then, */
    bool was_paused;      /* and it was, surely */
    int64_t asked_at;     /* s, of the time of day, */
    unsigned clocks;      /* which had been set so often */
} cron_request;

typedef struct {
    bool sure;          /* it is so: */
    bool paused;        /* since this turn: */
    unsigned since;     /* 0: it is not */
    unsigned asked;     /* changes that are not answered */
    unsigned numbers;   /* of what was asked */
    unsigned probation; /* answers until it is sure: what got none may lie in a
                         * socket */
} cron_known;

const char *cron_name(unsigned entry);
cron_known *cron_is_known(unsigned entry);
/* Is it in httpd.conf, and was so in the last turn? */
bool cron_is_there(unsigned entry);
bool cron_overlaps(unsigned entry);
unsigned cron_queue(unsigned entry);
/* This job is to be a run of it. */
void cron_makes(unsigned entry, job *j);
/* It was resumed after this was asked: nothing from before is made up. */
void cron_is_resumed(const cron_request *c);

/* ---- the end of a run ---- */

/* All else is done: the next minute of each that is due has to run. */
void crons_have_to_run(void);
/* How long until the next of these; 0: it is waited for, or none. */
int64_t crons_next(void);
/* Each has run. */
bool crons_settled(void);

#endif
