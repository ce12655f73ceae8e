/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of recurring jobs. A broker notes up to which minute all is
 * dealt with; the world sees runs only, so from the first run that it sees of
 * an entry it knows which one has to follow. Where it cannot know (after a
 * change of httpd.conf, a pause, a clock that was set back, a power cut) it
 * begins anew with the next run.
 */
#include "t/simulation/crons.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "t/simulation/answers.h"
#include "t/simulation/cron_asked.h"
#include "t/simulation/cron_plan.h"
#include "t/simulation/durable.h"

#define UNKNOWN   INT64_MIN
#define ON_TIME   60   /* s; a run that is later was missed */
#define LATE      20   /* s; by then a broker that is well has it run */
#define NOTED     2000 /* ms; by then it has noted its entries in a good store */
#define MADE_UP   60   /* runs in each run of the simulation */
#define PROBATION 2
#define GRACE     5000  /* ms, of who gives none */
#define SET_BACK  59000 /* ms; by less nothing happens */

typedef struct {
    bool there;
    const cron_plan *plan;
    unsigned catch_up;
} rules;

typedef struct {
    rules now, last_turn; /* httpd.conf, as the broker had it then */
    bool overlap;         /* the same in all of a run */
    unsigned queue;
    uint64_t timeout_ms;
    unsigned retry;    /* attempts after the first */
    bool retry_starts; /* also when it could not be started, or timed out */
    uint64_t pause_ms; /* before each of these */
    unsigned life;     /* it was removed so often */
    cron_known known;
    int64_t last;       /* s; the last planned run, or UNKNOWN */
    int64_t last_at;    /* s; and when it was submitted */
    int64_t seen;       /* s; until then a broker has dealt with it */
    int64_t not_before; /* s; nothing from before is made up, or UNKNOWN */
    int64_t shown;      /* s; up to there the clock was before it was wrong */
    int64_t wanted;     /* s; that has to run in the end, or UNKNOWN */
    bool proved;        /* it has */
} entry;

bool with_crons, only_crons;
unsigned clocks_set;

static entry entries[CRONS];
static unsigned wrong_clocks; /* times that the clock was set back */
static int64_t made_up;       /* runs that were to be */
static bool lingers;

static int64_t now_s(void)
{
    return board->wall_ms / 1000;
}

const char *cron_name(unsigned e)
{
    static const char *const names[CRONS] = {"a", "b", "c"};

    return names[e];
}

cron_known *cron_is_known(unsigned e)
{
    return &entries[e].known;
}

bool cron_is_there(unsigned e)
{
    return entries[e].now.there && entries[e].last_turn.there;
}

bool cron_overlaps(unsigned e)
{
    return entries[e].overlap;
}

unsigned cron_queue(unsigned e)
{
    return entries[e].queue;
}

/* Where there are durable jobs, some entries have such runs. */
static bool is_durable(unsigned e)
{
    return with_durable && (e + entries[e].queue) % 2 == 0;
}

void cron_makes(unsigned e, job *j)
{
    j->durable = is_durable(e);
    j->cron = e;
    j->cron_life = entries[e].life;
    j->timeout_ms = entries[e].timeout_ms;
    j->grace_ms = GRACE;
    j->retry = entries[e].retry;
    j->retry_starts = entries[e].retry_starts;
    j->pause_ms = entries[e].pause_ms;
    j->most = j->retry + 1;
    if (j->retry && !j->good_at)
        j->good_at = 1 + random_below(j->retry + 2);
}

void cron_is_resumed(const cron_request *c)
{
    entries[c->entry].not_before =
        c->clocks == clocks_set ? c->asked_at : UNKNOWN;
}

/* ---- a run ---- */

static void choose_plan(rules *r)
{
    static const unsigned ways[] = {SPAWN_CATCH_UP_NONE, SPAWN_CATCH_UP_ONE,
                                    SPAWN_CATCH_UP_ALL};

    r->catch_up = ways[random_below(3)];
    r->plan = cron_plan_choose(r->catch_up == SPAWN_CATCH_UP_ALL && chance(80));
}

