/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What callers ask of recurring jobs, and whether the answers are true. As with
 * changes of queues, one that was not answered may count or not, until the next
 * ones are.
 */
#include "t/simulation/cron_asked.h"
#include "t/simulation/durable.h"
#include "t/simulation/room.h"

#include <stdio.h>
#include <string.h>

#define PROBATION 2

const char *cron_request_text(const request *r)
{
    static const char *const words[] = {[SPAWN_CRON_LIST] = "list",
                                        [SPAWN_CRON_RUN] = "run",
                                        [SPAWN_CRON_PAUSE] = "pause",
                                        [SPAWN_CRON_RESUME] = "resume"};
    static char text[128];
    int n = snprintf(text, sizeof(text), "%s of recurring job %s (request %u)",
                     words[r->cron.what], cron_name(r->cron.entry), r->seq);

    if (r->job)
        (void)snprintf(text + n, sizeof(text) - (size_t)n, ", job %u",
                       job_number(r->job));
    return text;
}

/* ---- what is wanted ---- */

void cron_choose(cron_request *ret, job **ret_job)
{
    unsigned dice = random_below(100);

    *ret_job = NULL;
    ret->entry = random_below(CRONS);
    if (dice < 45)
        ret->what = SPAWN_CRON_LIST;
    else if (dice < 60)
        ret->what = SPAWN_CRON_PAUSE;
    else if (dice < 80)
        ret->what = SPAWN_CRON_RESUME;
    else
        ret->what = SPAWN_CRON_RUN;
    if (ret->what != SPAWN_CRON_RUN)
        return;
    *ret_job = job_by_hand(cron_queue(ret->entry));
    if (!*ret_job)
        ret->what = SPAWN_CRON_LIST;
    else
        cron_makes(ret->entry, *ret_job);
}

static bool is_undone(unsigned entry)
{
    const cron_known *k = cron_is_known(entry);

    return !cron_is_there(entry) || (k->sure && !k->paused);
}

bool cron_undone(void)
{
    unsigned i;

    for (i = 0; i < CRONS && with_crons; i++) {
        if (!is_undone(i))
            return false;
    }
    return true;
}

bool cron_undo(cron_request *ret)
{
    unsigned i;

    for (i = 0; i < CRONS && with_crons; i++) {
        if (is_undone(i) || cron_is_known(i)->asked)
            continue;
        ret->entry = i;
        ret->what = SPAWN_CRON_RESUME;
        return true;
    }
    return false;
}

/* ---- on its way ---- */

static bool is_change(const cron_request *c)
{
    return c->what == SPAWN_CRON_PAUSE || c->what == SPAWN_CRON_RESUME;
}

void cron_ask(cron_request *c, const job *j, spawn_writer *w)
{
    cron_known *k = cron_is_known(c->entry);

    spawn_put_str(w, SPAWN_A_CRON, cron_name(c->entry));
    spawn_put_u64(w, SPAWN_A_CRON_DO, c->what);
    if (j)
        spawn_put_id(w, SPAWN_A_ID, &j->id);
    c->number = ++k->numbers;
    c->alone = k->asked == 0;
    c->was_paused = k->sure && k->paused;
    c->asked_at = board->wall_ms / 1000;
    c->clocks = clocks_set;
    if (!is_change(c))
        return;
    k->asked++;
    k->sure = false;
    k->since = 0;
}

/* ---- answers ---- */

static void is_answered(const cron_request *c, bool paused)
{
    cron_known *k = cron_is_known(c->entry);

    k->asked--;
    if (!c->alone || c->number != k->numbers)
        return;
    if (k->probation > 0) {
        k->probation--;
        return;
    }
    k->sure = true;
    k->paused = paused;
    k->since = paused ? turns : 0;
    if (c->was_paused && !paused)
        cron_is_resumed(c);
}

static void judge_row(const request *r, const spawn_message *m)
{
    const cron_request *c = &r->cron;
    const cron_known *k = cron_is_known(c->entry);
    bool paused = spawn_has(m, SPAWN_A_CRON_PAUSED);

    if (strcmp(spawn_str_or(m, SPAWN_A_CRON, ""), cron_name(c->entry)) != 0)
        promise_broken("asked for recurring job %s, and another one is told",
                       cron_name(c->entry));
    else if (is_change(c) && paused != (c->what == SPAWN_CRON_PAUSE))
        promise_broken("recurring job %s is changed, and told as it was before",
                       cron_name(c->entry));
    else if (k->sure && c->number == k->numbers && paused != k->paused)
        promise_broken("recurring job %s is told to be %s, which it is not",
                       cron_name(c->entry), paused ? "paused" : "at work");
    if (is_change(c))
        is_answered(c, paused);
}

bool cron_has_run(unsigned entry, const job *but, unsigned since)
{
    unsigned i;

    for (i = 0; i < jobs_used; i++) {
        const job *j = &jobs[i];

        if (j != but && job_is_run(j) && j->cron == entry
            && (!j->left_in || j->left_in >= since))
            return true;
    }
    return false;
}

/* A broker that could not note its end tries that again. */
static bool may_be_active(const request *r)
{
    return !store_calm || cron_has_run(r->cron.entry, r->job, r->asked_in);
}

/* The clock is set back, or was when the id was made. */
static bool may_be_too_old(const job *j)
{
    const int64_t sure = board->wall_most - 30000;

    return board->wall_ms < sure || (int64_t)spawn_id_time(&j->id) < sure;
}

static void judge_refusal(const request *r, unsigned code)
{
    const cron_request *c = &r->cron;
    job *j = r->job;

    if (is_change(c))
        cron_is_known(c->entry)->asked--;
    if (j && --j->claims == 0)
        j->left_in = turns;
    if (j && j->launches > 0)
        promise_broken("job %u is refused, and was launched", job_number(j));
    if (code == SPAWN_E_INVALID && !cron_is_there(c->entry))
        return;
    if (code == SPAWN_E_STORE
        && (!store_calm || (j && j->durable && !ledger_calm)))
        return;
    if (j && code == SPAWN_E_CONFLICT && !cron_overlaps(c->entry)
        && may_be_active(r))
        return;
    if (j && code == SPAWN_E_TOO_OLD && may_be_too_old(j))
        return;
    if (j && code == SPAWN_E_QUEUE_FULL && room_may_be_full(r))
        return;
    promise_broken("a request about recurring job %s is refused, for no reason",
                   cron_name(c->entry));
}

void cron_judge(const request *r, const spawn_message *m, unsigned code)
{
    switch (m->header.type) {
    case SPAWN_M_CRON_ENTRY:
        judge_row(r, m);
        break;
    case SPAWN_M_END:
        break;
    case SPAWN_M_REFUSED:
        judge_refusal(r, code);
        break;
    case SPAWN_M_ACCEPTED:
        if (r->job && !r->job->unsure)
            answer_accepts(r->job, m);
        break;
    default:
        promise_broken("recurring job %s is answered with what is no answer",
                       cron_name(r->cron.entry));
    }
}

void cron_lost(const request *r)
{
    cron_known *k = cron_is_known(r->cron.entry);

    if (!is_change(&r->cron) || r->row_came)
        return;
    k->asked--;
    k->probation = PROBATION;
}
