/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Launch orders. Runs in the broker. Must do nothing that can be slow (a path,
 * a program): the job's own process does that. Here are only memory, pipes and
 * the link.
 */
#include "broker/run/launch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/spawn_box.h"
#include "common/spawn_field.h"
#include "common/spawn_log.h"
#include "common/spawn_packet.h"
#include "broker/base/logs.h"
#include "broker/job/body.h"
#include "broker/job/defaults.h"
#include "broker/job/perl.h"
#include "broker/job/queue.h"
#include "broker/job/template.h"
#include "broker/process/environment.h"
#include "broker/process/link.h"
#include "broker/process/output.h"
#include "broker/process/perl.h"
#include "broker/run/end.h"

/* The descriptors of one order. Our own are closed after it. */
typedef struct {
    int fds[SPAWN_FDS_MAX];
    bool ours[SPAWN_FDS_MAX];
    unsigned count;
    uint64_t keep[2 * (SPAWN_KEEP_MAX + 1)];
    unsigned keep_count;
    int passed[SPAWN_JOB_FDS_MAX]; /* callers' handles, which we only pass on */
    unsigned passed_count;
} order_fds;

static int add_fd(order_fds *o, int fd, bool ours)
{
    if (o->count == SPAWN_FDS_MAX)
        return -EMFILE;
    o->fds[o->count] = fd;
    o->ours[o->count] = ours;
    return (int)o->count++;
}

/* A caller's handle goes into the box. */
static int add_passed(order_fds *o, int fd)
{
    if (fd < 0)
        return fd;
    if (o->passed_count == SPAWN_JOB_FDS_MAX)
        return -EMFILE;
    o->passed[o->passed_count] = fd;
    return SPAWN_FDS_BOXED + (int)o->passed_count++;
}

static int add_box(order_fds *o, spawn_writer *w)
{
    int box = spawn_box_make(o->passed, o->passed_count);
    int rv = box < 0 ? box : add_fd(o, box, true);

    if (rv >= 0)
        spawn_put_u64(w, SPAWN_A_BOXED, o->passed_count);
    else if (box >= 0)
        (void)close(box);
    return rv;
}

static void close_ours(order_fds *o)
{
    unsigned i;

    for (i = 0; i < o->count; i++) {
        if (o->ours[i])
            (void)close(o->fds[i]);
    }
}

static int add_keep(order_fds *o, int fd, spawn_keep_role role)
{
    int index = fd < 0 ? 0 : add_fd(o, fd, false);

    if (fd < 0 || index < 0)
        return index;
    o->keep[o->keep_count++] = (uint64_t)index;
    o->keep[o->keep_count++] = role;
    return 0;
}

/* ---- streams ---- */

static int held_fd(const spawn_job *job, unsigned index)
{
    return job->held && index < job->held->count ? job->held->fds[index]
                                                 : -EBADF;
}

/* The descriptor of a stream: stdin's data, a caller's handle, or a pipe of
 * ours. */
static int stream_fd(spawn_job *job, const spawn_body *body,
                     const spawn_message *m, unsigned attr,
                     const spawn_stdio *s, order_fds *o)
{
    int which = attr == SPAWN_A_STDERR;
    char who[SPAWN_WHO];
    int fd, pipe, file, rv;

    switch (s->how) {
    case SPAWN_STDIO_FD:
        return add_passed(o, held_fd(job, s->fd));
    case SPAWN_STDIO_DATA:
        fd = spawn_bytes_memfd("spawn-stdin", body->input, body->input_length);
        break;
    default:
        fd = -1;
        rv = spawn_output_make(
            job->streams, spawn_output_who(&job->id, who), which,
            s->how == SPAWN_STDIO_CAPTURE,
            spawn_u64_or(m, SPAWN_A_CAPTURE_LIMIT, SPAWN_DEFAULT_CAPTURE), &fd);
        if (rv < 0)
            return rv;
        spawn_output_fds(job->streams, which, &pipe, &file);
        rv = add_keep(o, pipe,
                      which ? SPAWN_KEEP_ERR_PIPE : SPAWN_KEEP_OUT_PIPE);
        if (rv == 0)
            rv = add_keep(o, file,
                          which ? SPAWN_KEEP_ERR_FILE : SPAWN_KEEP_OUT_FILE);
        if (rv < 0) {
            (void)close(fd);
            return rv;
        }
        break;
    }
    if (fd < 0)
        return fd;
    rv = add_fd(o, fd, true);
    if (rv < 0)
        (void)close(fd);
    return rv;
}

