/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fate of one open job that a broker finds at its start. Runs in the
 * broker. Must never run a job twice, nor hide that one was lost: a job whose
 * end neither its spawner nor its worker nor /proc knows is called lost.
 */
#include "broker/recover_found.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/spawn_box.h"
#include "common/spawn_field.h"
#include "common/spawn_os.h"
#include "broker/base/alloc.h"
#include "broker/base/conf.h"
#include "broker/base/logs.h"
#include "broker/job/body.h"
#include "broker/job/changes.h"
#include "broker/job/end.h"
#include "broker/job/queue.h"
#include "broker/job/rules.h"
#include "broker/job/state.h"
#include "broker/process/keep.h"
#include "broker/process/orphan.h"
#include "broker/process/output.h"
#include "broker/process/perl.h"
#include "broker/process/worker.h"
#include "broker/store/store.h"
#include "broker/run/durable.h"
#include "broker/run/end.h"
#include "broker/run/pool.h"
#include "broker/run/started.h"
#include "broker/recover_told.h"

static bool same_boot;

void spawn_found_boot(bool same)
{
    same_boot = same;
}

bool spawn_found_same_boot(void)
{
    return same_boot;
}

bool spawn_found_is_told(const spawn_job *job)
{
    return spawn_pool_ticket(&job->id, job->attempt)
           || spawn_told_of(job, SPAWN_M_RUNNING)
           || spawn_told_of(job, SPAWN_M_EXITED)
           || spawn_told_of(job, SPAWN_M_ORPHANED);
}

/* ---- jobs that live ---- */

static int take_fd(spawn_told *t, unsigned index)
{
    int fd = t->fds[index];

    t->fds[index] = -1;
    return fd;
}

static void adopt_kept(spawn_job *job, spawn_told *t, const spawn_message *m,
                       uint64_t limit)
{
    static const spawn_keep_role pipes[] = {SPAWN_KEEP_OUT_PIPE,
                                            SPAWN_KEEP_ERR_PIPE};
    static const spawn_keep_role files[] = {SPAWN_KEEP_OUT_FILE,
                                            SPAWN_KEEP_ERR_FILE};
    char who[SPAWN_WHO];
    int which;

    for (which = 0; which < 2; which++) {
        int pipe = spawn_keep_take(m, t->fds, pipes[which]);
        int file = spawn_keep_take(m, t->fds, files[which]);

        if (pipe >= 0)
            spawn_output_adopt(job->streams, spawn_output_who(&job->id, who),
                               which, pipe, file, limit);
        else
            spawn_close_fds(&file, 1);
    }
    spawn_perl_adopt_board(job, spawn_keep_take(m, t->fds, SPAWN_KEEP_BOARD));
}

/* Read from the order what is needed of a job that runs. ret_whose: or NULL. */
static uint64_t read_order(spawn_job *job, spawn_whose *ret_whose)
{
    spawn_body *read = job->body ? NULL : spawn_store_body(job);
    uint64_t capture = SPAWN_DEFAULT_CAPTURE;
    spawn_message m;

    job->grace_ms = SPAWN_DEFAULT_GRACE_MS;
    if (spawn_body_read(job, job->body ? job->body : read, &m, NULL) == 0) {
        spawn_queue_limits(job, &m);
        capture = spawn_u64_or(&m, SPAWN_A_CAPTURE_LIMIT, capture);
        if (ret_whose)
            spawn_logs_whose(&m, ret_whose);
    }
    free(read);
    return capture;
}

static void take_running(spawn_job *job, spawn_told *t)
{
    spawn_whose whose = {.vhost = ""}; /* nobody's */
    uint64_t capture = read_order(job, &whose);
    int64_t now = spawn_mono_ms();
    spawn_message m;
    spawn_id template;
    int rv;

    rv = spawn_told_parse(t, &m);
    if (rv == 0)
        adopt_kept(job, t, &m, capture);
    spawn_output_belongs(job->streams, &whose);
    if (rv < 0)
        return;
    if (!spawn_has(&m, SPAWN_A_PID)
        || spawn_attr_u64(&m.attr[SPAWN_A_STATE]) == SPAWN_STATE_STARTING) {
        spawn_job_on(job, SPAWN_JOB_FOUND_STARTING);
        spawn_end_ordered(job);
        if (job->perl && spawn_has(&m, SPAWN_A_TEMPLATE_ID)) {
            spawn_attr_id(&m.attr[SPAWN_A_TEMPLATE_ID], &template);
            spawn_perl_ordered(job, &template);
        }
        return;
    }
    spawn_job_on(job, SPAWN_JOB_FOUND_RUNNING);
    job->pid = (pid_t)spawn_attr_u64(&m.attr[SPAWN_A_PID]);
    job->mono_started =
        (int64_t)spawn_u64_or(&m, SPAWN_A_MONO_STARTED, (uint64_t)now);
    job->boot_started = (int64_t)spawn_u64_or(&m, SPAWN_A_BOOT_STARTED, 0);
    if (!job->started_at)
        job->started_at = spawn_wall_ms() - (now - job->mono_started);
    spawn_end_arm(job, now - job->mono_started);
}

static void take_exit(spawn_job *job, const spawn_told *t)
{
    spawn_message m;

    if (spawn_told_parse(t, &m))
        return;
    spawn_started_with_end(&t->id, &m);
    spawn_end_exited(job, &m);
}

static void take_orphan(spawn_job *job, const spawn_told *t)
{
    spawn_message m;

    if (spawn_told_parse(t, &m) == 0)
        spawn_end_orphaned(job, &m);
}

