/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that have to do with others: priorities, unique keys, and jobs that come
 * after others. What is checked here: no two jobs that have a key until they
 * have ended run at once, none starts before those that it comes after have
 * ended as it wants, the highest priority starts first, and what is refused,
 * kept or cancelled for such a reason has one.
 */
#include "common/spawn_rule.h"
#include "t/simulation/answers.h"
#include "t/simulation/durable.h"
#include "t/simulation/ordered.h"

static const char *const keys[] = {"a", "b"};

/* ---- what they want ---- */

static void choose_after(job *j)
{
    unsigned wanted = 1 + random_below(AFTER_MAX), i;

    for (i = 0; i < 4 * wanted && j->after_count < wanted; i++) {
        const job *other = &jobs[random_below(jobs_used)];

        if (other != j && other->claims > 0 && !other->is_call && !other->gone
            && !job_is_run(other))
            j->after[j->after_count++] = job_number(other);
    }
    j->after_runs = chance(40);
}

static void tell(const job *j)
{
    static const char *const conflicts[] = {"reject", "keep", "replace",
                                            "after"};
    unsigned i;

    if (j->priority)
        say("job %u has priority %d", job_number(j), j->priority);
    if (j->key)
        say("job %u has key %s in queue %s until it %s, %s", job_number(j),
            j->key, queue_names[j->queue],
            j->key_until_start ? "starts" : "has ended",
            conflicts[j->conflict]);
    for (i = 0; i < j->after_count; i++)
        say("job %u comes after job %u%s", job_number(j), j->after[i],
            j->after_runs ? ", however that ends" : "");
}

void ordered_new(job *j)
{
    if (j->is_call)
        return;
    if (chance(25))
        j->priority = (int)random_below(5) - 2;
    if (chance(20)) {
        j->key = keys[random_below(2)];
        j->conflict = random_below(4);
        j->key_until_start = chance(30);
    }
    if (chance(15) && jobs_used > 0)
        choose_after(j);
    tell(j);
}

void ordered_write(const job *j, spawn_writer *w)
{
    spawn_id ids[AFTER_MAX];
    unsigned i;

    if (j->priority)
        spawn_put_i64(w, SPAWN_A_PRIORITY, j->priority);
    if (j->key) {
        spawn_put_str(w, SPAWN_A_UNIQUE, j->key);
        spawn_put_u64(w, SPAWN_A_ON_CONFLICT, j->conflict);
        if (j->key_until_start)
            spawn_put_u64(w, SPAWN_A_UNIQUE_FOR, SPAWN_UNIQUE_WAITING);
    }
    for (i = 0; i < j->after_count; i++)
        ids[i] = jobs[j->after[i]].id;
    if (j->after_count)
        spawn_put_bytes(w, SPAWN_A_AFTER, ids, j->after_count * sizeof(ids[0]));
    if (j->after_count && j->after_runs)
        spawn_put_u64(w, SPAWN_A_AFTER_FAILED, SPAWN_AFTER_FAILED_RUN);
}

bool ordered_has(const job *j)
{
    return j->key || j->after_count;
}

/* ---- keys ---- */

static bool has_process(const job *j)
{
    return j->place == STARTING || j->place == RUNNING;
}

static bool same_key(const job *a, const job *b)
{
    return a != b && a->key && a->key == b->key && a->queue == b->queue;
}

static void check_key(const job *j)
{
    unsigned i;

    for (i = 0; i < jobs_used; i++) {
        const job *other = &jobs[i];

        if (same_key(j, other) && !other->key_until_start && !other->unsure
            && has_process(other))
            promise_broken("job %u is launched, and job %u, which runs, has "
                           "its key",
                           job_number(j), i);
    }
}

/* It may have had its key after this turn. A store that has failed may not
 * have noted its end. */
static bool may_have_had(const job *other, unsigned since)
{
    return !store_calm || other->unsure || !other->left_in
           || other->left_in >= since;
}

/* Another one that may have been there. */
static bool had_another(const job *j, bool replaces, unsigned since)
{
    unsigned i;

    for (i = 0; i < jobs_used; i++) {
        const job *other = &jobs[i];

        if (same_key(j, other) && may_have_had(other, since)
            && (!replaces || other->conflict == SPAWN_CONFLICT_REPLACE))
            return true;
    }
    return false;
}

/* ---- jobs that it comes after ---- */

/* Its time was over, or somebody wanted it to end: what its exit code was does
 * not matter then; or nobody may have heard of it. */
static bool may_count_as_failed(const job *j)
{
    return j->kill_asked || j->had_ended || j->ever_revived
           || (j->timeout_ms
               && j->ended_ms >= j->started_ms + (int64_t)j->timeout_ms);
}

static bool ended_well(const job *j)
{
    return (j->place == ENDED || j->place == FORGOTTEN || j->had_ended)
           && j->status == 0 && j->step == 0;
}

/* It was not taken, perhaps, after the other one had named it. What is sent
 * again is another one. */
static bool may_have_been_undone(const job *other, const job *j)
{
    return other->undone_in && other->undone_in >= j->sent_turn;
}

