/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers: their processes and their links. Runs in the broker, which orders
 * workers, sends calls and reads results; the spawner forks, signals and reaps.
 * Must not believe what comes over a link: code of users writes it.
 */
#include "broker/process/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

#include "common/spawn_board.h"
#include "common/spawn_digest.h"
#include "common/spawn_log.h"
#include "common/spawn_name.h"
#include "common/spawn_os.h"
#include "common/spawn_process.h"
#include "common/spawn_slate.h"
#include "broker/base/alloc.h"
#include "broker/job/changes.h"
#include "broker/job/account.h"
#include "broker/job/defaults.h"
#include "broker/job/perl.h"
#include "broker/job/queue.h"
#include "broker/process/environment.h"
#include "broker/process/keep.h"
#include "broker/process/link.h"
#include "broker/process/orphan.h"
#include "broker/process/output.h"
#include "broker/process/template_process.h"

#define LINK_NUMBER     3     /* of the worker's end, in the worker */
#define GONE_WITHIN     10000 /* ms from dismissal to SIGKILL */
#define LOOK_AFTER_KILL 5000  /* ms: it may hang in the kernel */
#define MESSAGES_A_TURN 16

static spawn_worker *workers, *lent_workers;
static const spawn_worker_events *events;

void spawn_workers_open(const spawn_worker_events *to)
{
    events = to;
}

spawn_worker *spawn_worker_next(const spawn_worker *w)
{
    return w ? w->next : workers;
}

spawn_worker *spawn_worker_find(const spawn_id *id)
{
    spawn_worker *w;

    for (w = workers; w; w = w->next) {
        if (spawn_id_equal(&w->id, id))
            return w;
    }
    return NULL;
}

static void does_not_leave(spawn_timer *timer)
{
    spawn_worker *w = SPAWN_OWNER(timer, spawn_worker, deadline);

    if (w->killed && spawn_os_hangs(w->pid)) {
        events->gone(w, NULL);
        return;
    }
    spawn_timer_set(&w->deadline, spawn_mono_ms() + LOOK_AFTER_KILL);
    if (w->killed) {
        if (w->unparented)
            spawn_worker_signal(w, SIGKILL, SPAWN_LEFT_KILL);
        else if (spawn_template_process_has_child(w->pool->queue->template,
                                                  w->pid))
            spawn_link_signal_process(&w->id, SIGKILL, w->pid, w->boot_started);
        return;
    }
    w->killed = true;
    spawn_log_few(
        spawn_log_about("queue", w->pool->queue->name), SPAWN_LOG_FEW,
        SPAWN_LOG_WARN,
        MSNO(0611) "a worker of queue %s (pid %d) does not end and is "
                   "killed",
        w->pool->queue->name, (int)w->pid);
    spawn_worker_signal(w, SIGKILL, SPAWN_LEFT_KILL);
}

char *spawn_worker_who(const spawn_worker *w, char *who)
{
    (void)snprintf(who, SPAWN_WHO, "worker of queue %.30s",
                   w->pool->queue->name);
    return who;
}

spawn_worker *spawn_worker_next_lent(const spawn_worker *w)
{
    return w ? w->lent_next : lent_workers;
}

static void enter_lent(spawn_worker *w)
{
    w->lent_next = lent_workers;
    w->lent_at = &lent_workers;
    if (w->lent_next)
        w->lent_next->lent_at = &w->lent_next;
    lent_workers = w;
}

static void leave_lent(spawn_worker *w)
{
    *w->lent_at = w->lent_next;
    if (w->lent_next)
        w->lent_next->lent_at = w->lent_at;
    w->lent_at = NULL;
}

void spawn_worker_set_lent(spawn_worker *w, spawn_lent lent)
{
    w->lent = lent;
    if (lent && !w->lent_at)
        enter_lent(w);
    else if (!lent && w->lent_at)
        leave_lent(w);
}

