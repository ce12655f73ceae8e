/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The job that follows when another one has failed for good. Runs in the
 * broker. Must not have one twice, nor lose one when a broker is killed.
 *
 * It is submitted in the turn in which the end is stored, and is written by the
 * same commit, before the end. So a broker that follows a killed one finds
 * both, or neither: then it finds the end where that was kept (the spawner, a
 * slot), and comes to the same. The id follows from that of the failed job, so
 * that a second submit is known. Others can foretell that id: when they have
 * taken it, the next one is tried. What the store did not take is submitted
 * again from here.
 */
#include "broker/caller/on_failure.h"

#include <stdlib.h>
#include <string.h>

#include "common/spawn_hash.h"
#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "broker/base/alloc.h"
#include "broker/base/loop.h"
#include "broker/base/timer.h"
#include "broker/job/body.h"
#include "broker/job/changes.h"
#include "broker/job/queue.h"
#include "broker/store/commit.h"
#include "broker/store/store.h"
#include "broker/run/retry.h"
#include "broker/caller/on_failure_order.h"
#include "broker/caller/submit.h"

#define PLACES    1024u /* a power of two */
#define TRY_AGAIN 1000  /* ms */
#define IDS_TRIED 100   /* at once */

/* One that was submitted, until the store has it. */
typedef struct owed {
    struct owed *next;
    struct owed *same; /* the next one of its place */
    spawn_id id, failed;
    char queue[SPAWN_NAME_MAX + 1];
    uid_t uid; /* who had submitted the failed one */
    pid_t pid;
    int64_t try_at;  /* mono ms; before, it is not submitted again */
    unsigned number; /* of its id */
    size_t length;
    uint8_t data[]; /* the SUBMIT */
} owed;

static owed *all_owed;
static owed *owed_at[PLACES]; /* by the failed job */
static int64_t look_at;       /* mono ms, while the store fails; 0: now */
static spawn_timer timer;

static void nothing(spawn_timer *t)
{
    (void)t; /* it only causes a turn */
}

static void tell_refused(const owed *o, const spawn_failure *why, bool again)
{
    char text[SPAWN_ID_TEXT];

    spawn_log_few(
        spawn_log_about("queue", o->queue), SPAWN_LOG_FEW, SPAWN_LOG_ERR,
        MSNO(0890) "job %s has failed, and the job that is to follow "
                   "from that is refused: %s: %s%s",
        spawn_id_format(&o->failed, text), spawn_error_name(why->code),
        why->text, again ? "; it is tried again" : "");
}

static bool follows(const spawn_message *m, const spawn_id *failed)
{
    spawn_id of;

    if (!spawn_has(m, SPAWN_A_FAILURE_OF))
        return false;
    spawn_attr_id(&m->attr[SPAWN_A_FAILURE_OF], &of);
    return spawn_id_equal(&of, failed);
}

/* One that has been let go. */
static int stored_follows(spawn_store *store, const owed *o)
{
    spawn_message m;
    spawn_writer w;
    int rv;

    spawn_writer_init(&w, SPAWN_ANSWER_MAX + SPAWN_WIRE_HEADER);
    rv = spawn_store_answer(store, &o->id, false, NULL, 0, &w) != 1
                 || spawn_message_parse(w.data, w.length, SPAWN_FROM_BROKER, 0,
                                        &m, NULL)
             ? -1
             : follows(&m, &o->failed);
    spawn_writer_free(&w);
    return rv;
}

/* The job that has its id: 1 it follows from the same failure (the rules have
 * changed since), 0 it is another one, -1 it cannot be read now. */
static int known_follows(const spawn_batch *batch, const owed *o)
{
    const spawn_job *job = spawn_job_find(&o->id);
    spawn_body *read;
    spawn_message m;
    int rv;

    if (!job)
        return stored_follows(batch->store, o);
    read = job->body ? NULL : spawn_store_body(job);
    rv = spawn_body_read(job, job->body ? job->body : read, &m, NULL) == 0
             ? follows(&m, &o->failed)
             : -1;
    free(read);
    return rv;
}

static void take_next_id(owed *o)
{
    char text[SPAWN_ID_TEXT], failed[SPAWN_ID_TEXT];

    spawn_log_few(
        spawn_log_about("queue", o->queue), SPAWN_LOG_FEW, SPAWN_LOG_WARN,
        MSNO(0891) "job %s has failed, and somebody has submitted another job "
                   "with the id of the one that is to follow, %s: that one "
                   "gets another id",
        spawn_id_format(&o->failed, failed), spawn_id_format(&o->id, text));
    spawn_on_failure_rename(&o->failed, ++o->number, o->data, o->length,
                            &o->id);
}

