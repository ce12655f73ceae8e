/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What callers ask of recurring jobs: a run, a pause, its end, a list.
 */
#ifndef SIMULATION_CRON_ASKED_H
#define SIMULATION_CRON_ASKED_H

#include "t/simulation/answers.h"

/* Something by chance. ret_job: the one that a run is to be; else NULL. */
void cron_choose(cron_request *ret, job **ret_job);
/* All are to go on as httpd.conf says. False: they do, or that is asked for. */
bool cron_undo(cron_request *ret);
bool cron_undone(void);

/* May a run of this entry, another one than this job, wait or go on, or have
 * done so since this turn? */
bool cron_has_run(unsigned entry, const job *but, unsigned since);

/* It is on its way now, written to the message. */
void cron_ask(cron_request *c, const job *j, spawn_writer *w);
/* An answer, or a row of one. */
void cron_judge(const request *r, const spawn_message *m, unsigned code);
/* It will not be answered, and may still be done. */
void cron_lost(const request *r);

const char *cron_request_text(const request *r);

#endif