static spawn_worker *make(spawn_pool *pool)
{
    spawn_worker *w = spawn_alloc(sizeof(*w));

    w->pool = pool;
    w->board = w->link.fd = w->pidfd = w->direct = -1;
    w->deadline.fire = does_not_leave;
    w->mono_started = spawn_mono_ms();
    w->next = workers;
    workers = w;
    w->pool_next = pool->workers;
    pool->workers = w;
    return w;
}

static void settled(spawn_worker *w, bool forked)
{
    spawn_template_process *process = w->ordered_from;

    w->ordered_from = NULL;
    if (!process)
        return;
    process->workers += forked;
    spawn_template_process_settled(process, forked);
}

void spawn_worker_free(spawn_worker *w)
{
    spawn_worker **at = &workers;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    for (at = &w->pool->workers; *at != w; at = &(*at)->pool_next)
        ;
    *at = w->pool_next;
    spawn_worker_set_lent(w, SPAWN_LENT_NOT);
    settled(w, false);
    spawn_timer_clear(&w->deadline);
    spawn_watch_give_away(&w->link, geteuid());
    spawn_output_drop(w->streams);
    spawn_ticket_close(w->ticket);
    spawn_close_fds(&w->board, 1);
    spawn_close_fds(&w->pidfd, 1);
    spawn_free_later(w);
}

/* ---- what it says ---- */

static void take_returned(spawn_worker *w, const spawn_message *m)
{
    spawn_id id;

    if (spawn_has(m, SPAWN_A_ID)) {
        spawn_attr_id(&m->attr[SPAWN_A_ID], &id);
        events->returned(w, &id, m);
    }
    else {
        events->ready(w, m);
    }
}

static void take_given_back(spawn_worker *w, const spawn_message *m)
{
    if (w->lent && spawn_attr_u64(&m->attr[SPAWN_A_SEQ]) == w->lease)
        events->given_back(w, m);
}

/* False: it is nothing that a worker says now. */
static bool take(spawn_worker *w, const spawn_message *m)
{
    if (m->header.type == SPAWN_M_RETURNED && w->lent != SPAWN_LENT)
        take_returned(w, m);
    else if (m->header.type == SPAWN_M_SLATE && w->lent)
        events->slate(w);
    else if (m->header.type == SPAWN_M_GIVEN_BACK) /* twice, when asked */
        take_given_back(w, m);
    else
        return false;
    return true;
}

static void not_understood(spawn_worker *w)
{
    if (!w->babbled)
        spawn_log_few(
            spawn_log_about("queue", w->pool->queue->name), SPAWN_LOG_FEW,
            SPAWN_LOG_WARN,
            MSNO(0612) "a worker of queue %s (pid %d) sent what is not "
                       "understood",
            w->pool->queue->name, (int)w->pid);
    w->babbled = true;
}

/* Take the messages that have come, up to a bound. False when its end of the
 * link is closed. */
static bool receive(spawn_worker *w)
{
    static uint8_t buffer[SPAWN_WIRE_HEADER + SPAWN_INLINE_MAX];
    spawn_message m;
    spawn_failure why;
    spawn_packet p = {.unread = false};
    int rv = -EAGAIN, i;

    for (i = 0; i < MESSAGES_A_TURN && w->link.fd >= 0; i++) {
        rv = spawn_packet_receive(w->link.fd, buffer, sizeof(buffer), &p);
        w->unread |= p.unread;
        if (rv != 1)
            break;
        if (spawn_message_parse(p.data, p.length, SPAWN_FROM_TEMPLATE,
                                p.fds_count, &m, &why)
                < 0
            || !take(w, &m))
            not_understood(w);
        spawn_packet_close(&p);
    }
    return w->link.fd >= 0 && (rv == 1 || rv == -EAGAIN);
}

static void ready(spawn_watch *watch, int seen)
{
    spawn_worker *w = SPAWN_OWNER(watch, spawn_worker, link);

    (void)seen;
    if (receive(w))
        return;
    spawn_watch_give_away(&w->link, geteuid());
    events->silent(w);
}

/* ---- starting ---- */