static bool some_failed(const job *j, bool maybe)
{
    unsigned i;

    for (i = 0; i < j->after_count; i++) {
        const job *other = &jobs[j->after[i]];

        if (other->unsure ? maybe
                          : !ended_well(other)
                                || (maybe
                                    && (may_count_as_failed(other)
                                        || may_have_been_undone(other, j))))
            return true;
    }
    return false;
}

static void check_after(const job *j)
{
    unsigned i;

    for (i = 0; i < j->after_count; i++) {
        const job *other = &jobs[j->after[i]];

        if (has_process(other) && !other->unsure && !other->ever_revived
            && !may_have_been_undone(other, j))
            promise_broken("job %u is launched, and job %u, which it comes "
                           "after, runs",
                           job_number(j), job_number(other));
    }
    if (!j->after_runs && some_failed(j, false))
        promise_broken("job %u is launched, and one that it comes after has "
                       "not ended well",
                       job_number(j));
}

void ordered_launched(job *j, unsigned attempt)
{
    j->launched_in = turns;
    if (j->unsure)
        return;
    if (j->key && !(j->key_until_start && attempt > 1))
        check_key(j); /* else it has given it up */
    if (j->after_count && j->launches == 0)
        check_after(j); /* one that is tried again comes after nobody */
}

/* ---- priorities ---- */

/* It waited in its queue, for nothing else, before this turn. A durable one
 * that was chosen waits for the disk, and others may start before it. */
static bool waits(const job *j)
{
    return j->place == ABSENT && j->launches == 0 && j->known_turn
           && j->known_turn < turns && !j->is_call && !j->left_in
           && !j->kill_asked && !j->done && !j->cancelled && !j->durable
           && !j->ever_revived && !j->order_may_be_lost && !job_has_rules(j);
}

static void check_priority(const job *j)
{
    unsigned i;

    for (i = 0; i < jobs_used; i++) {
        const job *other = &jobs[i];

        if (other->queue == j->queue && other->priority > j->priority
            && waits(other))
            promise_broken("job %u is launched, and job %u has a higher "
                           "priority, and waits",
                           job_number(j), i);
    }
}

void ordered_check(void)
{
    unsigned i;

    for (i = 0; i < jobs_used && store_calm; i++) {
        if (jobs[i].launched_in == turns && !jobs[i].is_call
            && !jobs[i].durable)
            check_priority(&jobs[i]);
    }
}

/* ---- answers ---- */

/* It may not have been known then. */
static bool may_be_unknown(const job *j, unsigned since)
{
    return !store_calm || j->unsure || j->gone || !j->known_turn
           || j->known_turn > since;
}

static bool names_unknown(const job *j, unsigned since)
{
    unsigned i;

    for (i = 0; i < j->after_count; i++) {
        if (may_be_unknown(&jobs[j->after[i]], since))
            return true;
    }
    return false;
}

/* A job that is not known, and older than those that a full disk has cost. */
static bool names_forgotten(const job *j, unsigned since)
{
    unsigned i;

    for (i = 0; i < j->after_count; i++) {
        const job *other = &jobs[j->after[i]];

        if (answer_history_may_lack(other->made_ms)
            && (may_be_unknown(other, since) || answer_may_be_forgotten(other)))
            return true;
    }
    return false;
}

bool ordered_may_refuse(const job *j, unsigned code, unsigned since)
{
    if (code == SPAWN_E_NOT_UNIQUE)
        return j->conflict == SPAWN_CONFLICT_REJECT
               && had_another(j, false, since);
    if (code == SPAWN_E_TOO_OLD)
        return names_forgotten(j, since);
    return code == SPAWN_E_NO_SUCH_JOB && names_unknown(j, since);
}

bool ordered_may_cancel(const job *j)
{
    if (j->launches > 0 && !j->retry)
        return false;
    if (j->after_count && !j->after_runs && some_failed(j, true))
        return true;
    return j->key
           && (had_another(j, true, j->sent_turn)
               || (j->conflict == SPAWN_CONFLICT_KEEP
                   && had_another(j, false, j->sent_turn)));
}

bool ordered_refused_post(const job *j, unsigned step)
{
    if (step == SPAWN_STEP_STORE) /* the ledger may know one that it names */
        return with_durable && j->after_count > 0
               && (!store_calm || ledger_unread_in >= j->sent_turn);
    if (step == SPAWN_STEP_QUEUE)
        return j->key && j->conflict == SPAWN_CONFLICT_REJECT
               && had_another(j, false, j->sent_turn);
    return step == SPAWN_STEP_CHECK && names_unknown(j, j->sent_turn);
}

void ordered_kept(const job *j, const spawn_id *id)
{
    const job *other = job_find(id);

    if (!other || !same_key(j, other) || j->conflict != SPAWN_CONFLICT_KEEP)
        promise_broken("job %u is not taken, and another one is kept without "
                       "its key",
                       job_number(j));
    else if (other->claims == 0 && !other->unsure)
        promise_broken("job %u is not taken, and one is kept that was refused",
                       job_number(j));
}
