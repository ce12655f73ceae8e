/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How jobs end, and why: exits, time-outs, signals. Runs in the broker, which
 * must never signal a child of the spawner itself.
 */
#include "broker/run/end.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_process.h"
#include "broker/base/alloc.h"
#include "broker/base/conf.h"
#include "broker/base/timer.h"
#include "broker/job/changes.h"
#include "broker/job/end.h"
#include "broker/job/perl.h"
#include "broker/job/phase.h"
#include "broker/job/queue.h"
#include "broker/job/state.h"
#include "broker/job/template.h"
#include "broker/process/link.h"
#include "broker/process/orphan.h"
#include "broker/process/output.h"
#include "broker/process/perl.h"
#include "broker/process/template_process.h"
#include "broker/process/worker.h"
#include "broker/store/commit.h"
#include "broker/store/store.h"
#include "broker/run/requeue.h"
#include "broker/run/start_text.h"

#define TEXT_ROOM       4096 /* of TEXT on the wire */
#define SLOW_START      250  /* ms from the order to the question for its pid */
#define LOOK_AFTER_KILL 1000 /* ms */
#define LOOK_AGAIN      500  /* ms; less than a waiting caller gives on top */

/* Does nobody but us know the end of an unstored job? That of a call is on its
 * worker's board, or its ticket and the worker's own exit tell of it. One that
 * no worker had is in no slot either, and while the store takes nothing it is
 * kept in memory, when it was told. */
static bool is_ours_alone(const spawn_job *job)
{
    if (job->perl && job->perl->worker)
        return false;
    return job->slot || !spawn_commit_failing(job->batch->store);
}

/* To be stored with the turn, or with others a moment later: the spawner keeps
 * the exit until it is told to forget it. An end that only we know is told when
 * it is stored, also of a job that ran unstored. */
static void store(spawn_job *job, bool kept)
{
    if (!kept && is_ours_alone(job))
        spawn_job_store_now(job);
    if (kept && !job->waiters)
        spawn_job_changed_soon(job);
    else
        spawn_job_changed(job);
}

static spawn_end *end_job(spawn_job *job, spawn_outcome outcome, bool kept)
{
    spawn_end *end = spawn_alloc(sizeof(*end));

    end->outcome = outcome;
    end->exit_code = -1;
    end->elapsed_us = -1;
    end->ended_at = spawn_wall_ms();
    job->end = end;
    spawn_timer_clear(&job->timer);
    spawn_perl_settled(job, false);
    spawn_output_finish(job->streams);
    spawn_job_on(job, SPAWN_JOB_ENDED);
    store(job, kept);
    return end;
}

spawn_end *spawn_end_job(spawn_job *job, spawn_outcome outcome)
{
    return end_job(job, outcome, false);
}

void spawn_end_start_failed(spawn_job *job, spawn_step step, int error,
                            const char *text)
{
    char room[TEXT_ROOM];
    spawn_end *end;

    if (!text)
        spawn_start_text(job, step, error, room, sizeof(room));
    end = spawn_end_job(job, SPAWN_OUTCOME_START_FAILED);
    end->step = step;
    end->error = error;
    spawn_end_say(end, "%s", text ? text : room);
}

static void fill_times(spawn_job *job, spawn_end *end, const spawn_message *m)
{
    if (spawn_has(m, SPAWN_A_PID))
        job->pid = (pid_t)spawn_attr_u64(&m->attr[SPAWN_A_PID]);
    job->started_at =
        (int64_t)spawn_u64_or(m, SPAWN_A_STARTED_AT, (uint64_t)job->started_at);
    end->ended_at =
        (int64_t)spawn_u64_or(m, SPAWN_A_ENDED_AT, (uint64_t)end->ended_at);
    if (spawn_has(m, SPAWN_A_ELAPSED))
        end->elapsed_us = (int64_t)spawn_attr_u64(&m->attr[SPAWN_A_ELAPSED]);
    spawn_end_usage(end, m);
}

/* No process was forked for the order that its template had, or the one that
 * was could not tell that it is set up: it has not run. */