enum {
    F_ERR,    /* stderr's pipe, write end */
    F_THEIRS, /* its end of the link */
    F_BOARD,
    F_OURS,
    F_TICKET,
    F_ERR_READ,
    F_COUNT
};

static int prepare(spawn_worker *w, int *fds)
{
    spawn_ticket_owner owner = {.template_id = w->template_id};
    char who[SPAWN_WHO];
    int ends[2], unused, rv;

    rv = spawn_output_make(w->streams, spawn_worker_who(w, who), 1, false, 0,
                           &fds[F_ERR]);
    if (rv < 0)
        return rv;
    spawn_output_fds(w->streams, 1, &fds[F_ERR_READ], &unused);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    fds[F_THEIRS] = ends[1];
    (void)spawn_os_pass_descriptors(ends[0], false);
    rv = spawn_watch_open(&w->link, ends[0], SPAWN_IN, ready);
    if (rv < 0)
        return rv;
    fds[F_OURS] = w->link.fd;
    w->board = spawn_board_make();
    if (w->board < 0)
        return w->board;
    fds[F_BOARD] = w->board;
    (void)snprintf(owner.queue, sizeof(owner.queue), "%s",
                   w->pool->queue->name);
    w->ticket = spawn_ticket_make(&owner, w->rules, &fds[F_TICKET]);
    return w->ticket ? 0 : -errno;
}

/* The rules of its queue. */
static void put_rules(const spawn_pool *pool, spawn_writer *order)
{
    if (pool->calls)
        spawn_put_u64(order, SPAWN_A_WORKER_JOBS, pool->calls);
    if (pool->memory)
        spawn_put_u64(order, SPAWN_A_WORKER_MEMORY, pool->memory);
    spawn_launch_env_worker(pool->queue, order);
    spawn_defaults_put_worker(pool->queue, F_ERR, order);
}

uint32_t spawn_worker_rules(const spawn_pool *pool)
{
    const spawn_account_look account = spawn_account_of_queue(pool->queue);
    spawn_writer w;
    uint32_t ret;
    uint64_t sum;

    spawn_writer_init(&w, SPAWN_REQUEST_MAX);
    spawn_writer_begin(&w, SPAWN_M_LAUNCH, 0);
    put_rules(pool, &w);
    spawn_put_u64(&w, SPAWN_A_UID, account.uid);
    spawn_put_u64(&w, SPAWN_A_GID, account.gid);
    sum = w.data ? spawn_digest(w.data + SPAWN_WIRE_HEADER,
                                w.length - SPAWN_WIRE_HEADER)
                 : 0;
    spawn_writer_free(&w);
    ret = (uint32_t)(sum ^ sum >> 32);
    return ret ? ret : 1;
}

static void write_order(const spawn_worker *w, spawn_writer *order)
{
    static const uint64_t keep[] = {
        F_BOARD,  SPAWN_KEEP_BOARD,  F_OURS,     SPAWN_KEEP_WORKER,
        F_TICKET, SPAWN_KEEP_TICKET, F_ERR_READ, SPAWN_KEEP_ERR_PIPE};
    static const uint64_t numbers[] = {F_THEIRS, LINK_NUMBER};
    const spawn_pool *pool = w->pool;

    spawn_writer_begin(order, SPAWN_M_LAUNCH, 0);
    spawn_put_id(order, SPAWN_A_ID, &w->id);
    spawn_put_u64(order, SPAWN_A_IS_WORKER, 1);
    spawn_put_id(order, SPAWN_A_TEMPLATE_ID, &w->template_id);
    spawn_put_str(order, SPAWN_A_QUEUE, pool->queue->name);
    put_rules(pool, order);
    spawn_put_u64v(order, SPAWN_A_FDS, numbers, 2);
    spawn_put_u64v(order, SPAWN_A_KEEP, keep, 8);
}

static int order(spawn_worker *w)
{
    int fds[F_COUNT] = {-1, -1, -1, -1, -1, -1};
    spawn_writer message;
    int rv = prepare(w, fds);

    if (rv == 0) {
        spawn_writer_init(&message, SPAWN_REQUEST_MAX);
        write_order(w, &message);
        rv = spawn_link_send(&message, fds, F_COUNT);
        spawn_writer_free(&message);
    }
    spawn_close_fds(fds, F_THEIRS + 1); /* the others are the worker's */
    return rv;
}

