/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file launches.h
 * @brief Jobs that the store has as waiting, and whose orders are sent all the
 * same: each is noted before, in a file beside the database.
 *
 * So such a job is written twice, as waiting and as ended, and its start is no
 * commit of its own. A note tells the next broker what `starting` in the store
 * would; it counts only while the store says that its job waits.
 */
#ifndef SPAWN_BROKER_STORE_LAUNCHES_H
#define SPAWN_BROKER_STORE_LAUNCHES_H

#include "broker/job/job.h"

/** The store was opened. Read the notes of a broker before this one; when the
 * store was open before, the notes that stand are written to their new places.
 * Without the file nothing can be noted. 0, or -1 with why when there is one
 * that cannot be read: jobs might run twice. */
int spawn_launches_open(spawn_store *store, spawn_failure *why);
void spawn_launches_close(spawn_store *store);

/**
 * The job's order is about to be sent.
 * @return the place of its note; 0: there is none, and it has to be stored
 * before.
 */
unsigned spawn_launches_note(spawn_store *store, const spawn_id *id,
                             unsigned attempt);

/** The store has what the note says, or more. */
void spawn_launches_stored(spawn_store *store, unsigned place);

/** The job waits again, and nobody has its order: its place, if it has one, is
 * free. It is a job of the store: no other is noted. */
void spawn_launches_undo(spawn_job *job);

/**
 * In the recovery: was this job, which waits in the store, ordered, for the
 * attempt that it waits for?
 * @param ret_life of the spawner that was sent its order.
 * @return the place of its note, as of spawn_launches_note; 0: it was not.
 */
unsigned spawn_launches_find(spawn_store *store, const spawn_id *id,
                             unsigned attempt, spawn_id *ret_life);

#endif