static bool never_forked(spawn_job *job, spawn_step step, int error)
{
    const char *why;

    if (!job->perl || step != SPAWN_STEP_TEMPLATE)
        return false;
    why = spawn_requeue_unforked(job, error);
    if (why && (spawn_job_stopped(job) || job->terminated))
        (void)spawn_end_job(job, job->timed_out ? SPAWN_OUTCOME_TIMED_OUT
                                                : SPAWN_OUTCOME_CANCELLED);
    else if (why)
        spawn_end_start_failed(job, step, error, why);
    return true;
}

/* Pages that it touched: spawnctl tells from them what a job needs. */
static void count_faults(const spawn_job *job)
{
    const spawn_end *end = job->end;

    if (!job->perl || end->rusage_count <= SPAWN_RU_MINFLT)
        return;
    job->perl->template->ended++;
    job->perl->template->faults += end->rusage[SPAWN_RU_MINFLT];
}

void spawn_end_exited(spawn_job *job, const spawn_message *m)
{
    bool ran = spawn_has(m, SPAWN_A_WAIT_STATUS) && !spawn_has(m, SPAWN_A_STEP);
    bool hung = job->state == SPAWN_STATE_STARTING;
    spawn_step step =
        (spawn_step)spawn_u64_or(m, SPAWN_A_STEP, SPAWN_STEP_FORK);
    int error = (int)spawn_u64_or(m, SPAWN_A_ERRNO, 0);

    job->in_table = true; /* until FORGET */
    if (!ran && never_forked(job, step, error))
        return;
    if (ran) {
        spawn_end *end = end_job(job, SPAWN_OUTCOME_EXITED, true);
        int status = (int)spawn_attr_u64(&m->attr[SPAWN_A_WAIT_STATUS]);

        spawn_end_overdue(job, status,
                          (int64_t)spawn_u64_or(m, SPAWN_A_ELAPSED, 0));
        spawn_end_status(job, end, status, spawn_end_oom_kills(m));
        if (hung && end->signo)
            spawn_end_say(end,
                          "it ended before it ran: its %sdirectory or a file "
                          "of its stdin, stdout or stderr could not be opened "
                          "until then",
                          job->perl ? "" : "program, its ");
    }
    else {
        spawn_end_start_failed(job, step, error, NULL);
    }
    fill_times(job, job->end, m);
    if (ran)
        count_faults(job);
}

void spawn_end_signal(spawn_job *job, int signo, unsigned left)
{
    if (job->orphan) {
        spawn_orphan_signal(job, signo);
        return;
    }
    if (job->perl && job->perl->worker) {
        spawn_worker_signal(job->perl->worker, signo, left);
        return;
    }
    spawn_link_signal(&job->id, signo, left);
}

/* It waits in the kernel for a disk or a server: it keeps neither its place in
 * the queue nor, at a stop, the pair. */
static void give_up(spawn_job *job)
{
    spawn_worker *worker = job->perl ? job->perl->worker : NULL;
    char name[SPAWN_LOGS_NAME];
    spawn_end *end;

    spawn_log_few(spawn_log_about("queue", job->queue->name), SPAWN_LOG_FEW,
                  SPAWN_LOG_ERR,
                  MSNO(0650) "job %s (pid %d) cannot be killed: it hangs in "
                             "the kernel, most likely on a file system that "
                             "does not answer; it is not waited for any more",
                  spawn_store_name(job, name), (int)job->pid);
    end = spawn_end_job(job, job->timed_out ? SPAWN_OUTCOME_TIMED_OUT
                                            : SPAWN_OUTCOME_CANCELLED);
    job->unkillable = true;
    spawn_end_say(end, "it cannot be killed: it hangs in the kernel, most "
                       "likely on a file system that does not answer");
    if (worker)
        spawn_worker_give_up(worker);
    else if (job->orphan)
        spawn_orphan_drop(job);
    else
        job->in_table = true; /* until FORGET, which gives it up there */
}

static void ask_for_pid(const spawn_job *job)
{
    spawn_link_send_id(SPAWN_M_TELL_PID, &job->id, NULL, 0);
}

