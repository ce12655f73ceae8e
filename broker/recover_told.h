/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file recover_told.h
 * @brief A broker begins: what the spawner told of its jobs.
 */
#ifndef SPAWN_BROKER_RECOVER_TOLD_H
#define SPAWN_BROKER_RECOVER_TOLD_H

#include "common/spawn_packet.h"
#include "broker/job/job.h"

/** One message of the spawner's table, in memory of its own. */
typedef struct {
    spawn_id id;
    uint16_t type;
    bool used; /* somebody has found it */
    uint8_t *data;
    size_t length;
    unsigned fds_count;
    int *fds;
} spawn_told;

/** The spawner's table, before TABLE_END. Descriptors are taken out of the
 * packet. */
void spawn_recover_running(const spawn_id *id, const spawn_message *m,
                           spawn_packet *p);
void spawn_recover_held(const spawn_id *id, spawn_packet *p);
/** EXITED, ORPHANED or STARTED: before the jobs are known, or of one that only
 * the ledger may know, which is unread (spawn_told_waits). */
void spawn_recover_told(const spawn_id *id, const spawn_message *m,
                        const spawn_packet *p);

/** The report on an id, marked as used; or NULL. */
spawn_told *spawn_told_find(const spawn_id *id, uint16_t type);
/** The same of this attempt at a job. Of one before it the store has all, and
 * the spawner is told to forget it: its FORGET was lost with the broker. */
spawn_told *spawn_told_of(const spawn_job *job, uint16_t type);
/** Was its end told? It is told as RUNNING, too. Marks nothing as used. */
bool spawn_told_has_ended(const spawn_id *id);
/** All, one after another (NULL: the first). */
spawn_told *spawn_told_next(spawn_told *told);

int spawn_told_parse(const spawn_told *t, spawn_message *ret);

/** Nobody looks there any more. */
void spawn_told_free(void);
/** Those that were not used may be of jobs that only the ledger has: they are
 * kept until it is read. */
void spawn_told_wait(void);
bool spawn_told_waits(void);

/** While there is no room for the store: does a job run that the spawner told
 * of? */
bool spawn_recover_anything_runs(void);

/** Room never came: call lost for each end that the spawner told of. Returns
 * how many. */
unsigned spawn_recover_give_up(void (*lost)(const spawn_id *id,
                                            const char *how));

#endif
