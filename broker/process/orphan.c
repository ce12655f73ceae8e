/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Orphaned jobs. Runs in the broker, which is not their parent: it sees that
 * they end, and their exit code where the kernel tells it to strangers. They
 * have the broker's own user, so it may signal them. Must signal by pidfd,
 * never by number.
 */
#include "broker/process/orphan.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "common/spawn_packet.h"
#include "common/spawn_process.h"
#include "broker/base/alloc.h"
#include "broker/base/loop.h"
#include "broker/base/timer.h"
#include "broker/job/account.h"
#include "broker/job/body.h"
#include "broker/job/perl.h"
#include "broker/job/queue.h"
#include "broker/job/state.h"
#include "broker/process/link.h"

/* The kernel tells the code when init has reaped the process, which is a
 * moment after its end. */
#define REAPED_WITHIN 1000 /* ms */

struct spawn_orphan {
    spawn_watch watch;
    spawn_timer reaped;
    spawn_job *job;
    spawn_orphan_ended_fn ended;
    int64_t began;    /* boot ms */
    int64_t ended_at; /* 0: it runs */
    int64_t elapsed_us;
};

/* The rest of a group whose leader obeyed TERM has its grace, too. */
typedef struct rest {
    spawn_timer timer;
    struct rest *next;
    spawn_batch *batch;
    spawn_grace grace;
    int pidfd; /* of the leader; -1: it had ended before us */
} rest;

static rest *rests;
static void (*tell_over)(spawn_batch *batch, const spawn_id *id);

void spawn_orphan_groups_told(void (*over)(spawn_batch *batch,
                                           const spawn_id *id))
{
    tell_over = over;
}

/* Without a descriptor, or on a kernel that cannot signal a group by one, it is
 * looked for. */
static void kill_rest(const rest *r)
{
    int rv = -ENOSYS;

    if (r->pidfd >= 0)
        rv = spawn_os_group_signal(r->pidfd, -1, SIGKILL);
    if (rv < 0 && rv != -ESRCH && r->grace.noted)
        spawn_os_group_end(r->grace.pid, r->grace.noted);
}

static void end_rest(rest *r)
{
    rest **at = &rests;

    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    kill_rest(r);
    spawn_close_fds(&r->pidfd, 1);
    if (r->grace.noted)
        tell_over(r->batch, &r->grace.id);
    spawn_timer_clear(&r->timer);
    spawn_free_later(r);
}

static void grace_over(spawn_timer *t)
{
    end_rest(SPAWN_OWNER(t, rest, timer));
}

/* Takes the pidfd. */
static void have_rest(spawn_batch *batch, const spawn_grace *g, int leader,
                      int64_t kill_at)
{
    rest *r = spawn_alloc(sizeof(*r));

    r->batch = batch;
    r->grace = *g;
    r->pidfd = leader;
    r->next = rests;
    rests = r;
    r->timer.fire = grace_over;
    spawn_timer_set(&r->timer, kill_at);
}

void spawn_orphan_found_group(spawn_batch *batch, const spawn_grace *g,
                              int64_t kill_at)
{
    have_rest(batch, g, -1, kill_at);
}

/* Takes the pidfd. */
static void leave_grace(spawn_job *job, int leader)
{
    const spawn_grace g = {
        .id = job->id, .pid = job->pid, .noted = job->term_noted};

    if (leader < 0)
        return;
    if (!job->terminated || !job->timer.place) {
        (void)close(leader);
        return;
    }
    job->rest_lives = true;
    have_rest(job->batch, &g, leader, job->timer.at);
}

bool spawn_orphan_groups(void)
{
    return rests != NULL;
}

static bool has_ended(int pidfd)
{
    struct pollfd p = {pidfd, POLLIN, 0};

    return poll(&p, 1, 0) == 1;
}

bool spawn_orphan_leader_lives(const spawn_job *job)
{
    int pidfd = job->orphan ? job->orphan->watch.fd : job->leader;

    return pidfd >= 0 && !has_ended(pidfd);
}

void spawn_orphan_groups_end(bool spawner_gone)
{
    spawn_job *job;

    while (rests)
        end_rest(rests);
    if (!spawner_gone)
        return;
    for (job = spawn_job_next(NULL); job; job = spawn_job_next(job)) {
        if (job->terminated && job->leader >= 0 && has_ended(job->leader))
            (void)spawn_os_group_signal(job->leader, -1, SIGKILL);
    }
}

