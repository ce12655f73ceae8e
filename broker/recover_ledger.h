/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file recover_ledger.h
 * @brief A broker begins: what the ledger says of durable jobs.
 */
#ifndef SPAWN_BROKER_RECOVER_LEDGER_H
#define SPAWN_BROKER_RECOVER_LEDGER_H

#include "broker/job/job.h"
#include "broker/run/durable.h"

/** Was an attempt at this job to start, once, as the ledger says after another
 * boot? So nothing that had to come before it is to come any more. */
bool spawn_ledger_chose(const spawn_job *job);

/** An open job of the store. The store's word on it counts within a boot; after
 * another one the store may be older than the ledger, and state is set to what
 * the ledger says.
 * @param life of the spawner that had its order.
 * @return true: the job has ended, as the ledger says. */
bool spawn_ledger_ask(spawn_job *job, uint8_t *state, const spawn_id *life);
/** Was there such a job of which a ledger that is lost had a row? */
bool spawn_ledger_some_lost(void);
/** It waits, as the ledger says, and the store has it otherwise: with this
 * attempt, in this state, or with jobs that it comes after. */
bool spawn_ledger_corrects(const spawn_job *job, unsigned attempt,
                           uint8_t state);

/** The rows that no open job of the store has asked for. 0, or -1: the store
 * cannot be read. */
int spawn_ledger_take_all(spawn_batch *batch);

/** A row that came after all that. of: the spawn_broker. 0, or -1: the store
 * cannot be read now. */
int spawn_recover_late(void *of, spawn_durable_row *row);
/** Those were all: it has nothing of jobs that wait for that still. */
void spawn_recover_late_end(void);

#endif