static int submit_with_an_id(spawn_batch *batch, owed *o, spawn_failure *why)
{
    const spawn_own_caller caller = {o->uid, o->pid};
    unsigned tried = 0;

    for (;;) {
        int rv = spawn_submit_for(batch, &caller, o->data, o->length, why);
        int ours = rv == SPAWN_OWN_OTHER ? known_follows(batch, o) : 0;

        if (rv != SPAWN_OWN_OTHER)
            return rv;
        if (ours == 1)
            return SPAWN_OWN_KNOWN;
        if (ours < 0)
            spawn_failure_set(why, SPAWN_E_STORE, SPAWN_STEP_STORE, 0,
                              "the store could not be read");
        if (ours < 0 || ++tried > IDS_TRIED)
            return SPAWN_OWN_REFUSED;
        take_next_id(o);
    }
}

/* False: it has been submitted before, and is known; or it never will be. */
static bool submit(spawn_batch *batch, owed *o)
{
    spawn_failure why;
    int rv = submit_with_an_id(batch, o, &why);
    bool again =
        rv == SPAWN_OWN_REFUSED
        && (spawn_refusal_passes(&why) || why.code == SPAWN_E_CONFLICT);

    o->try_at = spawn_mono_ms() + TRY_AGAIN;
    if (rv == SPAWN_OWN_RECORDED || rv == SPAWN_OWN_REFUSED)
        tell_refused(o, &why, again);
    if (rv == SPAWN_OWN_KNOWN || (rv == SPAWN_OWN_REFUSED && !again))
        return false;
    spawn_loop_again(); /* it may start */
    return true;
}

/* ---- what has failed ---- */

static owed **place_of(const spawn_id *failed)
{
    owed **at = &owed_at[spawn_hash_id(failed) & (PLACES - 1)];

    while (*at && !spawn_id_equal(&(*at)->failed, failed))
        at = &(*at)->same;
    return at;
}

static bool is_owed(const spawn_id *failed)
{
    return all_owed && *place_of(failed);
}

static void keep(owed *o)
{
    *place_of(&o->failed) = o; /* which is none's */
    o->next = all_owed;
    all_owed = o;
}

static void drop(owed **at)
{
    owed *o = *at;

    *place_of(&o->failed) = o->same;
    *at = o->next;
    free(o);
}

static owed *make(const spawn_job *failed, const spawn_writer *w)
{
    owed *o = spawn_alloc(sizeof(*o) + w->length);

    spawn_on_failure_id(&failed->id, &o->id);
    o->failed = failed->id;
    (void)strcpy(o->queue, failed->queue->name);
    o->uid = failed->caller_uid;
    o->pid = failed->caller_pid;
    o->length = w->length;
    memcpy(o->data, w->data, w->length);
    return o;
}

static void order(spawn_batch *batch, const spawn_job *failed,
                  const spawn_message *m)
{
    spawn_writer w;
    owed *o;

    if (spawn_on_failure_order(failed, m, &w)) {
        o = make(failed, &w);
        if (submit(batch, o))
            keep(o);
        else
            free(o);
    }
    spawn_writer_free(&w);
}

static void look_at_order(spawn_batch *batch, const spawn_job *job)
{
    spawn_body *read = job->body ? NULL : spawn_store_body(job);
    spawn_message m;

    if (spawn_body_read(job, job->body ? job->body : read, &m, NULL) == 0)
        order(batch, job, &m);
    free(read);
}

/* A broker that follows finds what follows in the store, or the end where that
 * was kept. */
static void wait_for(spawn_job *job, const owed *o)
{
    spawn_job *first = spawn_job_find(&o->id);

    if (first && first->in_store)
        return;
    if (first && first->due == SPAWN_DUE_THIS_TURN)
        job->behind = first;
    else
        job->held_back = true;
}

/* An end that the store has not taken comes again. */
static void has_failed(spawn_batch *batch, spawn_job *job)
{
    if (!is_owed(&job->id))
        look_at_order(batch, job);
    if (is_owed(&job->id))
        wait_for(job, *place_of(&job->id));
}

/* ---- what the store has not taken ---- */

/* Is there nothing left to do? */
static bool is_settled(spawn_batch *batch, owed *o)
{
    const spawn_job *job = spawn_job_find(&o->id);
    spawn_known unused;
    int rv;

    if (job)
        return job->in_store;
    if (o->try_at > spawn_mono_ms())
        return false;
    rv = spawn_store_find(batch->store, &o->id, &unused);
    if (rv == 0)
        return !submit(batch, o);
    return rv == 1;
}

/* Nearly all are settled in the next turn. While the store fails they are many,
 * and none is. */
static void look_again(spawn_batch *batch)
{
    owed **at = &all_owed;

    if (spawn_mono_ms() < look_at && spawn_commit_failing(batch->store))
        return;
    while (*at) {
        if (is_settled(batch, *at))
            drop(at);
        else
            at = &(*at)->next;
    }
    look_at = 0;
    if (!all_owed)
        return;
    look_at = spawn_mono_ms() + TRY_AGAIN;
    timer.fire = nothing;
    spawn_timer_set(&timer, look_at);
}

void spawn_on_failure_turn(spawn_batch *batch)
{
    spawn_job *job;

    if (all_owed)
        look_again(batch);
    for (job = spawn_batch_due(batch); job; job = job->due_next) {
        job->behind = NULL;
        job->held_back = false;
        if (!job->untaken && spawn_retry_failed(job))
            has_failed(batch, job);
    }
}
