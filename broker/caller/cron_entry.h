/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file cron_entry.h
 * @brief Recurring jobs as the configuration has them.
 *
 * Runs in the broker.
 */
#ifndef SPAWN_BROKER_CALLER_CRON_ENTRY_H
#define SPAWN_BROKER_CALLER_CRON_ENTRY_H

#include "common/spawn_cron.h"
#include "common/spawn_zone.h"
#include "common/spawn_proto.h"
#include "broker/job/cron.h"

#define SPAWN_CRON_MADE_UP 1000 /* runs of one entry, with catch_up=all */
#define SPAWN_CRON_ROUNDS  16   /* of clocks, in which a run is looked for */

typedef struct spawn_cron_entry spawn_cron_entry;
struct spawn_cron_entry {
    spawn_cron_entry *next;
    char name[SPAWN_NAME_MAX + 1];
    char queue[SPAWN_NAME_MAX + 1];
    char zone[SPAWN_ZONE_MAX + 1]; /* "": the local one */
    char *schedule;
    char *plan; /* schedule and zone */
    spawn_cron when;
    unsigned catch_up; /* SPAWN_CATCH_UP_ */
    bool overlap;
    bool durable;
    bool configured;
    uint8_t *rules; /* the nest, with what is to be run */
    size_t rules_length;

    bool known; /* row is what the store has */
    bool told;  /* that it is paused, since the configuration was read */
    spawn_cron_row row;

    /* A run that was taken; the row does not have it yet. */
    bool pending;
    spawn_id pending_id;
    int64_t pending_planned; /* s; 0: by hand */
    bool pending_stored;     /* it was seen there, and its row is not noted */
    int64_t retry_at;        /* mono ms: nothing is tried before it */

    bool unstored; /* that run was not stored when it was looked at in this
                      turn */
    bool runs;     /* its run was there when it was looked at in this turn */

    /* The row has a run by hand that is not seen in the store yet; if it never
     * is, this was the last one. */
    bool foretold;
    spawn_cron_row before;

    int64_t next_at; /* s; -1: never; of next_after */
    int64_t next_after;
    bool next_known;

    uint64_t refused; /* 0; its queue is full: the lowest waits longest */
    bool had_room;    /* when it was looked at in this turn */
};

/** A new configuration is read: begin, each entry, end. */
void spawn_cron_rules_begin(void);
void spawn_cron_rule(const spawn_attr *nest);
void spawn_cron_rules_end(void);
/** Has it been read since this was asked last? */
bool spawn_cron_rules_new(void);

/** The first, and their number. */
spawn_cron_entry *spawn_cron_entries(size_t *ret_count);
spawn_cron_entry *spawn_cron_find(const char *name);
/** All of them, to be freed: first those whose queue was full, the one that has
 * waited longest before the others; the rest as they are configured. */
spawn_cron_entry **spawn_cron_line(size_t *ret_count);
/** Does its queue take a run now? */
bool spawn_cron_has_room(const spawn_cron_entry *e);

/** When it is due next, by its clock alone; s, -1: never. */
int64_t spawn_cron_entry_next(spawn_cron_entry *e);
/** The last run that was planned until now; first is one of them. */
int64_t spawn_cron_entry_last(const spawn_cron_entry *e, int64_t first,
                              int64_t now);
/** The oldest planned run that is made up; first is the first of them all. */
int64_t spawn_cron_entry_oldest(const spawn_cron_entry *e, int64_t first,
                                int64_t now);

/** The id of a planned run: always the same, so that it never runs twice. */
void spawn_cron_id(const spawn_cron_entry *e, int64_t planned, spawn_id *ret);
/** The one that it has when the clock was set back so often, and the row does
 * not say so. */
void spawn_cron_later_id(const spawn_cron_entry *e, int64_t planned,
                         unsigned later, spawn_id *ret);

/** Is one of its runs there that the row does not have? It is pending then. */
void spawn_cron_adopt(spawn_cron_entry *e);
/** The same of all entries whose row is read, with one look at the jobs, which
 * may be very many. */
void spawn_cron_adopt_all(void);

/** The SUBMIT of a run, finished; w is begun here. 0, or negative. */
int spawn_cron_order(const spawn_cron_entry *e, const spawn_id *id,
                     spawn_writer *w);

#endif