spawn_worker *spawn_worker_order(spawn_pool *pool, spawn_failure *why)
{
    spawn_worker *w = make(pool);
    int rv = spawn_id_make(&w->id);

    if (rv == 0) {
        w->ordered_from = spawn_template_order(pool->queue->template);
        w->template_id = w->ordered_from->id;
        w->rules = pool->rules;
        rv = order(w);
    }
    if (rv == 0)
        return w;
    spawn_failure_set(why, SPAWN_E_SYSTEM, SPAWN_STEP_ORDER, -rv,
                      "its start could not be ordered: %s", strerror(-rv));
    spawn_worker_free(w);
    return NULL;
}

/* ---- calls ---- */

static void put(const spawn_message *m, unsigned attr, spawn_writer *call)
{
    if (spawn_has(m, attr))
        spawn_put_attr(call, attr, &m->attr[attr]);
}

int spawn_worker_send_again(spawn_worker *w, const spawn_job *job,
                            const spawn_message *m, const spawn_body *body)
{
    uint8_t room[8192];
    spawn_writer call;
    int rv;

    if (w->link.fd < 0)
        return -EPIPE;
    if (body->length + body->args_length < sizeof(room) / 2)
        spawn_writer_init_fixed(&call, room, sizeof(room));
    else
        spawn_writer_init(&call, SPAWN_SUBMIT_MAX);
    spawn_writer_begin(&call, SPAWN_M_CALL, 0);
    spawn_put_id(&call, SPAWN_A_ID, &job->id);
    put(m, SPAWN_A_FUNCTION, &call);
    put(m, SPAWN_A_LOAD, &call);
    put(m, SPAWN_A_WANT, &call);
    put(m, SPAWN_A_LABEL, &call);
    put(m, SPAWN_A_CONTEXT, &call);
    spawn_put_u64(&call, SPAWN_A_ATTEMPT, job->attempt);
    if (body->args)
        spawn_put_bytes(&call, SPAWN_A_ARGS, body->args, body->args_length);
    rv = spawn_writer_finish(&call, 0);
    if (rv == 0)
        rv = spawn_packet_send(w->link.fd, call.data, call.length, NULL, 0);
    spawn_writer_free(&call);
    return rv == -ECONNRESET ? -EPIPE : rv;
}

int spawn_worker_send(spawn_worker *w, const spawn_job *job,
                      const spawn_message *m, const spawn_body *body)
{
    const spawn_ticket_call call = {.id = job->id,
                                    .digest = job->digest,
                                    .submitted_at = job->submitted_at,
                                    .started_at = job->started_at,
                                    .mono_started = job->mono_started,
                                    .caller_pid = job->caller_pid,
                                    .caller_uid = job->caller_uid,
                                    .attempt = job->attempt};

    int rv;

    /* in this order, so that a ticket is never seen beside the board of another
     * call */
    spawn_ticket_clear(w->ticket);
    if (w->unfinished)
        (void)spawn_slate_finish(w->board);
    w->unfinished = false;
    rv = spawn_board_reset(w->board);
    if (rv < 0)
        return rv;
    spawn_ticket_put(w->ticket, &call, spawn_job_unstored(job) ? body : NULL);
    rv = spawn_worker_send_again(w, job, m, body);
    if (rv < 0)
        spawn_ticket_clear(w->ticket); /* the worker never had the call */
    w->only_call = rv == 0;
    w->call_found = false;
    return rv;
}

void spawn_worker_last_call(spawn_worker *w)
{
    w->retire = true;
    (void)shutdown(w->link.fd, SHUT_WR);
}

bool spawn_worker_never_began(const spawn_worker *w)
{
    return w->unread && w->only_call;
}

bool spawn_worker_may_have_begun(const spawn_worker *w)
{
    return w->call_found && (w->unread || !w->sent_again);
}