void crons_reset(bool some, bool only)
{
    unsigned i;

    with_crons = some;
    only_crons = some && only;
    wrong_clocks = clocks_set = 0;
    made_up = 0;
    lingers = false;
    memset(entries, 0, sizeof(entries));
    for (i = 0; i < CRONS && some; i++) {
        entry *e = &entries[i];

        e->now.there = chance(80);
        choose_plan(&e->now);
        e->overlap = chance(30);
        e->queue = random_below(QUEUES);
        e->timeout_ms = chance(30) ? 1000 + random_below(100000) : 0;
        if (chance(35)) {
            e->retry = 1 + random_below(3);
            e->retry_starts = chance(50);
            e->pause_ms = random_below(3000);
        }
        e->known.sure = true;
        e->last = e->not_before = e->wanted = UNKNOWN;
        e->seen = now_s();
    }
}

/* ---- httpd.conf ---- */

void crons_put_rules(spawn_writer *w)
{
    char program[32];
    unsigned i;

    for (i = 0; i < CRONS && with_crons; i++) {
        const entry *e = &entries[i];
        size_t nest, list;

        if (!e->now.there)
            continue;
        nest = spawn_open_nest(w, SPAWN_A_CRON_RULES);
        spawn_put_str(w, SPAWN_A_CRON, cron_name(i));
        spawn_put_str(w, SPAWN_A_CRON_SCHEDULE, e->now.plan->text);
        spawn_put_str(w, SPAWN_A_CRON_ZONE, "UTC");
        spawn_put_u64(w, SPAWN_A_CRON_CATCH_UP, e->now.catch_up);
        spawn_put_u64(w, SPAWN_A_CRON_OVERLAP, e->overlap);
        spawn_put_str(w, SPAWN_A_QUEUE, queue_names[e->queue]);
        if (e->timeout_ms)
            spawn_put_u64(w, SPAWN_A_TIMEOUT, e->timeout_ms);
        if (e->retry)
            job_put_retry(e->retry, e->pause_ms, e->retry_starts, w);
        if (is_durable(i))
            spawn_put_u64(w, SPAWN_A_DURABLE, 1);
        (void)snprintf(program, sizeof(program), "/bin/cron-%s", cron_name(i));
        list = spawn_open_strv(w, SPAWN_A_ARGV);
        spawn_add_text(w, list, program, strlen(program));
        spawn_close(w, list);
        spawn_close(w, nest);
    }
}

/* What was missed under other rules is made up, too. */
static void spare_changed(entry *e, unsigned before)
{
    int64_t count;

    if (!e->now.there || e->now.catch_up != SPAWN_CATCH_UP_ALL
        || before == SPAWN_CATCH_UP_ALL)
        return;
    count = cron_plan_count(e->now.plan, e->seen, now_s());
    if (made_up + count > MADE_UP)
        e->now.catch_up = SPAWN_CATCH_UP_ONE;
    else
        made_up += count;
}

void crons_change_rules(void)
{
    unsigned i = random_below(CRONS);
    entry *e = &entries[i];
    unsigned before = e->now.catch_up;

    if (!with_crons || chance(40))
        return;
    if (!e->now.there || chance(40))
        e->now.there = !e->now.there;
    if (chance(50))
        choose_plan(&e->now);
    spare_changed(e, before);
    if (e->now.there)
        say("recurring job %s: %s, catch_up %u%s", cron_name(i),
            e->now.plan->text, e->now.catch_up, e->overlap ? ", overlaps" : "");
    else
        say("recurring job %s is removed", cron_name(i));
}

/* ---- time ---- */

/* Does the time that passes cost too many runs? */
static bool too_many(int64_t ms)
{
    int64_t now = now_s(), count = 0;
    unsigned i;

    for (i = 0; i < CRONS; i++) {
        const entry *e = &entries[i];

        if (e->now.there && e->now.catch_up == SPAWN_CATCH_UP_ALL)
            count += cron_plan_count(e->now.plan, now, now + ms / 1000 + 1);
    }
    if (made_up + count > MADE_UP)
        return true;
    made_up += count;
    return false;
}

int64_t crons_leap(void)
{
    unsigned dice = random_below(100);
    int64_t ms = 1000
                 * (int64_t)random_below(dice < 50   ? 90
                                         : dice < 85 ? 600
                                                     : 10000);

    return too_many(ms) ? 0 : ms;
}

bool crons_may_jump(int64_t ms)
{
    return ms <= 0 || !too_many(ms);
}

bool crons_spare(int64_t ms)
{
    unsigned i;

    if (!too_many(ms))
        return false;
    for (i = 0; i < CRONS; i++) {
        rules *r = &entries[i].now;

        if (!r->there || r->catch_up != SPAWN_CATCH_UP_ALL)
            continue;
        r->catch_up = SPAWN_CATCH_UP_ONE;
        say("recurring job %s makes up one run", cron_name(i));
    }
    return true;
}

