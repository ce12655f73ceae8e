/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file order.h
 * @brief The effects on other jobs when one is stored, or has ended: those that
 * it replaces end, those that come after it go on or are cancelled, and its
 * unique key goes to the next one.
 */
#ifndef SPAWN_BROKER_RUN_ORDER_H
#define SPAWN_BROKER_RUN_ORDER_H

#include "broker/job/changes.h"
#include "broker/job/job.h"

/** The store has it. */
void spawn_order_stored(const spawn_job *job);

/** It is let go: the store has its end, or it never was. */
void spawn_order_gone(spawn_job *job);
/** Neither ledger nor spool has the job with this id any more, which is gone.
 */
void spawn_order_forgotten(const spawn_id *id);

/** Once a turn, before jobs are started: what follows from those of the turn
 * before. A job whose commit is being finished cannot be changed. */
void spawn_order_follow(void);

/** It has come, and some of the jobs that it comes after may have ended before:
 * these count as the store has them. One that the ledger is still to forget is
 * left out. 0, or -1: the store cannot be read. */
int spawn_order_look(spawn_job *job);

/** A broker that begins knows all jobs that there are: the same for each of
 * them, and the unique keys are given. */
void spawn_order_settle(void);
/** Jobs of the ledger are known now: those that come after them are looked at.
 */
void spawn_order_look_again(void);

#endif