/* ---- leases ---- */

static int say_of_lease(spawn_worker *w, uint16_t type, const int *fds,
                        unsigned count)
{
    uint8_t room[64];
    spawn_writer said;

    w->only_call = false;
    spawn_writer_init_fixed(&said, room, sizeof(room));
    spawn_writer_begin(&said, type, 0);
    spawn_put_u64(&said, SPAWN_A_SEQ, w->lease);
    (void)spawn_writer_finish(&said, count);
    return spawn_packet_send(w->link.fd, said.data, said.length, fds, count);
}

int spawn_worker_lend(spawn_worker *w, int direct)
{
    return say_of_lease(w, SPAWN_M_LEND, &direct, 1);
}

void spawn_worker_take_back(spawn_worker *w)
{
    (void)say_of_lease(w, SPAWN_M_TAKE_BACK, NULL, 0);
}

/* ---- ending ---- */

void spawn_worker_dismiss(spawn_worker *w)
{
    if (w->state == SPAWN_WORKER_LEAVING)
        return;
    if (w->state == SPAWN_WORKER_BUSY) {
        w->retire = true;
        return;
    }
    w->state = SPAWN_WORKER_LEAVING;
    /* It reads the end of its calls, and leaves; one that is not forked yet
     * reads it later. */
    (void)shutdown(w->link.fd, SHUT_WR);
    spawn_worker_overdue(w);
}

void spawn_worker_overdue(spawn_worker *w)
{
    spawn_timer_set(&w->deadline, spawn_mono_ms() + GONE_WITHIN);
}

void spawn_worker_give_up(spawn_worker *w)
{
    events->gone(w, NULL);
}

void spawn_worker_signal(spawn_worker *w, int signo, unsigned left)
{
    w->expected = true;
    /* The call may return before the signal arrives, which must not meet the
     * next call. */
    w->retire |= w->job != NULL;
    if (w->unparented) {
        if (spawn_os_pidfd_signal(w->pidfd, signo) == -EPERM)
            spawn_link_signal_process(&w->id, signo, w->pid, w->boot_started);
        return;
    }
    spawn_link_signal(&w->id, signo, left);
}

/* ---- what the spawner tells ---- */

void spawn_worker_started(spawn_worker *w, const spawn_message *m)
{
    w->pid = (pid_t)spawn_attr_u64(&m->attr[SPAWN_A_PID]);
    w->boot_started = (int64_t)spawn_u64_or(m, SPAWN_A_BOOT_STARTED, 0);
    w->mono_started = (int64_t)spawn_u64_or(m, SPAWN_A_MONO_STARTED,
                                            (uint64_t)w->mono_started);
    settled(w, true);
    events->known(w);
}

/* No process was forked for it. */
static void not_forked(spawn_worker *w, int error)
{
    spawn_template_process *process = w->ordered_from;

    settled(w, false);
    if (process && error == EAGAIN)
        spawn_template_process_full(process);
    else if (process)
        spawn_template_process_lost(process);
}

void spawn_worker_exited(spawn_worker *w, const spawn_message *m)
{
    spawn_step step = (spawn_step)spawn_u64_or(m, SPAWN_A_STEP, 0);

    (void)receive(w);
    if (step == SPAWN_STEP_TEMPLATE) {
        not_forked(w, (int)spawn_u64_or(m, SPAWN_A_ERRNO, 0));
        events->gone(w, NULL);
        return;
    }
    settled(w, step == SPAWN_STEP_NONE);
    events->gone(w, m);
}

void spawn_worker_orphaned(spawn_worker *w, const spawn_message *m)
{
    bool gone;

    if (w->unparented)
        return;
    w->unparented = true;
    w->pid = (pid_t)spawn_attr_u64(&m->attr[SPAWN_A_PID]);
    settled(w, true);
    w->pidfd = spawn_os_pidfd(w->pid);
    gone = w->pidfd == -ESRCH;
    if (w->pidfd >= 0 && !spawn_os_is_noted(w->pid, w->boot_started, -1)) {
        spawn_close_fds(&w->pidfd, 1);
        gone = true;
    }
    if (gone) { /* a process that it left may have its link, which lives on */
        (void)receive(w);
        if (w->job)
            spawn_orphan_leave_group(w->job);
    }
    if (gone || w->link.fd < 0)
        events->gone(w, NULL);
    else
        events->unparented(w);
}