static bool is_wrong(void)
{
    return board->wall_ms < board->wall_most - SET_BACK;
}

/* The store may not have taken its last run, nor the ledger a durable one, or
 * its broker died before it was stored. */
static bool is_unstored(const job *j)
{
    return j->launches == 0 && !j->known
           && (!alive || j->submitted_in != lives || good_since >= j->sent_ms
               || board->failed_ms >= j->sent_ms || j->put_failed
               || (j->durable && !ledger_has(j)));
}

static bool may_be_unstored(unsigned at)
{
    unsigned i;

    for (i = 0; i < jobs_used; i++) {
        const job *j = &jobs[i];

        if (j->way == BY_CRON && j->cron == at && j->planned == entries[at].last
            && is_unstored(j))
            return true;
    }
    return false;
}

/* By less than a minute: a run that no broker knows comes after that of the
 * minute in which it is now. */
static void clock_is_set_a_little(void)
{
    unsigned i;

    for (i = 0; i < CRONS; i++) {
        if (may_be_unstored(i))
            entries[i].last = UNKNOWN;
    }
}

void crons_clock_is_set(void)
{
    unsigned i;

    clocks_set++;
    if (with_crons && !is_wrong() && board->wall_ms < board->wall_most)
        clock_is_set_a_little();
    if (!with_crons || !is_wrong())
        return;
    wrong_clocks++;
    for (i = 0; i < CRONS; i++)
        entries[i].last = entries[i].not_before = UNKNOWN;
}

/* ---- a run is submitted ---- */

static unsigned entry_of(const char *name)
{
    unsigned i;

    for (i = 0; i < CRONS && strcmp(cron_name(i), name) != 0; i++)
        ;
    return i;
}

static void comes_twice(const entry *e, int64_t planned, const spawn_id *id)
{
    unsigned i;

    for (i = 0; i < jobs_used; i++) {
        const job *j = &jobs[i];

        if (j->way == BY_CRON && j->cron == e - entries && !j->unsure
            && j->planned == planned && j->clocks == wrong_clocks
            && !spawn_id_equal(&j->id, id))
            promise_broken("recurring job %s: the run of minute %lld is "
                           "submitted as job %u, and as another one",
                           cron_name(j->cron), (long long)planned / 60, i);
    }
}

/* The minutes between the run before and this one were due, too. */
static void leaves_some_out(const entry *e, int64_t planned)
{
    int64_t from = e->last > e->shown ? e->last : e->shown;

    if (e->last != UNKNOWN && from < planned
        && cron_plan_next(e->now.plan, from) < planned)
        promise_broken("recurring job %s has the run of minute %lld, and that "
                       "of %lld was not, with catch_up=all",
                       cron_name((unsigned)(e - entries)),
                       (long long)planned / 60,
                       (long long)cron_plan_next(e->now.plan, from) / 60);
}

static bool same_rules(const rules *a, const rules *b)
{
    return a->there == b->there
           && (!a->there || (a->plan == b->plan && a->catch_up == b->catch_up));
}

/* The one before was not stored, so it is none, and httpd.conf may have more
 * made up since. */
static bool never_was(const entry *e)
{
    return !same_rules(&e->now, &e->last_turn)
           && may_be_unstored((unsigned)(e - entries));
}

/* again: a broker had submitted it before, and it was not stored. */
static void check_planned(const entry *e, int64_t planned, bool again)
{
    const char *name = cron_name((unsigned)(e - entries));
    int64_t now = now_s();

    if (!cron_plan_means(e->now.plan, planned))
        promise_broken("recurring job %s has a run of minute %lld, which its "
                       "schedule does not mean",
                       name, (long long)planned / 60);
    else if (planned > now)
        promise_broken("recurring job %s runs %lld s before its time", name,
                       (long long)(planned - now));
    else if (!going || lingers)
        promise_broken("recurring job %s runs, and httpd is not there", name);
    else if (!e->now.there)
        promise_broken("recurring job %s was removed, and runs", name);
    else if (e->known.since && e->known.since < turns)
        promise_broken("recurring job %s is paused, and runs", name);
    else if (e->now.catch_up == SPAWN_CATCH_UP_NONE && now - planned > ON_TIME)
        promise_broken("recurring job %s runs, and was missed %lld s ago", name,
                       (long long)(now - planned));
    else if (e->now.catch_up != SPAWN_CATCH_UP_ALL
             && cron_plan_next(e->now.plan, planned) <= now)
        promise_broken("recurring job %s makes up a run that is not the last",
                       name);
    else if (e->not_before != UNKNOWN && planned <= e->not_before)
        promise_broken("recurring job %s makes up a run from before it was "
                       "there, or while it was paused",
                       name);
    else if (e->last != UNKNOWN && planned <= e->last - again && !is_wrong())
        promise_broken("recurring job %s runs for minute %lld, after that of "
                       "%lld",
                       name, (long long)planned / 60, (long long)e->last / 60);
    else if (e->now.catch_up == SPAWN_CATCH_UP_ALL && !is_wrong())
        leaves_some_out(e, planned);
}

