/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a template of httpd's stopped, or does it hang? Runs in the broker. Only
 * such a template can reap its jobs and tell their ends, and it stays until
 * the last one has ended; so without it jobs would run for ever in the books,
 * and nobody would know.
 *
 * The broker cannot ask a template anything that one of an older release
 * understands, and looks at what a template leaves undone: a child that has
 * ended is not reaped, or the template was told to go and has no child any
 * more. When that lasts, the template is killed, and its jobs go on as orphans
 * (orphan.h). That a template is stopped is no reason by itself: somebody may
 * debug it.
 *
 * Must not take a template for deaf since it is slow: one child has to be seen
 * unreaped all the time.
 */
#include "broker/process/deaf.h"

#include "common/spawn_os.h"
#include "common/spawn_process.h"
#include "broker/base/timer.h"
#include "broker/job/job.h"
#include "broker/job/perl.h"
#include "broker/job/queue.h"
#include "broker/job/template.h"
#include "broker/process/template_process.h"
#include "broker/process/worker.h"

#define LOOK_EACH  5000  /* ms */
#define DEAF_AFTER 30000 /* ms */
#define OVERSTAYS  (-1)

static spawn_timer look;

/* ---- one child ---- */

typedef struct {
    const spawn_template_process *of;
    pid_t ended; /* a child that has ended; 0: none was seen */
    bool any;    /* it has a child, or may have one */
} children;

static bool is_child(const spawn_template_process *i, pid_t pid)
{
    pid_t parent;

    return spawn_os_parent(pid, &parent) == 0 && parent == i->pid;
}

/* Its number is still that of a child of this process as long as it is not
 * reaped. */
static bool has_ended(const spawn_template_process *i, pid_t pid)
{
    return pid > 0 && spawn_os_unreaped(pid) && is_child(i, pid);
}

/* A process that cannot be seen may be a child. */
static void look_at(children *c, pid_t pid)
{
    pid_t parent;

    if (pid <= 0 || spawn_os_parent(pid, &parent) < 0 || parent == c->of->pid)
        c->any = true;
    if (!c->ended && has_ended(c->of, pid))
        c->ended = pid;
}

/* ---- one template ---- */

static bool is_its(const spawn_job *job, const spawn_template *t)
{
    return job->perl && !job->perl->worker && job->perl->template == t
           && !job->orphan
           && (job->state == SPAWN_STATE_STARTING
               || job->state == SPAWN_STATE_RUNNING);
}

static children children_of(const spawn_template_process *i)
{
    children c = {.of = i};
    const spawn_worker *w = NULL;
    const spawn_job *job;

    for (job = spawn_job_next(NULL); job; job = spawn_job_next(job)) {
        if (is_its(job, i->template))
            look_at(&c, job->pid);
    }
    while ((w = spawn_worker_next(w))) {
        if (spawn_id_equal(&w->template_id, &i->id) && !w->unparented)
            look_at(&c, w->pid);
    }
    return c;
}

/* It was told to go, and nothing keeps it. */
static bool overstays(const spawn_template_process *i, const children *c)
{
    return i->state == SPAWN_TEMPLATE_PROCESS_LEAVING && !i->flying && !c->any;
}

/* A child that has ended; OVERSTAYS; 0: nothing. */
static pid_t left_undone(const spawn_template_process *i)
{
    children c;

    if (i->undone > 0 && has_ended(i, i->undone))
        return i->undone;
    c = children_of(i);
    if (c.ended)
        return c.ended;
    return overstays(i, &c) ? OVERSTAYS : 0;
}

static void look_at_one(spawn_template_process *i, int64_t now)
{
    pid_t undone = left_undone(i);

    if (undone == 0 || undone != i->undone)
        i->undone_since = now;
    else if (now - i->undone_since >= DEAF_AFTER)
        spawn_template_process_deaf(i);
    i->undone = undone;
}

/* ---- all ---- */

static void look_at_all(spawn_timer *timer)
{
    const int64_t now = spawn_mono_ms();
    bool any = false;
    spawn_template *t;
    spawn_template_process *i;

    for (t = spawn_template_next(NULL); t; t = spawn_template_next(t)) {
        for (i = t->processes; i; i = i->next) {
            if (!i->foreign || i->gone || i->pid <= 0)
                continue;
            any = true;
            look_at_one(i, now);
        }
    }
    if (any)
        spawn_timer_set(timer, now + LOOK_EACH);
}

void spawn_deaf_watch(void)
{
    if (look.place)
        return;
    look.fire = look_at_all;
    spawn_timer_set(&look, spawn_mono_ms() + LOOK_EACH);
}
