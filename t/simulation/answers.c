/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is an answer true? It is compared with what the world knows of the job: what
 * the spawner did for it, and what was answered before.
 */
#include "t/simulation/answers.h"
#include "t/simulation/cron_asked.h"
#include "t/simulation/durable.h"
#include "t/simulation/metered.h"
#include "t/simulation/ordered.h"
#include "t/simulation/recorded.h"
#include "t/simulation/revived.h"
#include "t/simulation/room.h"
#include "t/simulation/workers.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define KEPT_AT_LEAST 120000 /* ms, as in broker/store/history.c */

/* ---- words ---- */

const char *request_text(const request *r)
{
    static const char *const words[] = {
        [SPAWN_QUEUE_LIST] = "list",      [SPAWN_QUEUE_PAUSE] = "pause",
        [SPAWN_QUEUE_RESUME] = "resume",  [SPAWN_QUEUE_DRAIN] = "drain",
        [SPAWN_QUEUE_SCALE] = "scale",    [SPAWN_QUEUE_UNPAUSE] = "unpause",
        [SPAWN_QUEUE_UNDRAIN] = "undrain"};
    static char text[128];

    if (r->type == SPAWN_M_QUEUES) {
        (void)snprintf(text, sizeof(text), "%s of %s (request %u)",
                       words[r->control.what], queue_names[r->control.queue],
                       r->seq);
        return text;
    }
    if (r->type == SPAWN_M_CRON)
        return cron_request_text(r);
    if (!r->job)
        return spawn_message_name(r->type);
    (void)snprintf(text, sizeof(text), "%s job %u%s%s (request %u)",
                   spawn_message_name(r->type), job_number(r->job),
                   r->want ? ", answer when " : "",
                   r->want ? spawn_reply_name(r->want) : "", r->seq);
    return text;
}

const char *answer_text(const spawn_message *m)
{
    static char text[512];
    int n = snprintf(text, sizeof(text), "request %u: %s", m->header.seq,
                     spawn_message_name(m->header.type));

    if (m->header.type == SPAWN_M_REFUSED)
        (void)snprintf(
            text + n, sizeof(text) - (size_t)n, ": %s: %.200s",
            spawn_error_name((unsigned)spawn_u64_or(m, SPAWN_A_CODE, 0)),
            spawn_str_or(m, SPAWN_A_TEXT, ""));
    else if (spawn_has(m, SPAWN_A_OUTCOME))
        (void)snprintf(
            text + n, sizeof(text) - (size_t)n, ": %s",
            spawn_outcome_name((unsigned)spawn_u64_or(m, SPAWN_A_OUTCOME, 0)));
    else if (spawn_has(m, SPAWN_A_STATE))
        (void)snprintf(
            text + n, sizeof(text) - (size_t)n, ": %s",
            spawn_state_name((unsigned)spawn_u64_or(m, SPAWN_A_STATE, 0)));
    return text;
}

/* ---- how a job ended ---- */

static bool process_ended(const job *j)
{
    return j->place == ENDED || j->place == FORGOTTEN || j->had_ended;
}

/* Nobody can know how it ended. */
static bool lost_track(const job *j)
{
    return j->place == UNPARENTED
           || ((j->launches == 0 || j->retry) && j->order_may_be_lost);
}

static bool start_failed_truly(const job *j, const spawn_message *m)
{
    unsigned step = (unsigned)spawn_u64_or(m, SPAWN_A_STEP, 0);

    if (j->launches == 0 && j->is_call && step == SPAWN_STEP_TEMPLATE)
        return workers_failed;
    if (j->durable && step == SPAWN_STEP_STORE
        && (j->launches == 0 || j->ever_revived))
        return !store_calm || !ledger_calm; /* one took it, the other not */
    if (j->launches == 0)
        return (step == SPAWN_STEP_QUEUE && room_may_have_refused(j))
               || ordered_refused_post(j, step);
    return process_ended(j) && step != 0 && step == j->step;
}