/* The broker has forgotten that it had run. By another clock the same minute
 * may come once more, and the history may have lost its run. */
static void is_taken_again(job *j)
{
    if (j->clocks != wrong_clocks && answer_may_be_forgotten(j))
        j->unsure = true;
    if (!j->unsure && (j->place != ABSENT || j->done))
        promise_broken("job %u, of recurring job %s, is submitted again, and "
                       "has run",
                       job_number(j), cron_name(j->cron));
    j->gone = false;
    j->left_in = 0;
}

static void is_planned(unsigned at, const spawn_id *id)
{
    entry *e = &entries[at];
    int64_t planned = (int64_t)(spawn_id_time(id) / 1000);
    job *j = job_find(id);

    if (never_was(e))
        e->last = UNKNOWN;
    if (!(j && j->unsure)) {
        check_planned(e, planned, j != NULL);
        comes_twice(e, planned, id);
    }
    if (j)
        is_taken_again(j);
    else
        j = job_of_broker(id, e->queue);
    if (!j)
        return;
    cron_makes(at, j);
    j->planned = planned;
    j->clocks = wrong_clocks;
    j->submitted_in = lives;
    say("recurring job %s: the run of minute %lld is job %u", cron_name(at),
        (long long)planned / 60, job_number(j));
    e->last = is_wrong() ? UNKNOWN : planned;
    e->last_at = now_s();
    if (e->wanted != UNKNOWN && planned >= e->wanted)
        e->proved = true;
}

void crons_submitted(const spawn_message *m, bool planned)
{
    unsigned at = entry_of(spawn_str_or(m, SPAWN_A_LABEL, ""));
    spawn_id id;
    job *j;

    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    if (at == CRONS) {
        promise_broken("the broker submits what is no recurring job");
        return;
    }
    if (planned) {
        is_planned(at, &id);
        return;
    }
    j = job_find(&id);
    if (!j || j->way != BY_HAND || j->cron != at)
        promise_broken("recurring job %s is run by hand, and nobody wanted it",
                       cron_name(at));
    else
        j->cron_life = entries[at].life;
}

/* ---- a run is launched ---- */

/* It has failed, and is to be tried again, so it has not ended. */
static bool waits_for_its_next(const job *j)
{
    return j->retry && j->launches > 0 && j->place == FORGOTTEN && !j->step
           && WIFEXITED(j->status) && WEXITSTATUS(j->status) != 0
           && !j->term_ever && j->attempt <= j->retry && !j->kill_asked
           && store_calm && (!j->durable || ledger_calm);
}

/* One that goes on when its entry is removed is a plain job. One that somebody
 * revives starts, whatever goes on. */
void crons_launched(const job *j)
{
    const entry *e = &entries[j->cron];
    unsigned i;

    if (!job_is_run(j) || e->overlap || j->ever_revived)
        return;
    for (i = 0; i < jobs_used; i++) {
        const job *other = &jobs[i];

        if (other != j && job_is_run(other) && !other->ever_revived
            && other->cron == j->cron && other->cron_life == j->cron_life
            && !other->unsure
            && (other->place == STARTING || other->place == RUNNING
                || waits_for_its_next(other)))
            promise_broken("recurring job %s runs twice at once: job %u %s, "
                           "and job %u is launched",
                           cron_name(j->cron), i,
                           other->place == FORGOTTEN ? "is to be tried again"
                                                     : "goes on",
                           job_number(j));
    }
}

/* ---- turns ---- */

/* Its pause may be forgotten, or not yet. */
static void is_unsure(entry *e)
{
    e->known.sure = false;
    e->known.since = 0;
}