static void still_hangs(spawn_timer *t);

static void still_there(spawn_timer *t)
{
    spawn_job *job = SPAWN_OWNER(t, spawn_job, timer);
    const spawn_worker *worker = job->perl ? job->perl->worker : NULL;

    if (job->pid > 0 && spawn_os_hangs(job->pid)) {
        t->fire = still_hangs; /* a process that ends may wait for a disk */
        spawn_timer_set(t, spawn_mono_ms() + LOOK_AGAIN);
        return;
    }
    if (job->pid == 0)
        ask_for_pid(job); /* killed before that was due */
    else if (job->orphan || (worker && worker->unparented))
        /* the one that was to do it may have gone before it did */
        spawn_end_signal(job, SIGKILL, SPAWN_LEFT_KILL);
    else if (job->perl
             && spawn_template_process_has_child(job->perl->template,
                                                 job->pid)) {
        spawn_orphan_note(job); /* how it ends is seen by that */
        spawn_link_signal_process(&job->id, SIGKILL, job->pid,
                                  job->boot_started);
    }
    spawn_timer_set(t, spawn_mono_ms() + LOOK_AFTER_KILL);
}

static void still_hangs(spawn_timer *t)
{
    spawn_job *job = SPAWN_OWNER(t, spawn_job, timer);

    if (spawn_os_hangs(job->pid)) {
        give_up(job);
        return;
    }
    t->fire = still_there;
    spawn_timer_set(t, spawn_mono_ms() + LOOK_AFTER_KILL);
}

void spawn_end_kill(spawn_job *job)
{
    spawn_end_signal(job, SIGKILL, SPAWN_LEFT_KILL);
    job->timer.fire = still_there;
    spawn_timer_set(&job->timer, spawn_mono_ms() + LOOK_AFTER_KILL);
}

static bool was_killed(const spawn_timer *t)
{
    return t->place && (t->fire == still_there || t->fire == still_hangs);
}

static void grace_over(spawn_timer *t)
{
    spawn_end_kill(SPAWN_OWNER(t, spawn_job, timer));
}

/* For the broker that comes when we, or the spawner too, have been killed. */
static void note_grace(spawn_job *job)
{
    const spawn_worker *w = job->perl ? job->perl->worker : NULL;
    const int64_t now = spawn_boot_ms(); /* before the look */
    const spawn_grace g = {.id = job->id,
                           .pid = w ? w->pid : job->pid,
                           .noted = now,
                           .until = now + job->grace_ms + 1, /* as after() */
                           .timed_out = job->timed_out};

    if (spawn_orphan_leader_lives(job)
        && spawn_store_grace_note(job->batch->store, &g) == 0)
        job->term_noted = now;
}

/* A beginning is noted in whole milliseconds, rounded down: one more, so that
 * nothing is over before all of its time has passed. */
static int64_t after(int64_t ms)
{
    return spawn_mono_ms() + ms + 1;
}

/* Its leader is known from here on, and KILL is due then. */
static void begin_grace(spawn_job *job, int64_t kill_at)
{
    job->terminated = true;
    spawn_orphan_note(job);
    job->timer.fire = grace_over;
    spawn_timer_set(&job->timer, kill_at);
}

void spawn_end_terminate(spawn_job *job, bool timed_out)
{
    if (timed_out)
        job->timed_out = true;
    else
        job->cancel = SIGTERM;
    spawn_perl_cancelled(job);
    begin_grace(job, after(job->grace_ms));
    note_grace(job);
    spawn_end_signal(job, SIGTERM, SPAWN_LEFT_WAIT);
}

void spawn_end_terminate_again(spawn_job *job, int64_t kill_at)
{
    begin_grace(job, kill_at);
    spawn_end_signal(job, SIGTERM, SPAWN_LEFT_WAIT);
}

static void time_over(spawn_timer *t)
{
    spawn_job *job = SPAWN_OWNER(t, spawn_job, timer);

    /* an orphan that ended in time, and only has to be reaped */
    if (job->orphan && !spawn_orphan_leader_lives(job))
        return;
    spawn_end_terminate(job, true);
}

