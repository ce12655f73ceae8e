/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file recover.h
 * @brief A broker begins: it puts together what the spawner tells and what the
 * store has.
 */
#ifndef SPAWN_BROKER_RECOVER_H
#define SPAWN_BROKER_RECOVER_H

#include "common/spawn_packet.h"
#include "broker/job/job.h"
#include "broker/run/durable.h"

/** The spawner's table, before TABLE_END. Descriptors are taken out of the
 * packet. */
void spawn_recover_running(const spawn_id *id, const spawn_message *m,
                           spawn_packet *p);
void spawn_recover_held(const spawn_id *id, spawn_packet *p);
/** EXITED, ORPHANED or STARTED. */
void spawn_recover_told(const spawn_id *id, const spawn_message *m,
                        const spawn_packet *p);

/**
 * The table is complete and the store is open: make the jobs,
 * in this batch.
 * @param ret_full set when it failed because the disk is full: call again when
 * there is room.
 * @return 0 or -1 with why filled.
 */
int spawn_recover(spawn_batch *batch, spawn_failure *why, bool *ret_full);

/** A row of the ledger that came after that. of: the spawn_broker. */
void spawn_recover_late(void *of, spawn_durable_row *row);

/** While there is no room for the store: does a job run that the spawner told
 * of? */
bool spawn_recover_anything_runs(void);

/** Room never came: call lost for each end that the spawner told of. Returns
 * how many. */
unsigned spawn_recover_give_up(void (*lost)(const spawn_id *id,
                                            const char *how));

#endif