/* ---- found by a broker that is new ---- */

/* Give it what it needs to be of use. False: it has to go. */
static bool take_up(spawn_worker *w, int link, int err)
{
    char who[SPAWN_WHO];

    if (err >= 0)
        spawn_output_adopt(w->streams, spawn_worker_who(w, who), 1, err, -1, 0);
    return spawn_watch_open(&w->link, link, SPAWN_IN, ready) == 0
           && w->board >= 0;
}

spawn_worker *spawn_worker_adopt(const spawn_id *id, const spawn_message *m,
                                 spawn_packet *p,
                                 spawn_pool *(*pool_of)(const char *queue),
                                 bool *ret_useful)
{
    int ticket_fd = spawn_keep_take(m, p->fds, SPAWN_KEEP_TICKET);
    int link = spawn_keep_take(m, p->fds, SPAWN_KEEP_WORKER);
    int board = spawn_keep_take(m, p->fds, SPAWN_KEEP_BOARD);
    int err = spawn_keep_take(m, p->fds, SPAWN_KEEP_ERR_PIPE);
    spawn_ticket_owner owner;
    spawn_ticket_call call;
    spawn_slate slate;
    spawn_ticket *ticket =
        ticket_fd >= 0 ? spawn_ticket_adopt(ticket_fd, &owner) : NULL;
    int unused[] = {link, board, err};
    spawn_worker *w;

    if (!ticket || !spawn_queue_name_ok(owner.queue)) {
        spawn_ticket_close(ticket);
        /* it reads the end of its calls, and leaves */
        (void)shutdown(link, SHUT_WR);
        spawn_close_fds(unused, sizeof(unused) / sizeof(unused[0]));
        return NULL;
    }
    w = make(pool_of(owner.queue));
    w->id = *id;
    w->ticket = ticket;
    w->board = board;
    w->template_id = owner.template_id;
    w->rules = spawn_ticket_rules(ticket);
    w->served = w->found = owner.ready != 0;
    w->lendable = owner.ready == SPAWN_TICKET_LENDABLE;
    w->state = owner.ready ? SPAWN_WORKER_IDLE : SPAWN_WORKER_COMING;
    /* Whether it runs, recovery finds out, which may wait for a store. */
    if (owner.ready && spawn_ticket_get(ticket, &call, NULL))
        w->state = SPAWN_WORKER_BUSY;
    if (spawn_slate_look(board, &slate) == 0 && slate.lease) {
        w->state = SPAWN_WORKER_BUSY;
        spawn_worker_set_lent(w, SPAWN_LENT);
        w->lease = slate.lease;
        w->caller_uid = (uid_t)slate.caller_uid;
        w->caller_pid = (pid_t)slate.caller_pid;
    }
    w->pid = (pid_t)spawn_u64_or(m, SPAWN_A_PID, 0);
    w->boot_started = (int64_t)spawn_u64_or(m, SPAWN_A_BOOT_STARTED, 0);
    w->mono_started = (int64_t)spawn_u64_or(m, SPAWN_A_MONO_STARTED,
                                            (uint64_t)w->mono_started);
    if (spawn_attr_u64(&m->attr[SPAWN_A_STATE]) == SPAWN_STATE_STARTING) {
        w->ordered_from = spawn_template_process_find(&w->template_id);
        if (w->ordered_from)
            spawn_template_process_ordered(w->ordered_from);
    }
    /* A worker that is not known to be ready may have told so to the broker
     * that was killed, and would not tell again. */
    *ret_useful = take_up(w, link, err) && w->served;
    if (w->lent)
        spawn_output_pause(w->streams);
    return w;
}
