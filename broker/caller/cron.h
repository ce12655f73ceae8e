/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file cron.h
 * @brief Recurring jobs: each run is submitted when it is due.
 *
 * Runs in the broker.
 */
#ifndef SPAWN_BROKER_CALLER_CRON_H
#define SPAWN_BROKER_CALLER_CRON_H

#include "broker/job/changes.h"
#include "broker/caller/cron_entry.h"

/** Each turn, before jobs are scheduled: submit what is due. */
void spawn_cron_turn(spawn_batch *batch);

/** The turn's end: a run that was stored or has ended in it calls for another
 * turn, which notes that, and begins what has waited for it. */
void spawn_cron_turn_over(void);

/** Before a request is answered: the rows of a configuration that has just come
 * are read, which else the turn does. */
void spawn_cron_rules_read(spawn_batch *batch);

/** The ledger was read late, and may have had runs that the store does not
 * know.
 */
void spawn_cron_ledger_read(void);

/** A job was taken, and the ledger refuses it. When it is a run, and the
 * refusal will not pass, it counts as dealt with. */
void spawn_cron_refused(spawn_batch *batch, const spawn_id *id,
                        const spawn_failure *why);

/** Before its row is shown: has its last run ended meanwhile? */
void spawn_cron_look(spawn_batch *batch, spawn_cron_entry *e);

/** Does the last run of it go on, or wait? ret_id: which. */
bool spawn_cron_active(const spawn_cron_entry *e, spawn_id *ret_id);

/** Has its last run ended, and that is not stored? Then there can be no new one
 * yet. */
bool spawn_cron_ends(const spawn_cron_entry *e);

/**
 * Submit a run by hand.
 * @return as spawn_submit_own.
 */
int spawn_cron_run(spawn_batch *batch, spawn_cron_entry *e, const spawn_id *id,
                   spawn_failure *why);

/** Pause it, or not. 0 or -1: the store did not take it, nothing was done. */
int spawn_cron_pause(spawn_batch *batch, spawn_cron_entry *e, bool on, long uid,
                     long pid);

#endif