static int put_stream(spawn_job *job, const spawn_body *body,
                      const spawn_message *m, unsigned attr, order_fds *o,
                      spawn_writer *w)
{
    spawn_stdio s = {SPAWN_STDIO_NULL, 0, 0, ""};
    int index;

    if (job->perl && attr == SPAWN_A_STDERR)
        s.how = SPAWN_STDIO_LOG;
    if (spawn_has(m, attr))
        spawn_attr_stdio(&m->attr[attr], &s);
    if (s.how == SPAWN_STDIO_FD || s.how == SPAWN_STDIO_DATA
        || s.how == SPAWN_STDIO_LOG || s.how == SPAWN_STDIO_CAPTURE) {
        index = stream_fd(job, body, m, attr, &s, o);
        if (index < 0)
            return index;
        s.how = SPAWN_STDIO_FD;
        s.fd = (uint16_t)index;
    }
    spawn_put_stdio(w, (uint16_t)attr, &s);
    return 0;
}

static int put_streams(spawn_job *job, const spawn_body *body,
                       const spawn_message *m, order_fds *o, spawn_writer *w,
                       spawn_failure *why)
{
    static const uint8_t attrs[] = {SPAWN_A_STDIN, SPAWN_A_STDOUT,
                                    SPAWN_A_STDERR};
    unsigned i;

    for (i = 0; i < sizeof(attrs); i++) {
        int rv = put_stream(job, body, m, attrs[i], o, w);

        if (rv < 0) {
            spawn_failure_set(why, SPAWN_E_START_FAILED,
                              (spawn_step)(SPAWN_STEP_STDIN + i), -rv, "%s: %s",
                              spawn_step_name(SPAWN_STEP_STDIN + i),
                              strerror(-rv));
            return -1;
        }
    }
    return 0;
}

static int put_fds(const spawn_job *job, const spawn_message *m, order_fds *o,
                   spawn_writer *w, spawn_failure *why)
{
    const spawn_attr *a = &m->attr[SPAWN_A_FDS];
    uint64_t pairs[2 * SPAWN_FDS_MAX];
    uint32_t count = spawn_has(m, SPAWN_A_FDS) ? spawn_u64v_count(a) : 0;
    uint32_t i;

    if (count == 0)
        return 0;
    for (i = 0; i + 1 < count && i + 1 < 2 * SPAWN_FDS_MAX; i += 2) {
        int index = add_passed(o, held_fd(job, (unsigned)spawn_u64v_at(a, i)));

        if (index < 0) {
            spawn_failure_set(why, SPAWN_E_START_FAILED, SPAWN_STEP_FDS, -index,
                              "fds: %s", strerror(-index));
            return -1;
        }
        pairs[i] = (uint64_t)index;
        pairs[i + 1] = spawn_u64v_at(a, i + 1);
    }
    spawn_put_u64v(w, SPAWN_A_FDS, pairs, i);
    return 0;
}

/* ---- the order ---- */

static void put_plain(const spawn_message *m, spawn_writer *w)
{
    static const uint8_t attrs[] = {
        SPAWN_A_ARGV,      SPAWN_A_CWD,      SPAWN_A_UMASK,
        SPAWN_A_NICE,      SPAWN_A_IONICE,   SPAWN_A_NO_NEW_PRIVS,
        SPAWN_A_LEFTOVERS, SPAWN_A_FUNCTION, SPAWN_A_LOAD,
        SPAWN_A_WANT,      SPAWN_A_TTY};
    unsigned i;

    for (i = 0; i < sizeof(attrs); i++) {
        if (spawn_has(m, attrs[i]))
            spawn_put_attr(w, attrs[i], &m->attr[attrs[i]]);
    }
}

/* It was taken when its queue let it have more. */
static void put_limits(const spawn_job *job, const spawn_message *m,
                       spawn_writer *w)
{
    char name[SPAWN_LOGS_NAME];

    if (spawn_defaults_put_limits(job->queue, m, w))
        spawn_log_few(
            spawn_log_about("queue", job->queue->name), SPAWN_LOG_FEW,
            SPAWN_LOG_WARN,
            MSNO(0512) "job %s starts with lower limits than it asked "
                       "for: SpawnLimit of queue %s has become lower "
                       "since it was accepted",
            spawn_logs_name(&job->id, m, name), job->queue->name);
}