static void record(spawn_orphan *orphan)
{
    spawn_orphan_end end = {.ended_at = orphan->ended_at,
                            .elapsed_us = orphan->elapsed_us};

    end.known = spawn_os_pidfd_status(orphan->watch.fd, &end.status) == 0;
    leave_grace(orphan->job, fcntl(orphan->watch.fd, F_DUPFD_CLOEXEC, 3));
    spawn_timer_clear(&orphan->reaped);
    spawn_watch_close(&orphan->watch);
    orphan->ended(orphan->job, &end);
}

static void reaped_late(spawn_timer *t)
{
    record(SPAWN_OWNER(t, spawn_orphan, reaped));
}

static void orphan_ended(spawn_watch *w, int events)
{
    spawn_orphan *orphan = SPAWN_OWNER(w, spawn_orphan, watch);

    if (!orphan->ended_at) {
        orphan->ended_at = spawn_wall_ms();
        orphan->elapsed_us = (spawn_boot_ms() - orphan->began) * 1000;
    }
    if (events & SPAWN_GONE) {
        record(orphan);
        return;
    }
    spawn_watch_events(w, 0);
    orphan->reaped.fire = reaped_late;
    spawn_timer_set(&orphan->reaped, spawn_mono_ms() + REAPED_WITHIN);
}

/* A pidfd of the process, when it is still the one that was started, or -1. */
static int process_of(pid_t pid, int64_t boot_started)
{
    int fd;

    if (pid <= 0 || boot_started < 0)
        return -1;
    fd = spawn_os_pidfd(pid);
    if (fd < 0)
        return -1;
    if (!spawn_os_is_noted(pid, boot_started, SPAWN_NOTED_LATE)) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

void spawn_orphan_note(spawn_job *job)
{
    if (!job->orphan && job->leader < 0)
        job->leader = process_of(job->pid, job->boot_started);
}

/* One that was to end is known by its descriptor, also when it has ended and
 * was reaped since. */
static int open_process(const spawn_job *job)
{
    return job->leader >= 0 ? fcntl(job->leader, F_DUPFD_CLOEXEC, 3)
                            : process_of(job->pid, job->boot_started);
}

void spawn_orphan_leave_group(spawn_job *job)
{
    leave_grace(job, job->leader);
    job->leader = -1;
}

/* A call began later than its worker, and only the time of day says when. */
static int64_t began(const spawn_job *job)
{
    int64_t at = job->boot_started, now = spawn_boot_ms();

    if (job->perl && job->perl->pooled)
        at = now - (spawn_wall_ms() - job->started_at);
    if (at > now)
        at = now;
    return at > job->boot_started ? at : job->boot_started;
}

bool spawn_orphan_follow(spawn_job *job, spawn_orphan_ended_fn ended)
{
    spawn_orphan *orphan;
    int fd = open_process(job);

    if (fd < 0)
        return false;
    orphan = spawn_alloc(sizeof(*orphan));
    orphan->job = job;
    orphan->ended = ended;
    orphan->began = began(job);
    if (spawn_watch_open(&orphan->watch, fd, SPAWN_IN, orphan_ended) < 0) {
        free(orphan);
        return false;
    }
    job->orphan = orphan;
    if (!job->step)
        spawn_job_on(job, SPAWN_JOB_FOUND_RUNNING);
    return true;
}

bool spawn_orphan_lives(const spawn_job *job)
{
    int fd = open_process(job);

    if (fd >= 0)
        (void)close(fd);
    return fd >= 0;
}

int64_t spawn_orphan_age(const spawn_job *job)
{
    return spawn_boot_ms() - job->orphan->began;
}

void spawn_orphan_signal(spawn_job *job, int signo)
{
    char name[SPAWN_LOGS_NAME];
    int rv;

    if (job->orphan->ended_at)
        return;
    rv = spawn_os_pidfd_signal(job->orphan->watch.fd, signo);
    if (rv == -EPERM /* of another account than ours */
        && spawn_account_of_queue(job->queue).uid != geteuid()) {
        spawn_link_signal_process(&job->id, signo, job->pid, job->boot_started);
        return;
    }
    if (rv < 0 && rv != -ESRCH)
        spawn_log_few(spawn_log_about("queue", job->queue->name), SPAWN_LOG_FEW,
                      SPAWN_LOG_WARN,
                      MSNO(0580) "job %s cannot be signalled: %s",
                      spawn_body_name(job, job->body, name), strerror(-rv));
}

void spawn_orphan_drop(spawn_job *job)
{
    if (!job->orphan)
        return;
    spawn_timer_clear(&job->orphan->reaped);
    spawn_watch_close(&job->orphan->watch);
    spawn_free_later(job->orphan);
    job->orphan = NULL;
}