static bool begins_anew(const entry *e)
{
    return e->now.there
           && (!e->last_turn.there || e->now.plan != e->last_turn.plan);
}

/* A broker that is well has noted it in this turn. */
static void rules_turn(entry *e)
{
    if (same_rules(&e->now, &e->last_turn))
        return;
    e->last = UNKNOWN;
    if (begins_anew(e))
        e->not_before = calm && broker_ready && !is_wrong() ? now_s() : UNKNOWN;
    if (!e->now.there && e->last_turn.there) {
        e->life++;
        is_unsure(e);
    }
    e->last_turn = e->now;
}

void crons_lose_broker(void)
{
    unsigned i;

    for (i = 0; i < CRONS && with_crons; i++) {
        if (!entries[i].now.there)
            rules_turn(&entries[i]);
    }
}

/* Runs that are made up come before it, one after the other. */
static bool makes_up_others(const entry *e)
{
    return e->now.catch_up == SPAWN_CATCH_UP_ALL
           && (e->last == UNKNOWN
               || cron_plan_next(e->now.plan, e->last) < e->wanted
               || now_s() <= e->last_at + LATE);
}

/* It has attempts left, and no end that anybody was told of. */
static bool one_is_tried_again(const entry *e)
{
    unsigned i;

    for (i = 0; i < jobs_used && e->retry && !e->overlap; i++) {
        if (job_is_run(&jobs[i]) && jobs[i].cron == e - entries
            && jobs[i].launches > 0 && !jobs[i].done)
            return true;
    }
    return false;
}

static void has_to_run(const entry *e)
{
    if (e->wanted == UNKNOWN || e->proved || now_s() <= e->wanted + LATE
        || makes_up_others(e) || one_is_tried_again(e))
        return;
    promise_broken("recurring job %s was due in minute %lld, and does not run",
                   cron_name((unsigned)(e - entries)),
                   (long long)e->wanted / 60);
}

void crons_turn(void)
{
    unsigned i;

    for (i = 0; i < CRONS && with_crons; i++) {
        entry *e = &entries[i];

        rules_turn(e);
        if (!e->known.sure || e->known.paused)
            e->last = UNKNOWN;
        if (!e->known.sure)
            e->not_before = UNKNOWN;
        if (is_wrong())
            e->shown = board->wall_most / 1000;
        if (broker_knows && !ledger_unread && !cron_has_run(i, NULL, turns))
            e->seen = now_s();
        has_to_run(e);
    }
}

void crons_linger(void)
{
    unsigned i;

    lingers = true;
    for (i = 0; i < CRONS; i++)
        entries[i].wanted = UNKNOWN;
}

/* The store's notes may be older, also that of a pause. */
void crons_lose_power(void)
{
    unsigned i;

    for (i = 0; i < CRONS && with_crons; i++) {
        entries[i].last = entries[i].not_before = UNKNOWN;
        entries[i].life++;
        entries[i].known.probation = PROBATION;
        is_unsure(&entries[i]);
    }
}

/* ---- the end of a run ---- */

/* An entry that has just come is due from when the store takes that, which is
 * tried each second. */
void crons_have_to_run(void)
{
    int64_t now = now_s();
    unsigned i;

    if (board->mono_ms - good_since < NOTED)
        return;
    for (i = 0; i < CRONS && with_crons; i++) {
        entry *e = &entries[i];

        if (e->now.there && e->wanted == UNKNOWN)
            e->wanted = cron_plan_next(e->now.plan, now);
    }
}

int64_t crons_next(void)
{
    int64_t first = UNKNOWN, ms;
    unsigned i;

    for (i = 0; i < CRONS && with_crons; i++) {
        const entry *e = &entries[i];

        if (e->wanted != UNKNOWN && !e->proved
            && (first == UNKNOWN || e->wanted < first))
            first = e->wanted;
    }
    ms = first == UNKNOWN ? 0 : first * 1000 - board->wall_ms;
    if (ms <= 0)
        return 0;
    if (!too_many(ms))
        return ms;
    for (i = 0; i < CRONS; i++) /* it is not looked at */
        entries[i].proved = true;
    return 0;
}

bool crons_settled(void)
{
    unsigned i;

    for (i = 0; i < CRONS && with_crons; i++) {
        if (entries[i].now.there && !entries[i].proved)
            return false;
    }
    return true;
}
