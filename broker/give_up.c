/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The losses when a pair ends without its store. Runs in the broker, once, at
 * its end: httpd has gone long ago, nothing runs any more, and the disk has
 * stayed full or the store's directory has stayed away. Must not touch what the
 * store has. Nobody else knows of the rest, so each job has its line.
 */
#include "broker/give_up.h"

#include <stdio.h>

#include "common/spawn_log.h"
#include "broker/base/conf.h"
#include "broker/job/job.h"
#include "broker/store/place.h"
#include "broker/run/report.h"
#include "broker/caller/inbox.h"
#include "broker/recover_told.h"

#define LINES 100 /* of each kind; the last line has the numbers */

static unsigned lines;

static void end_of_unknown(const spawn_id *id, const char *how)
{
    char text[SPAWN_ID_TEXT];

    if (++lines <= LINES)
        spawn_log(SPAWN_LOG_ERR,
                  MSNO(0669) "the end of job %s is not stored: %s",
                  spawn_id_format(id, text), how);
}

void spawn_give_up(const spawn_store *store, bool recovered, int after_s)
{
    bool there = recovered && spawn_store_there(store);
    unsigned ends = 0, waiting = 0, posts;
    const spawn_job *job;

    for (job = spawn_job_next(NULL); job; job = spawn_job_next(job)) {
        unsigned *count = job->state == SPAWN_STATE_DONE ? &ends : &waiting;

        if (job->state != SPAWN_STATE_DONE && there && job->in_store)
            continue; /* starts with the next httpd */
        if (++*count <= LINES)
            spawn_report_lost(job);
    }
    if (!recovered)
        ends += spawn_recover_give_up(end_of_unknown);
    posts = spawn_inbox_give_up();
    spawn_log(
        SPAWN_LOG_CRIT,
        MSNO(0668) "the pair ends without its store: for %d s after httpd "
                   "had gone and the last job had ended, %s %s; not "
                   "stored are the ends of %u jobs, and lost are %u jobs "
                   "that waited and %u that were posted or accepted",
        after_s, spawn_conf.store_path,
        there || !recovered ? "could not be written" : "was not there any more",
        ends, waiting, posts);
}
