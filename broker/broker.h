/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file broker.h
 * @brief The broker's main state: its store, its batch, and where it is in its
 * life.
 *
 * Runs in the broker. main.c owns it, and passes it to the files beside this
 * one. The rooms below get the batch or the store, or find them: a job and a
 * caller's connection point at their batch, a batch points at its store. The
 * rooms must not know this struct. A process has one table of jobs, one set of
 * queues and one link: these are variables of the files that work on them.
 */
#ifndef SPAWN_BROKER_BROKER_H
#define SPAWN_BROKER_BROKER_H

#include "broker/base/timer.h"
#include "broker/job/changes.h"
#include "broker/store/store.h"

typedef struct {
    spawn_store *store;
    spawn_batch batch; /* written to it */

    /* life.c */
    bool table_complete; /* TABLE_END has come */
    bool answer_ready;   /* BROKER_READY is due at the end of the turn */
    bool asked;          /* the spawner waits for an answer to CONFIGURE */
    spawn_timer prune_timer;
    spawn_timer room_timer;  /* has fire: the disk was full at the start */
    spawn_timer store_timer; /* it cannot be opened, for another reason */
    char store_why[320];     /* which was told; "": none */
    spawn_timer end_timer;   /* while lingering */
    int64_t stuck_since;     /* nothing is left to do but for the store */
    bool last_try;
} spawn_broker;

#endif