/* Its worker ended, and did not have it, but the broker that wrote its ticket
 * was killed: the next one cannot know whether it was sent, or read. */
static bool may_have_run(const job *j)
{
    return j->is_call && j->launches == 0
           && (j->noted || (j->given_by && j->given_by != lives));
}

/* Its worker has not read it, and the broker did not know that yet when it may
 * have answered. */
static bool seems_to_run(const job *j, const request *r)
{
    return j->is_call && j->launches == 0
           && (j->noted
               || (j->given_by
                   && (j->given_by != lives
                       || workers_end_unknown(&j->given_to, r->asked_in))));
}

/* The worker that it was sent to has not read it for so long. */
static bool was_overdue(const job *j)
{
    return j->is_call && j->launches == 0 && j->given_by && j->timeout_ms
           && board->mono_ms >= j->given_ms + (int64_t)j->timeout_ms;
}

/* A worker had it that no broker knows any more; or its caller had gone when it
 * was to begin. */
static bool lost_with_its_worker(const job *j)
{
    return j->direct && j->launches == 0
           && (j->noted
               || (j->direct_in != lives && !workers_has(&j->direct_worker)));
}

/* Then it is told so. */
static bool ended_as_its_worker(const job *j, unsigned outcome,
                                const spawn_message *m)
{
    int status = workers_status(j->noted ? &j->direct_worker : &j->given_to);

    switch (outcome) {
    case SPAWN_OUTCOME_EXITED: /* 0 would be that it has run */
        return WIFEXITED(status) && WEXITSTATUS(status) != 0
               && (int)spawn_u64_or(m, SPAWN_A_EXIT_CODE, 999)
                      == WEXITSTATUS(status);
    case SPAWN_OUTCOME_LOST:
        return WIFEXITED(status) && WEXITSTATUS(status) == 0;
    case SPAWN_OUTCOME_SIGNALLED:
        return WIFSIGNALED(status)
               && (int)spawn_u64_or(m, SPAWN_A_SIGNAL, 999) == WTERMSIG(status);
    case SPAWN_OUTCOME_TIMED_OUT:
        return j->timeout_ms > 0;
    default:
        return false;
    }
}

static bool outcome_is_true(const job *j, unsigned outcome,
                            const spawn_message *m)
{
    int64_t ran = j->ended_ms - j->started_ms;

    if ((may_have_run(j) && ended_as_its_worker(j, outcome, m))
        || recorded_is_lost(j, outcome))
        return true;
    switch (outcome) {
    case SPAWN_OUTCOME_EXITED:
        if (recorded_as_before_revive(j))
            return true;
        return process_ended(j) && !j->step && WIFEXITED(j->status)
               && (int)spawn_u64_or(m, SPAWN_A_EXIT_CODE, 999)
                      == WEXITSTATUS(j->status);
    case SPAWN_OUTCOME_SIGNALLED:
        return process_ended(j) && !j->step && WIFSIGNALED(j->status)
               && (int)spawn_u64_or(m, SPAWN_A_SIGNAL, 999)
                      == WTERMSIG(j->status);
    case SPAWN_OUTCOME_TIMED_OUT:
        if ((j->place == UNPARENTED && j->term_ever) || was_overdue(j))
            return true;
        return process_ended(j) && !j->step && j->timeout_ms
               && ran >= (int64_t)j->timeout_ms;
    case SPAWN_OUTCOME_CANCELLED:
        return ordered_may_cancel(j)
               || (j->kill_asked
                   && (j->launches == 0 || (j->retry && j->place == FORGOTTEN)
                       || (j->retry && j->place == UNPARENTED)
                       || (process_ended(j) && WIFSIGNALED(j->status))));
    case SPAWN_OUTCOME_EXPIRED:
        return (j->launches == 0
                || (j->retry
                    && (j->place == FORGOTTEN || j->place == UNPARENTED)))
               && job_may_have_expired(j);
    case SPAWN_OUTCOME_START_FAILED:
        return start_failed_truly(j, m);
    case SPAWN_OUTCOME_LOST:
        return lost_track(j) || lost_with_its_worker(j);
    case SPAWN_OUTCOME_ENDED:
        return j->place == UNPARENTED || (j->is_call && lost_track(j));
    default:
        return false;
    }
}

