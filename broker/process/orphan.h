/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file orphan.h
 * @brief Jobs that outlived their parent (the spawner, or a template of
 * httpd): followed by pidfd.
 */
#ifndef SPAWN_BROKER_PROCESS_ORPHAN_H
#define SPAWN_BROKER_PROCESS_ORPHAN_H

#include "broker/job/grace.h"
#include "broker/job/job.h"

/** How one ended. */
typedef struct {
    int64_t ended_at; /* wall, ms */
    int64_t elapsed_us;
    bool known; /* the kernel told its wait status */
    int status;
} spawn_orphan_end;

typedef void (*spawn_orphan_ended_fn)(spawn_job *job,
                                      const spawn_orphan_end *end);

/**
 * Follow a running job whose parent has gone, if its process is still the
 * one that was started: same number, session and start time.
 * @param ended is called when it has ended.
 * @return false when it is not there any more.
 */
bool spawn_orphan_follow(spawn_job *job, spawn_orphan_ended_fn ended);

/** Would that be true? */
bool spawn_orphan_lives(const spawn_job *job);

/** How long such a job has run, ms. */
int64_t spawn_orphan_age(const spawn_job *job);

void spawn_orphan_signal(spawn_job *job, int signo);

/**
 * A job is about to be sent TERM. When its parent is killed after it has ended
 * and before the grace of its group is over, nobody could end the others: so
 * its group is noted while it has a number. Of a call it is its worker's.
 */
void spawn_orphan_note(spawn_job *job);

/** Has the leader of such a job, by its descriptor, not ended? */
bool spawn_orphan_leader_lives(const spawn_job *job);

/** Its leader and the leader's parent have gone: end its group when its grace
 * is over, if it has one. */
void spawn_orphan_leave_group(spawn_job *job);

/** End a group that a broker before this one noted, at kill_at (mono ms).
 * Nobody has a descriptor of its leader. */
void spawn_orphan_found_group(spawn_batch *batch, const spawn_grace *g,
                              int64_t kill_at);

/** From now on over is called when the grace of a group is over. */
void spawn_orphan_groups_told(void (*over)(spawn_batch *batch,
                                           const spawn_id *id));

/** Are there groups whose grace we watch over? */
bool spawn_orphan_groups(void);

/** This broker ends, and its notes with it: end these groups now.
 * @param spawner_gone also groups whose leader ended before the spawner. */
void spawn_orphan_groups_end(bool spawner_gone);

/** Called when a job is freed. */
void spawn_orphan_drop(spawn_job *job);

#endif