void spawn_end_arm(spawn_job *job, int64_t elapsed_ms)
{
    if (job->terminated || was_killed(&job->timer))
        return;
    spawn_timer_clear(&job->timer);
    if (job->timeout_ms <= 0)
        return;
    job->timer.fire = time_over;
    spawn_timer_set(&job->timer, after(job->timeout_ms - elapsed_ms));
}

static void starts_slowly(spawn_timer *t)
{
    ask_for_pid(SPAWN_OWNER(t, spawn_job, timer));
}

void spawn_end_ordered(spawn_job *job)
{
    int64_t soon = job->timeout_ms > 0 && job->timeout_ms < SLOW_START
                       ? job->timeout_ms
                       : SLOW_START;

    job->timer.fire = starts_slowly;
    spawn_timer_set(&job->timer, spawn_mono_ms() + soon);
}

void spawn_end_at_stop(spawn_job *job)
{
    if (spawn_phase.lingering && spawn_conf.kill_at_stop && !job->terminated)
        spawn_end_terminate(job, false);
}

/* ---- jobs whose parent has gone ---- */

/* Without its code; why it ended may be known all the same. */
static spawn_outcome outcome_of(const spawn_job *job)
{
    return job->timed_out ? SPAWN_OUTCOME_TIMED_OUT : SPAWN_OUTCOME_ENDED;
}

/* Its parent went before it was set up, or after that had failed. */
static bool orphan_never_ran(spawn_job *job)
{
    if (!job->step)
        return false;
    spawn_orphan_drop(job);
    if (!never_forked(job, job->step, job->step_error))
        spawn_end_start_failed(job, job->step, job->step_error, NULL);
    return true;
}

static void orphan_ended(spawn_job *job, const spawn_orphan_end *orphan)
{
    spawn_end *end;

    if (orphan_never_ran(job))
        return;
    end = spawn_end_job(job, outcome_of(job));
    end->ended_at = orphan->ended_at;
    end->elapsed_us = orphan->elapsed_us;
    if (orphan->known) {
        spawn_end_overdue(job, orphan->status, orphan->elapsed_us);
        spawn_end_status(job, end, orphan->status, 0);
        /* Broker and spawner only have a Perl function's board, and pipes. */
        if (job->perl && job->perl->board < 0)
            spawn_end_say(end, "its spawner was killed, and what it may have "
                               "returned is lost with it");
        else if (job->outputs_lost)
            spawn_end_say(end, "its spawner was killed, and what it wrote is "
                               "lost with it");
    }
    else
        spawn_end_say(end,
                      "its parent had ended before it, and this kernel tells "
                      "the exit code only to a parent%s",
                      job->outputs_lost ? "; what it wrote is lost" : "");
}

bool spawn_end_follow(spawn_job *job)
{
    return spawn_orphan_follow(job, orphan_ended);
}

void spawn_end_orphaned(spawn_job *job, const spawn_message *m)
{
    if (job->orphan || job->state == SPAWN_STATE_QUEUED
        || job->state == SPAWN_STATE_DONE)
        return;
    job->in_table = true; /* until FORGET */
    job->pid = (pid_t)spawn_attr_u64(&m->attr[SPAWN_A_PID]);
    job->boot_started = (int64_t)spawn_u64_or(m, SPAWN_A_BOOT_STARTED,
                                              (uint64_t)job->boot_started);
    job->step = (uint8_t)spawn_u64_or(m, SPAWN_A_STEP, 0);
    job->step_error = (int)spawn_u64_or(m, SPAWN_A_ERRNO, 0);
    if (job->step != SPAWN_STEP_TEMPLATE)
        spawn_perl_settled(job, true);
    if (spawn_end_follow(job)) {
        spawn_perl_settled(job, false);
        spawn_end_arm(job, spawn_orphan_age(job));
        spawn_job_changed(job);
        return;
    }
    spawn_orphan_leave_group(job);
    if (!orphan_never_ran(job))
        spawn_end_say(
            spawn_end_job(job, outcome_of(job)),
            "it ended when the template that was its parent had gone");
}