/* It may have been tried once more, and was not. A store that failed may be the
 * reason. */
static bool ended_too_early(const job *j, unsigned outcome)
{
    return store_calm && j->retry && !j->ever_revived && !j->kill_asked
           && outcome == SPAWN_OUTCOME_EXITED && j->status != 0
           && j->attempt <= j->retry;
}

static void judge_end(job *j, const spawn_message *m)
{
    unsigned outcome = (unsigned)spawn_u64_or(m, SPAWN_A_OUTCOME, 0);

    if (!outcome_is_true(j, outcome, m))
        promise_broken("job %u is told to have ended as %s (%s), which it has "
                       "not",
                       job_number(j), spawn_outcome_name(outcome),
                       spawn_str_or(m, SPAWN_A_TEXT, ""));
    if (ended_too_early(j, outcome))
        promise_broken("job %u is told to have ended, and has %u retries left",
                       job_number(j), j->retry + 1 - j->attempt);
    revived_ends(j, outcome);
    if (j->done && outcome != j->outcome && !j->maybe_revived
        && !recorded_may_lose_end(j, outcome) && !recorded_is_lost(j, outcome))
        promise_broken("job %u had ended as %s, and now as %s", job_number(j),
                       spawn_outcome_name(j->outcome),
                       spawn_outcome_name(outcome));
    if (!j->done) {
        j->told_ms = board->mono_ms;
        j->told_boot = board->boot;
    }
    j->done = true;
    j->outcome = outcome;
    if (!j->left_in)
        j->left_in = turns;
}

/* ---- a job as it is ---- */

static bool far_enough(const request *r, unsigned state)
{
    if (r->type == SPAWN_M_GET || state == SPAWN_STATE_DONE)
        return true;
    if (r->want != SPAWN_REPLY_STARTED)
        return false;
    /* it has run, and waits to be tried again */
    return state == SPAWN_STATE_RUNNING
           || (r->job->retry && r->job->launches > 0);
}

static void judge_durable(const job *j)
{
    if (j->durable && !ledger_has(j))
        promise_broken("job %u is taken, and is not on the disk",
                       job_number(j));
}

/* A post is reported as refused, also to a caller that submits the same. */
static void judge_drained(const job *j)
{
    if (j->way == BY_SUBMIT && !j->posted_in
        && controls_take_nothing(j->queue, j->sent_turn))
        promise_broken("job %u is taken by a queue that is drained",
                       job_number(j));
}

static void is_shown(job *j)
{
    if (!j->known_ms) {
        j->known_ms = board->mono_ms;
        j->known_wall = board->wall_ms;
        j->known_in = lives;
    }
    if (!j->known_turn)
        j->known_turn = turns;
}

/* It may have ended: it was killed meanwhile, or posted too, and refused. */
void answer_accepts(job *j, const spawn_message *m)
{
    bool ended = spawn_u64_or(m, SPAWN_A_STATE, 0) == SPAWN_STATE_DONE;

    j->known = j->promised = true;
    is_shown(j);
    if (!ended) {
        judge_durable(j);
        return;
    }
    j->told_done = true;
    if (!j->left_in)
        j->left_in = turns;
}

/* It was stored before the ledger had it, and nobody was told that it is taken:
 * who asks while the ledger is unread is told what jobs.db has. */
static bool only_store_has(const request *r)
{
    return r->job->durable && !ledger_has(r->job) && r->type != SPAWN_M_SUBMIT
           && ledger_unread_in >= r->asked_in;
}

