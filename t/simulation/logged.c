/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the error log says of jobs (broker/run/report.c): the failure of a job
 * that nobody waits for has its line, and no more than one.
 */
#include "t/simulation/logged.h"

#include <string.h>

#include "t/simulation/world.h"

#define LINES_A_MINUTE 30 /* as in broker/run/report.c */

static unsigned lines[JOBS_MAX];
static unsigned lives_before;

void logged_reset(void)
{
    memset(lines, 0, sizeof(lines));
    lives_before = lives;
}

void logged_line(const char *text)
{
    static const char *const starts[] = {"MS0682: job ", "MS0683: job "};
    char id[SPAWN_ID_TEXT] = "";
    spawn_id of;
    size_t i;

    for (i = 0; i < 2; i++) {
        if (strncmp(text, starts[i], strlen(starts[i])) == 0)
            (void)strncat(id, text + strlen(starts[i]), sizeof(id) - 1);
    }
    if (*id && spawn_id_parse(id, &of) == 0 && job_find(&of))
        lines[job_number(job_find(&of))]++;
}

/* One that is killed may have to tell what the next one does not know. */
static bool one_broker(void)
{
    return lives == lives_before + 1 && said_bye;
}

static bool has_failed(const job *j)
{
    return j->way == BY_POST && !j->waited_for && !j->kill_asked && !j->is_call
           && !j->unsure && j->retry == 0 && !j->ever_revived && !job_is_run(j)
           && j->launches == 1 && j->place == FORGOTTEN
           && (j->step || j->status != 0);
}

void logged_check(void)
{
    unsigned all = 0, i;

    for (i = 0; i < jobs_used; i++)
        all += lines[i];
    for (i = 0; i < jobs_used && one_broker() && !broken; i++) {
        const job *j = &jobs[i];

        if (!has_failed(j))
            continue;
        if (lines[i] > 1)
            promise_broken("the log has %u lines of the end of job %u",
                           lines[i], i);
        else if (lines[i] == 0 && all < LINES_A_MINUTE)
            promise_broken("job %u was posted, has failed, and the log does "
                           "not say so",
                           i);
    }
}