/* ---- jobs that wait ---- */

static void fail_handles(spawn_job *job)
{
    spawn_body *read = job->body ? NULL : spawn_store_body(job);
    spawn_step step = SPAWN_STEP_FDS;
    spawn_message m;

    if (spawn_body_read(job, job->body ? job->body : read, &m, NULL) == 0)
        step = spawn_body_fd_step(&m);
    free(read);
    spawn_end_start_failed(job, step, EBADF,
                           "the handles that it was submitted with did not "
                           "outlive the server's stop");
}

/* Take its handles from their box, which stays with the spawner. */
static void take_held(spawn_job *job, spawn_told *t)
{
    unsigned count = t->fds_count, i;
    int fds[SPAWN_FDS_MAX];
    spawn_message m;
    int rv = 0;

    if (spawn_told_parse(t, &m))
        return;
    if (spawn_u64_or(&m, SPAWN_A_BOXED, 0)) {
        rv = count == 1 ? spawn_box_look(t->fds[0], fds, SPAWN_FDS_MAX) : -1;
        count = rv > 0 ? (unsigned)rv : 0;
    }
    else {
        for (i = 0; i < count; i++)
            fds[i] = take_fd(t, i);
    }
    if (count == 0)
        return;
    job->held = spawn_alloc(sizeof(*job->held) + count * sizeof(int));
    job->held->count = count;
    memcpy(job->held->fds, fds, count * sizeof(int));
}

static void wait_again(spawn_job *job)
{
    spawn_told *t;

    /* its order was still on its way, or it was replaced; else the ledger may
     * have that it began, or its end */
    if (spawn_job_stopped(job) && !spawn_durable_undecided(job)) {
        (void)spawn_end_job(job, SPAWN_OUTCOME_CANCELLED);
        return;
    }
    t = spawn_told_find(&job->id, SPAWN_M_HELD);
    if (t)
        take_held(job, t);
    if (job->fds && (!job->held || job->held->count != job->fds)) {
        fail_handles(job);
        return;
    }
    spawn_pool_join(job);
    spawn_job_on(job, SPAWN_JOB_SUBMITTED);
    if (!spawn_job_has_time(job))
        spawn_queue_has_waited(job, spawn_wall_ms() - job->submitted_at);
}

/* ---- jobs of a spawner that has gone ---- */

void spawn_found_lost(spawn_job *job, spawn_outcome outcome, const char *text)
{
    spawn_end *end = spawn_end_job(job, outcome);

    spawn_end_say(end, "%s", text);
}

/* Broker and spawner had the pipes that it captured. */
void spawn_found_outputs_lost(spawn_job *job)
{
    spawn_body *read = job->body ? NULL : spawn_store_body(job);
    spawn_message m;

    if (spawn_body_read(job, job->body ? job->body : read, &m, NULL) == 0)
        spawn_output_lost(job, &m);
    free(read);
}

void spawn_found_gone(spawn_job *job, spawn_state state)
{
    if (!same_boot || job->boot_started < 0) {
        spawn_found_lost(job, SPAWN_OUTCOME_LOST,
                         "the machine was started anew");
        return;
    }
    if (state == SPAWN_STATE_STARTING) {
        spawn_found_lost(job, SPAWN_OUTCOME_LOST,
                         "the spawner ended while it was being started");
        return;
    }
    (void)read_order(job, NULL);
    spawn_found_lost(
        job, job->timed_out ? SPAWN_OUTCOME_TIMED_OUT : SPAWN_OUTCOME_ENDED,
        job->outputs_lost
            ? "it ended when neither its spawner nor a broker was there; "
              "what it wrote is lost"
            : "it ended when neither its spawner nor a broker was there");
}

static void find_orphan(spawn_job *job, spawn_state state)
{
    spawn_found_outputs_lost(job);
    spawn_pool_join(job); /* is it a call? */
    if (!same_boot || state == SPAWN_STATE_STARTING || !spawn_end_follow(job)) {
        spawn_found_gone(job, state);
        return;
    }
    (void)read_order(job, NULL);
    spawn_end_arm(job, spawn_orphan_age(job));
}

/* state and life: as they were noted. */
void spawn_found_open(spawn_job *job, spawn_state state, const spawn_id *life)
{
    bool same_life = spawn_id_equal(life, &spawn_conf.spawner_life);
    spawn_worker *worker = spawn_pool_ticket(&job->id, job->attempt);
    spawn_told *running = spawn_told_of(job, SPAWN_M_RUNNING);
    spawn_told *exited = spawn_told_of(job, SPAWN_M_EXITED);
    spawn_told *orphaned = spawn_told_of(job, SPAWN_M_ORPHANED);

    if (running)
        take_running(job, running);
    if (worker && job->perl) {
        spawn_pool_take_up(worker, job);
    }
    else if (exited) {
        take_exit(job, exited);
    }
    else if (orphaned) {
        take_orphan(job, orphaned);
    }
    else if (running) {
        return;
    }
    else if (state == SPAWN_STATE_QUEUED) {
        wait_again(job);
    }
    else if (state == SPAWN_STATE_STARTING && same_life && same_boot) {
        /* the order never reached the spawner */
        if (spawn_durable_lacks(job))
            job->ledger = SPAWN_IN_LEDGER_ASKED;
        wait_again(job);
        spawn_job_changed(job);
    }
    else {
        find_orphan(job, state);
    }
}