static void judge_job(const request *r, const spawn_message *m)
{
    unsigned state = (unsigned)spawn_u64_or(m, SPAWN_A_STATE, 0);
    job *j = r->job;
    spawn_id id;

    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    if (!spawn_id_equal(&id, &j->id))
        promise_broken("asked for job %u, and another one is told",
                       job_number(j));
    if (r->other_contents)
        promise_broken("job %u was submitted with other contents, and is "
                       "answered as if it was the same",
                       job_number(j));
    if (!far_enough(r, state))
        promise_broken("job %u is %s, which was not waited for", job_number(j),
                       spawn_state_name(state));
    if (j->claims == 0)
        promise_broken("job %u was refused, and is known", job_number(j));
    judge_drained(j);
    if (state == SPAWN_STATE_QUEUED && !j->durable && lives > j->lost_in)
        j->order_may_be_lost = false;
    if (state == SPAWN_STATE_DONE)
        judge_end(j, m);
    else if (j->done && !j->maybe_revived && !recorded_as_before(j, r, state))
        promise_broken("job %u had ended, and is %s again", job_number(j),
                       spawn_state_name(state));
    else if (state == SPAWN_STATE_RUNNING && j->place != RUNNING
             && j->place != UNPARENTED && !process_ended(j)
             && !seems_to_run(j, r))
        promise_broken("job %u is told to run, and does not", job_number(j));
    if (state != SPAWN_STATE_DONE && only_store_has(r))
        return;
    if (state != SPAWN_STATE_DONE)
        judge_durable(j);
    /* A call that is waited for is promised to nobody before it has ended: it
     * is nowhere but in the broker, and on the ticket of its worker. */
    if (!j->is_call || state == SPAWN_STATE_DONE)
        j->known = j->promised = true;
    is_shown(j);
}

static void judge_accepted(const request *r, const spawn_message *m)
{
    job *j = r->job;
    spawn_id id;

    spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
    if (!spawn_id_equal(&id, &j->id))
        promise_broken("job %u was submitted, and another one is accepted",
                       job_number(j));
    if (r->type != SPAWN_M_SUBMIT || r->want != SPAWN_REPLY_ACCEPTED)
        promise_broken("job %u is accepted, which was not waited for",
                       job_number(j));
    if (r->other_contents)
        promise_broken("job %u was submitted with other contents, and is "
                       "accepted",
                       job_number(j));
    judge_drained(j);
    answer_accepts(j, m);
}

/* ---- what is refused ---- */

/* Only the ledger may know what it is, or what it names, or who has its key. */
bool answer_store_may_refuse(const request *r)
{
    const job *j = r->job;

    return !store_calm
           || (with_durable && (j->durable || j->after_count || j->key)
               && (!ledger_calm || ledger_unread_in >= r->asked_in));
}

/* It is not taken, so none of its submits was that got no answer. */
static void never_came(job *j)
{
    if (!j->promised)
        j->claims = callers_submitted(j);
}

/* Another one is kept: it is as if it had been refused. */
static void judge_kept(const request *r, const spawn_message *m)
{
    job *j = r->job;
    spawn_id other;

    spawn_attr_id(&m->attr[SPAWN_A_OTHER], &other);
    ordered_kept(j, &other);
    never_came(j);
    if (r->type != SPAWN_M_SUBMIT || r->other_contents)
        promise_broken("another job is kept, and job %u was not submitted",
                       job_number(j));
    j->claims--;
    if (j->claims == 0)
        j->left_in = turns;
}

/* Its store is not open: it counts nothing yet. */
static bool is_blind(const spawn_message *m)
{
    return began_blind
           || strstr(spawn_str_or(m, SPAWN_A_TEXT, ""), "cannot be opened");
}

/* As far as the broker knows it may have run: a worker that was lent may have
 * had it, or its end was told, or a worker has it. */
static bool may_be_in_doubt(const request *r)
{
    const job *j = r->job;

    return r->lost || (j->is_call && (j->done || j->told_done || j->durable));
}

/* Nothing else is wrong with it. */
static bool is_for_the_store(unsigned code)
{
    return code == SPAWN_E_STORE || code == SPAWN_E_UNCONFIRMED;
}

