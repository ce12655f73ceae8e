/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file ask.h
 * @brief The status page's questions to the broker.
 *
 * Runs in httpd children, in the thread of the request. Each question ends at
 * SpawnSubmitTimeout, and lists of jobs after 5 s with what they have. Each
 * returns 0, or -1 with the page's status and why.
 */
#ifndef SPAWN_STATUS_ASK_H
#define SPAWN_STATUS_ASK_H

#include "client/choice.h"
#include "client/meters.h"
#include "module/status/page.h"

/** Where a list goes on. */
typedef struct {
    uint64_t before; /* for the next page; 0: there is none */
    bool looked;     /* as many jobs as may be were looked at, or for as long:
                        there may be more, though fewer were found than wanted */
} spawn_next;

/** Jobs of one page; row returns false to end it before. */
int spawn_ask_jobs(spawn_page *page, const spawn_choice *choice,
                   bool (*row)(void *arg, const spawn_message *job), void *arg,
                   spawn_next *ret);

/** How many jobs are dead. */
int spawn_ask_dead(spawn_page *page, uint64_t *ret);

/** One job; *ret is to be freed after a success. */
int spawn_ask_job(spawn_page *page, const spawn_id *id, bool with_output,
                  spawn_answer *ret);

/** The queues, or the one that is named. */
int spawn_ask_queues(spawn_page *page, const char *name,
                     void (*row)(void *arg, const spawn_message *queue),
                     void *arg);

/** Templates and workers. */
int spawn_ask_templates(spawn_page *page,
                        void (*row)(void *arg, const spawn_message *process),
                        void *arg);

/** The numbers of jobs; *ret is to be freed, also after a failure. */
int spawn_ask_meters(spawn_page *page, spawn_meters_answer *ret);

/** Acts: KILL, REVIVE, START_NOW, QUEUES with a QUEUE_DO. Most: for
 * SPAWN_QUEUE_SCALE, or 0: as SpawnMaxJobs says. */
int spawn_ask_kill(spawn_page *page, const spawn_id *id, int signo);
int spawn_ask_revive(spawn_page *page, const spawn_id *id);
int spawn_ask_start(spawn_page *page, const spawn_id *id);
int spawn_ask_change(spawn_page *page, const char *queue, uint64_t what,
                     uint64_t most);

#endif
