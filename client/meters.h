/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file meters.h
 * @brief The broker's numbers, as a caller gets them (METERS): what has
 * happened to jobs, for each queue that the caller may see, and how the pair
 * is.
 *
 * Runs in callers, in any thread. docs/metrics.md says what the numbers mean.
 */
#ifndef SPAWN_CLIENT_METERS_H
#define SPAWN_CLIENT_METERS_H

#include "client/spawn_client.h"

#define SPAWN_TIMES_MAX      32
#define SPAWN_TIMES_MINUTES  60
#define SPAWN_TIMES_OUTCOMES 16
#define SPAWN_TIMES_REASONS  64

/** A histogram. */
typedef struct {
    uint64_t sum_us;
    uint64_t count;  /* of all */
    unsigned bounds; /* 0: nothing was told */
    struct {
        uint64_t us;
        uint64_t count; /* that took at most so long */
    } of[SPAWN_TIMES_MAX];
} spawn_times;

typedef struct {
    char queue[SPAWN_NAME_MAX + 1];
    bool has_jobs; /* the numbers of jobs are there */
    bool removed;  /* httpd.conf does not have the queue any more */
    uint64_t running, waiting, delayed, max_jobs;
    uint64_t mode;      /* SPAWN_QUEUE_PAUSED, _DRAINING: bits */
    uint64_t oldest_at; /* ms of Unix time; 0: none waits */
    uint64_t counts[SPAWN_COUNTS];
    uint64_t ended[SPAWN_TIMES_OUTCOMES];  /* by outcome */
    uint64_t refused[SPAWN_TIMES_REASONS]; /* by error code */
    spawn_times waited, ran;               /* since counting began */
    spawn_times waited_hour, ran_hour;     /* their sums are not known */
    struct {
        uint64_t ended, failed;
    } minutes[SPAWN_TIMES_MINUTES]; /* the present one is the last */
} spawn_meter_row;

typedef struct {
    uint64_t pair[SPAWN_PAIR_NUMBERS];
    spawn_times commits;
    spawn_meter_row whole; /* of all queues; has_jobs: may they be seen? */
    uint64_t elsewhere[SPAWN_TIMES_REASONS]; /* refused, of no queue here */
    spawn_meter_row *queues;
    unsigned count, room;
} spawn_meters_answer;

/**
 * Ask for them.
 * @param queue NULL: of all queues.
 * @param ret to be freed by spawn_meters_free, also after a failure.
 * @return 0, or -1 with why filled.
 */
int spawn_client_meters(spawn_client *client, const char *queue,
                        spawn_meters_answer *ret, spawn_failure *why);

void spawn_meters_free(spawn_meters_answer *answer);

/** Jobs that ended, however. */
uint64_t spawn_meter_ends(const spawn_meter_row *row);

/** Of the last 60 minutes: how many ended, and of these failed. */
void spawn_meter_hour(const spawn_meter_row *row, uint64_t *ret_ended,
                      uint64_t *ret_failed);

/**
 * How long so many of a hundred lasted at most, in us. It is reckoned within a
 * bucket as if its times were spread evenly, as Prometheus does.
 * @return -1: it lasted longer than the last bound, which *ret is; 0: nothing
 * was counted; 1.
 */
int spawn_times_quantile(const spawn_times *t, unsigned percent, uint64_t *ret);

#endif