static void judge_refused_submit(const request *r, const spawn_message *m,
                                 unsigned code)
{
    bool by_store = is_for_the_store(code);
    job *j = r->job;

    if (!by_store || !is_blind(m))
        metered_refused(j->queue, code);
    if (code == SPAWN_E_UNCONFIRMED && !may_be_in_doubt(r))
        promise_broken("job %u cannot have run, and is refused as if it might",
                       job_number(j));
    if (by_store && !answer_store_may_refuse(r)
        && !(r->lost && r->other_contents))
        promise_broken("job %u is refused by a store that is good",
                       job_number(j));
    if (r->other_contents) {
        if (code != SPAWN_E_CONFLICT && !by_store)
            promise_broken("job %u was submitted with other contents, and is "
                           "refused for another reason",
                           job_number(j));
        return;
    }
    if (r->lost && j->launches > 0 && code != SPAWN_E_UNCONFIRMED)
        promise_broken("job %u may have run in a worker, and is refused",
                       job_number(j));
    if (code == SPAWN_E_QUEUE_FULL
        && controls_may_refuse(j->queue, r->asked_in))
        ; /* it is drained */
    else if (code == SPAWN_E_QUEUE_FULL)
        room_judge_full(j);
    else if (!by_store && !ordered_may_refuse(j, code, r->asked_in))
        promise_broken("job %u is refused, for no reason", job_number(j));
    if (ordered_may_refuse(j, code, r->asked_in))
        never_came(j);
    if (r->was_known && !by_store && !recorded_may_lack(j))
        promise_broken("job %u was known, and is refused", job_number(j));
    j->claims--;
    if (!j->promised)
        j->undone_in = turns;
    if (j->claims == 0)
        j->left_in = turns;
    if (j->claims == 0 && j->launches > 0)
        promise_broken("job %u is refused, and was launched", job_number(j));
}

/* As far as anybody was told. */
static int64_t ended_since(const job *j)
{
    if (j->launches == 0)
        return j->known_ms;
    return j->place == UNPARENTED && !j->had_ended ? j->unparented_ms
                                                   : j->ended_ms;
}

/* A full disk costs the history first, of jobs that ended so long ago. */
bool answer_history_may_lack(int64_t since)
{
    return only_crons && store_was_full
           && board->mono_ms - since >= KEPT_AT_LEAST;
}

bool answer_may_be_forgotten(const job *j)
{
    return (j->done || j->cancelled || (j->kill_asked && j->launches == 0)
            || j->place == FORGOTTEN || j->place == UNPARENTED)
           && answer_history_may_lack(ended_since(j));
}

/* A worker that was lent has run it, also when its caller has gone. */
static bool was_run_directly(const request *r)
{
    const job *j = r->job;

    return j->direct && j->launches > 0 && j->launched_in < r->asked_in
           && !calls_unsure && !j->record_unsure;
}

/* It is in the ledger; or in a slot, and what it comes after may be there: it
 * is taken when that is read. */
static bool only_ledger_may_tell(const job *j)
{
    return ledger_unread && (j->durable || (j->after_count && j->posted_in));
}

static void judge_refused_question(const request *r, unsigned code)
{
    job *j = r->job;

    switch (code) {
    case SPAWN_E_NO_SUCH_JOB:
        if (answer_may_be_forgotten(j)
            || (j->told_done && !j->done && recorded_may_lack(j))) {
            j->unsure = true;
            break;
        }
        if (r->was_known && !recorded_may_lack(j) && !only_ledger_may_tell(j))
            promise_broken("job %u was known, and is not any more",
                           job_number(j));
        if (was_run_directly(r))
            promise_broken("job %u was run by a worker that was lent, and is "
                           "not known",
                           job_number(j));
        if (job_is_run(j) && j->launches > 0 && j->launched_in <= r->asked_in
            && !only_ledger_may_tell(j))
            promise_broken("job %u, of recurring job %s, was launched, and is "
                           "not known",
                           job_number(j), cron_name(j->cron));
        j->gone = !only_ledger_may_tell(j);
        break;
    case SPAWN_E_TIMED_OUT:
        if (!r->limited)
            promise_broken("job %u was waited for, and there was no limit",
                           job_number(j));
        break;
    case SPAWN_E_NOT_RUNNING:
        if (r->type != SPAWN_M_KILL
            || (j->launches > 0 && j->place != UNPARENTED && !process_ended(j)))
            promise_broken("job %u is told not to run, and does",
                           job_number(j));
        break;
    case SPAWN_E_STORE:
        if (!answer_store_may_refuse(r))
            promise_broken("a question about job %u is refused by a store that "
                           "is good",
                           job_number(j));
        break;
    default:
        promise_broken("a question about job %u is refused, for no reason",
                       job_number(j));
    }
}