/* Attributes that a program does not need: template, board, and what a function
 * is told of its own job. */
static int put_perl(spawn_job *job, const spawn_body *body,
                    const spawn_message *m, order_fds *o, spawn_writer *w,
                    spawn_failure *why)
{
    int rv = spawn_perl_board(job);

    if (rv >= 0)
        rv = add_keep(o, rv, SPAWN_KEEP_BOARD);
    if (rv >= 0 && job->waiters
        && spawn_u64_or(m, SPAWN_A_WANT, 0) & SPAWN_WANT_EARLY) {
        int bell = spawn_perl_bell(job, spawn_str_or(m, SPAWN_A_FUNCTION, ""));

        /* without a bell the end of its process tells */
        if (bell >= 0)
            rv = add_keep(o, bell, SPAWN_KEEP_BELL);
    }
    if (rv < 0) {
        spawn_failure_set(why, SPAWN_E_START_FAILED, SPAWN_STEP_TEMPLATE, -rv,
                          "no memory for its progress and result: %s",
                          strerror(-rv));
        return -1;
    }
    spawn_put_id(w, SPAWN_A_TEMPLATE_ID, &job->perl->ordered_from->id);
    if (spawn_has(m, SPAWN_A_LABEL))
        spawn_put_attr(w, SPAWN_A_LABEL, &m->attr[SPAWN_A_LABEL]);
    if (spawn_has(m, SPAWN_A_CONTEXT))
        spawn_put_attr(w, SPAWN_A_CONTEXT, &m->attr[SPAWN_A_CONTEXT]);
    if (body->args)
        spawn_put_bytes(w, SPAWN_A_ARGS, body->args, body->args_length);
    return 0;
}

static int build(spawn_job *job, const spawn_body *body, order_fds *o,
                 spawn_writer *w, spawn_failure *why)
{
    spawn_whose whose;
    spawn_message m;

    if (spawn_body_read(job, body, &m, why))
        return -1;
    spawn_defaults_fill(job->queue, &m);
    spawn_queue_limits(job, &m);
    /* 1: its start is told at once, or else with its end, or a moment later */
    spawn_writer_begin(w, SPAWN_M_LAUNCH, job->starts_awaited > 0);
    spawn_put_id(w, SPAWN_A_ID, &job->id);
    spawn_put_str(w, SPAWN_A_QUEUE, job->queue->name);
    if (job->attempt > 1)
        spawn_put_u64(w, SPAWN_A_ATTEMPT, job->attempt);
    put_plain(&m, w);
    put_limits(job, &m, w);
    spawn_launch_env(job, &m, w);
    if (put_streams(job, body, &m, o, w, why) || put_fds(job, &m, o, w, why)
        || (job->perl && put_perl(job, body, &m, o, w, why)))
        return -1;
    spawn_logs_whose(&m, &whose);
    spawn_output_belongs(job->streams, &whose);
    if (o->keep_count)
        spawn_put_u64v(w, SPAWN_A_KEEP, o->keep, o->keep_count);
    if (o->passed_count) {
        int rv = add_box(o, w);

        if (rv < 0) {
            spawn_failure_set(why, SPAWN_E_START_FAILED, SPAWN_STEP_FDS, -rv,
                              "its handles cannot be passed on: %s",
                              strerror(-rv));
            return -1;
        }
    }
    return 0;
}

int spawn_launch(spawn_job *job, const spawn_body *body, spawn_failure *why)
{
    order_fds o = {.count = 0};
    spawn_writer w;
    int rv;

    spawn_writer_init(&w, SPAWN_SUBMIT_MAX + SPAWN_WIRE_HEADER);
    rv = build(job, body, &o, &w, why);
    if (rv == 0) {
        rv = o.passed_count ? spawn_link_send_passed(&w, o.fds, o.count)
                            : spawn_link_send(&w, o.fds, o.count);
        if (rv < 0)
            spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_ORDER, -rv,
                              "the order could not be sent: %s", strerror(-rv));
    }
    spawn_writer_free(&w);
    close_ours(&o);
    if (rv == 0)
        spawn_end_ordered(job);
    return rv < 0 ? -1 : 0;
}
