/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file meters.h
 * @brief The numbers of the broker: what has happened to jobs, for each queue
 * and for all together.
 *
 * A table of a fixed size, with room for SPAWN_METERS_MAX queues. It lies
 * behind the slots of the inbox (caller/inbox.h), whose memory outlives brokers
 * and spawners: the next broker goes on where a killed one was. A queue that
 * leaves the configuration keeps its numbers until its place is wanted: the one
 * that has left first goes first. Those of all queues together keep what it
 * had.
 *
 * Runs in the broker. To count is a few increments: no allocation, no store. A
 * broker that is killed between two of them leaves one of them out.
 */
#ifndef SPAWN_BROKER_BASE_METERS_H
#define SPAWN_BROKER_BASE_METERS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/spawn_proto.h"
#include "broker/base/histogram.h"

#define SPAWN_METERS_MAX     256
#define SPAWN_METERS_ROOM    (8u << 20) /* bytes: the table is not larger */
#define SPAWN_METER_OUTCOMES 16
#define SPAWN_METER_REASONS  48

typedef struct {
    char name[SPAWN_NAME_MAX + 8]; /* "": nobody's */
    uint64_t left;                 /* when its queue went, among others */
    uint64_t submitted;            /* the store has them */
    uint64_t failed;  /* ended neither well nor because somebody wanted it */
    uint64_t retried; /* attempts that were followed by another one */
    uint64_t revived;
    uint64_t dead;
    uint64_t ended[SPAWN_METER_OUTCOMES];
    uint64_t refused[SPAWN_METER_REASONS]; /* submits, by error code */
    spawn_histogram waited;
    spawn_histogram ran;
    spawn_hour waited_hour;
    spawn_hour ran_hour;
    spawn_minutes minutes;
} spawn_meter;

/** Numbers of the pair that are told with those of jobs. */
typedef struct {
    uint64_t brokers;      /* that have begun, this one too */
    uint64_t spawners;     /* the same of spawners */
    int64_t since;         /* wall ms: the numbers count since then */
    int64_t broker_since;  /* wall ms: this broker began */
    int64_t spawner_since; /* wall ms: the first broker of its began */
    spawn_meter whole;
    uint64_t elsewhere[SPAWN_METER_REASONS]; /* refused, of no queue here */
    spawn_histogram commits;
} spawn_meters;

/** Bytes of the table. */
size_t spawn_meters_size(void);

/**
 * Begin to count, or go on with what is in room.
 * @param room of spawn_meters_size bytes, aligned as malloc's, zeros or the
 * table of another broker; NULL: the numbers are this broker's own.
 * @param life of the spawner.
 */
void spawn_meters_open(void *room, const spawn_id *life);

/** NULL: nothing is counted yet. */
const spawn_meters *spawn_meters_told(void);

/** Are there numbers of this queue, which nobody has taken? */
bool spawn_meters_has(const char *queue);
/** The numbers of a queue, which go on with those that it had; NULL: nothing is
 * counted yet, or all places are taken. */
spawn_meter *spawn_meters_get(const char *queue);
/** The queue goes. */
void spawn_meters_leave(spawn_meter *m);

/* ---- to count; m NULL: only for all together ---- */

void spawn_meter_submitted(spawn_meter *m);
/** A submit. m NULL: its queue is none of ours. */
void spawn_meter_refused(spawn_meter *m, unsigned reason);
/** minute: of spawn_mono_ms. */
void spawn_meter_started(spawn_meter *m, int64_t waited_ms, int64_t minute);
/** ran_us -1: not known. */
void spawn_meter_ended(spawn_meter *m, unsigned outcome, bool failed,
                       int64_t ran_us, int64_t minute);
void spawn_meter_retried(spawn_meter *m);
void spawn_meter_revived(spawn_meter *m);
void spawn_meter_dead(spawn_meter *m);
void spawn_meters_committed(int64_t us);

#endif
