/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Perl jobs on their way through their template, and their boards. Runs in the
 * broker. Must not believe a board before spawn_board.h has checked it: the job
 * writes there.
 */
#include "broker/process/perl.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/eventfd.h>

#include "common/spawn_proto.h"
#include "broker/base/alloc.h"
#include "broker/base/conf.h"
#include "broker/base/loop.h"
#include "broker/base/timer.h"
#include "broker/job/changes.h"
#include "broker/job/perl.h"
#include "broker/job/queue.h"
#include "broker/job/template.h"
#include "broker/process/template_process.h"
#include "broker/process/worker.h"

void spawn_perl_make(spawn_job *job, const char *named)
{
    job->perl = spawn_alloc(sizeof(*job->perl));
    job->perl->board = -1;
    job->perl->since = spawn_conf.configured_at;
    job->perl->named = named != NULL;
    job->perl->template =
        named ? spawn_template_get(named) : job->queue->template;
}

/* ---- the bell ---- */

struct spawn_bell {
    spawn_watch watch;
    spawn_job *job;
};

static void close_bell(spawn_job *job)
{
    struct spawn_bell *bell = job->perl->bell;

    if (!bell)
        return;
    job->perl->bell = NULL;
    spawn_watch_close(&bell->watch);
    spawn_free_later(bell);
}

spawn_returned *spawn_returned_take(int board)
{
    spawn_returned *ret = spawn_alloc(sizeof(*ret));

    ret->kind = spawn_board_take(board, &ret->data, &ret->length, &ret->said,
                                 &ret->progress);
    return ret;
}

/* The bell only rings: the result is on the board. */
static void rung(spawn_watch *w, int events)
{
    struct spawn_bell *bell = SPAWN_OWNER(w, struct spawn_bell, watch);
    spawn_job *job = bell->job;
    spawn_returned *kept;

    (void)events;
    close_bell(job);
    if (job->state != SPAWN_STATE_RUNNING && job->state != SPAWN_STATE_STARTING)
        return;
    kept = spawn_returned_take(job->perl->board);
    if (kept->kind != SPAWN_RESULT_RETURNED) {
        free(kept->data);
        free(kept); /* its end will tell */
        return;
    }
    job->perl->kept = kept;
    spawn_job_tell_waiters(job);
}

int spawn_perl_bell(spawn_job *job, const char *function)
{
    struct spawn_bell *bell;
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int rv;

    if (fd < 0)
        return -errno;
    close_bell(job);
    bell = spawn_alloc(sizeof(*bell));
    bell->job = job;
    rv = spawn_watch_open(&bell->watch, fd, SPAWN_IN, rung);
    if (rv < 0) {
        free(bell);
        return rv;
    }
    job->perl->bell = bell;
    free(job->perl->function);
    job->perl->function = spawn_strdup(function);
    return bell->watch.fd;
}

void spawn_perl_take_result(spawn_job *job)
{
    spawn_perl *perl = job->perl;

    if (!perl || perl->kept || perl->board < 0)
        return;
    perl->kept = spawn_returned_take(perl->board);
    if (perl->kept->kind < 0) { /* the store tells, and the log */
        free(perl->kept);
        perl->kept = NULL;
    }
}

void spawn_perl_lost_result(spawn_job *job, int kind)
{
    if (!job->perl || job->perl->kept || kind <= SPAWN_RESULT_NONE)
        return;
    job->perl->kept = spawn_alloc(sizeof(*job->perl->kept));
    job->perl->kept->kind = kind;
    job->perl->kept->lost = true;
}

bool spawn_perl_has_returned(const spawn_job *job)
{
    return job->perl && job->perl->kept
           && job->perl->kept->kind == SPAWN_RESULT_RETURNED;
}

void spawn_perl_renew(spawn_job *job)
{
    spawn_perl *perl = job->perl;

    spawn_perl_close_board(job);
    close_bell(job);
    if (perl->kept)
        free(perl->kept->data);
    free(perl->kept);
    free(perl->function);
    perl->kept = NULL;
    perl->function = NULL;
    perl->unforked = perl->unread = 0;
    perl->worker_died = false;
    perl->mono_us = 0;
}

void spawn_perl_drop(spawn_job *job)
{
    spawn_perl_renew(job);
    free(job->perl);
    job->perl = NULL;
}

/* ---- orders ---- */

void spawn_perl_order(spawn_job *job)
{
    job->perl->ordered_from = spawn_template_order(job->perl->template);
}

void spawn_perl_ordered(spawn_job *job, const spawn_id *process)
{
    job->perl->ordered_from = spawn_template_process_find(process);
    if (job->perl->ordered_from)
        spawn_template_process_ordered(job->perl->ordered_from);
}

void spawn_perl_settled(spawn_job *job, bool forked)
{
    spawn_template_process *process =
        job->perl ? job->perl->ordered_from : NULL;

    if (!process)
        return;
    job->perl->ordered_from = NULL;
    spawn_template_process_settled(process, forked);
}

/* ---- boards ---- */

int spawn_perl_board(spawn_job *job)
{
    int fd = spawn_board_make();

    if (fd < 0)
        return fd;
    spawn_perl_adopt_board(job, fd);
    return fd;
}

void spawn_perl_adopt_board(spawn_job *job, int fd)
{
    if (!job->perl) {
        (void)close(fd);
        return;
    }
    spawn_perl_close_board(job);
    job->perl->board = fd;
}

void spawn_perl_close_board(spawn_job *job)
{
    if (!job->perl || job->perl->board < 0)
        return;
    (void)close(job->perl->board);
    job->perl->board = -1;
}

/* Its own, or that of the worker that runs it; -1: none. */
static int board_of(const spawn_job *job)
{
    if (!job->perl)
        return -1;
    if (job->perl->worker)
        return job->state == SPAWN_STATE_RUNNING ? job->perl->worker->board
                                                 : -1;
    return job->perl->board;
}

void spawn_perl_cancelled(const spawn_job *job)
{
    int board = board_of(job);

    if (board >= 0)
        (void)spawn_board_cancel(board);
}

bool spawn_perl_progress(const spawn_job *job, spawn_progress *ret)
{
    const spawn_returned *kept = job->perl ? job->perl->kept : NULL;
    int board = board_of(job);

    if (kept && kept->said)
        *ret = kept->progress;
    if (kept)
        return kept->said;
    return board >= 0 && job->state != SPAWN_STATE_STARTING
           && spawn_board_progress(board, ret) == 1;
}