/* ---- changes of queues ---- */

static void judge_queues(const request *r, const spawn_message *m,
                         unsigned code)
{
    if (m->header.type == SPAWN_M_QUEUE_STATE)
        controls_row(&r->control, m);
    else if (m->header.type == SPAWN_M_REFUSED && code == SPAWN_E_STORE
             && !calm)
        controls_refused(&r->control);
    else if (m->header.type != SPAWN_M_END)
        promise_broken("queue %s cannot be changed",
                       queue_names[r->control.queue]);
}

/* ---- all of them ---- */

void answer_judge(const request *r, const spawn_message *m)
{
    unsigned code = (unsigned)spawn_u64_or(m, SPAWN_A_CODE, 0);
    job *j = r->job;

    if (r->type == SPAWN_M_QUEUES) {
        judge_queues(r, m, code);
        return;
    }
    if (r->type == SPAWN_M_CRON) {
        cron_judge(r, m, code);
        return;
    }
    if (r->type == SPAWN_M_METERS) {
        metered_judge(m);
        return;
    }
    if (!j) {
        if (m->header.type != SPAWN_M_WELCOME)
            promise_broken("a caller is not let in");
        return;
    }
    if (r->type == SPAWN_M_REVIVE) {
        revived_judge(r, m->header.type, code);
        return;
    }
    if (r->type == SPAWN_M_SUBMIT && !is_for_the_store(code))
        j->direct_lost = false;
    if (j->unsure)
        return;
    switch (m->header.type) {
    case SPAWN_M_ACCEPTED:
        if (spawn_has(m, SPAWN_A_OTHER))
            judge_kept(r, m);
        else
            judge_accepted(r, m);
        break;
    case SPAWN_M_JOB:
        if (r->type == SPAWN_M_KILL)
            promise_broken("a KILL is answered with a job");
        judge_job(r, m);
        break;
    case SPAWN_M_DONE:
        if (r->type != SPAWN_M_KILL)
            promise_broken("what was no KILL is answered as one");
        if (j->launches == 0 && !j->noted)
            j->cancelled = true;
        j->kill_done = true;
        j->known = true;
        break;
    case SPAWN_M_REFUSED:
        if (r->type == SPAWN_M_SUBMIT)
            judge_refused_submit(r, m, code);
        else
            judge_refused_question(r, code);
        break;
    default:
        promise_broken("job %u is answered with what is no answer",
                       job_number(j));
    }
}

void answer_lost(const request *r)
{
    if (r->type == SPAWN_M_REVIVE)
        revived_lost(r->job);
    if (r->type == SPAWN_M_QUEUES && !r->row_came)
        controls_lost(&r->control);
    if (r->type == SPAWN_M_CRON)
        cron_lost(r);
    if (r->type == SPAWN_M_METERS)
        metered_unanswered();
    if (r->job && r->type == SPAWN_M_SUBMIT && !r->job->promised)
        r->job->undone_in = turns;
    if (r->job && r->type == SPAWN_M_SUBMIT && r->want != SPAWN_REPLY_ACCEPTED)
        r->job->end_lost = true;
    if (r->job && r->type == SPAWN_M_SUBMIT)
        say("  whether job %u was accepted is not known", job_number(r->job));
}
