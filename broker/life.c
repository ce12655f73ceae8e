/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's life as the spawner directs it. Runs in the broker.
 *
 * The broker ends in three ways: it lingered and nothing is left to do, it was
 * told to quit, or the spawner has gone. It must always end with code 0: a code
 * of 7 or 15 would stop an httpd that happened to become its parent.
 */
#include "broker/life.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/spawn_log.h"
#include "common/spawn_os.h"
#include "broker/base/conf.h"
#include "broker/base/loop.h"
#include "broker/base/meters.h"
#include "broker/base/timer.h"
#include "broker/job/changes.h"
#include "broker/job/job.h"
#include "broker/job/phase.h"
#include "broker/job/share.h"
#include "broker/process/link.h"
#include "broker/process/orphan.h"
#include "broker/process/template_process.h"
#include "broker/store/in_use.h"
#include "broker/store/look.h"
#include "broker/store/place.h"
#include "broker/store/recent.h"
#include "broker/store/store.h"
#include "broker/store/unrecorded.h"
#include "broker/run/durable.h"
#include "broker/run/order.h"
#include "broker/run/end.h"
#include "broker/run/lease.h"
#include "broker/run/pool.h"
#include "broker/caller/accept.h"
#include "broker/caller/inbox.h"
#include "broker/caller/spool.h"
#include "broker/caller/submit.h"
#include "broker/give_up.h"
#include "broker/places.h"
#include "broker/recover.h"
#include "broker/recover_told.h"

#define PRUNE_EVERY 15000 /* ms */
#define PRUNE_AGAIN 20
#define ROOM_AGAIN  1000
#define STORE_AGAIN 2000
#define STORE_WAIT  300000 /* a pair without httpd, for its store */
#define STORE_LOOK  5000

static void start(spawn_broker *broker);

static bool has_history(const spawn_queue *q)
{
    return q->configured && (q->history_jobs != UINT64_MAX || q->history_ms);
}

/* True: there is more to do. */
static bool prune_queues(spawn_store *store)
{
    const spawn_queue *q;
    bool any = false, more = false;

    for (q = spawn_queue_next(NULL); q; q = spawn_queue_next(q))
        any = any || has_history(q);
    spawn_store_by_queue(store, any);
    for (q = any ? spawn_queue_next(NULL) : NULL; q; q = spawn_queue_next(q)) {
        if (has_history(q)
            && spawn_store_prune_queue(store, q->name, q->history_jobs,
                                       q->history_ms)
                   == SPAWN_PRUNE_BATCH)
            more = true;
    }
    return more;
}

static void prune(spawn_timer *t)
{
    spawn_store *store = SPAWN_OWNER(t, spawn_broker, prune_timer)->store;
    int count = spawn_store_prune(store, spawn_conf.history_jobs,
                                  spawn_conf.history_ms);
    bool more = count == SPAWN_PRUNE_BATCH;

    if (prune_queues(store))
        more = true;

    if (spawn_look_on(store))
        more = true;
    if (spawn_store_shrink(store, spawn_conf.history_size) > 0)
        more = true;
    spawn_durable_trim(store, spawn_conf.history_size);
    spawn_timer_set(t, spawn_mono_ms() + (more ? PRUNE_AGAIN : PRUNE_EVERY));
}

static void send_ready(spawn_error code, const char *text)
{
    uint8_t room[1024];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_BROKER_READY, 0);
    spawn_put_u64(&w, SPAWN_A_CODE, code);
    if (text)
        spawn_put_str(&w, SPAWN_A_TEXT, text);
    (void)spawn_link_send(&w, NULL, 0);
}

static void try_store_again(spawn_timer *t)
{
    if (!spawn_phase.recovered)
        start(SPAWN_OWNER(t, spawn_broker, store_timer));
}

static void try_again(spawn_timer *t)
{
    if (!spawn_phase.recovered)
        start(SPAWN_OWNER(t, spawn_broker, room_timer));
}

/* Half of the jobs are read, and nobody knows which: the spawner starts another
 * broker, which reads all of them. */
static void leave_it_to_another(spawn_timer *t)
{
    (void)t;
    spawn_log_counts(INT64_MAX);
    _exit(0);
}

/* Another process has it, or its file system fails: that may pass. Of what the
 * last one said nothing is told again. */
static void wait_for_store(spawn_broker *broker, const spawn_failure *why)
{
    if (strcmp(broker->store_why, why->text) != 0)
        spawn_log(SPAWN_LOG_ERR, MSNO(0515) "%s", why->text);
    (void)snprintf(broker->store_why, sizeof(broker->store_why), "%s",
                   why->text);
    if (broker->asked)
        send_ready(why->code, why->text);
    broker->asked = false;
    broker->store_timer.fire =
        spawn_job_count() > 0 ? leave_it_to_another : try_store_again;
    spawn_timer_set(&broker->store_timer, spawn_mono_ms() + STORE_AGAIN);
}

/* The disk is full: httpd starts all the same, callers are refused, and
 * messages of the spawner are kept for later. */
static void wait_for_room(spawn_broker *broker, const spawn_failure *why)
{
    if (!broker->room_timer.fire)
        spawn_log(SPAWN_LOG_ERR,
                  MSNO(0661) "%s; jobs are refused until there is room",
                  why->text);
    broker->room_timer.fire = try_again;
    spawn_timer_set(&broker->room_timer, spawn_mono_ms() + ROOM_AGAIN);
    if (broker->asked)
        send_ready(SPAWN_E_OK, NULL);
    broker->asked = false;
    spawn_callers_listen(&broker->batch);
}

static int recover(spawn_broker *broker, spawn_failure *why, bool *ret_full)
{
    spawn_in_use_begin(broker->store);
    spawn_unrecorded_open(spawn_inbox_unrecorded()); /* workers' calls come */
    return spawn_recover(&broker->batch, why, ret_full);
}

/* Open the store and find out what was going on. */
static void start(spawn_broker *broker)
{
    spawn_failure why;
    bool full = false;

    if (!spawn_durable_begin(spawn_conf.store_path))
        return;
    if (spawn_store_open(broker->store, spawn_conf.store_path, &why, &full)
        || recover(broker, &why, &full)) {
        (void)spawn_store_met_damage(broker->store); /* for the next one */
        spawn_store_close(broker->store);
        if (full && spawn_job_count() == 0) {
            wait_for_room(broker, &why);
            return;
        }
        wait_for_store(broker, &why);
        return;
    }
    if (*broker->store_why)
        spawn_log(SPAWN_LOG_NOTICE, MSNO(0867) "the store %s can be used now",
                  spawn_conf.store_path);
    spawn_timer_clear(&broker->store_timer);
    if (broker->room_timer.fire)
        spawn_log(SPAWN_LOG_NOTICE,
                  MSNO(0663) "there is room for the store again");
    spawn_meters_open(spawn_inbox_numbers(), &spawn_conf.spawner_life);
    spawn_queues_count_from_now();
    spawn_phase.recovered = true;
    if (spawn_store_controls(broker->store))
        spawn_log(SPAWN_LOG_ERR,
                  MSNO(0518) "what was changed of queues by spawnctl cannot be "
                             "read: %s; they run as httpd.conf says",
                  spawn_store_error(broker->store));
    spawn_queues_tell_changed();
    spawn_recent_begin(broker->store, spawn_store_newest(broker->store));
    broker->answer_ready = true;
    spawn_inbox_open(spawn_submit_post, &broker->batch);
    spawn_spool_open(spawn_submit_spooled, &broker->batch);
    spawn_order_settle();
    spawn_store_note_place(broker->store);
    spawn_places_open(broker->store);
    broker->prune_timer.fire = prune;
    spawn_timer_set(&broker->prune_timer, spawn_mono_ms());
    if (spawn_phase.going)
        spawn_templates_go();
}

void spawn_life_configured(spawn_broker *broker)
{
    /* Adopted: nothing starts before GO, but the end is off. */
    if (spawn_phase.lingering) {
        spawn_phase.lingering = false;
        spawn_phase.going = false;
        spawn_timer_clear(&broker->end_timer);
        broker->stuck_since = 0;
        broker->last_try = false;
        spawn_store_ends_only(broker->store, false);
    }
    broker->asked = true;
    if (spawn_phase.recovered) {
        broker->answer_ready = true;
        spawn_queues_tell_changed();
        spawn_spool_open(spawn_submit_spooled, &broker->batch);
    }
    else if (broker->table_complete && spawn_job_count() == 0)
        start(broker); /* the cause may be gone */
}

void spawn_life_table_end(spawn_broker *broker)
{
    if (!broker->table_complete && spawn_conf.store_path) {
        broker->table_complete = true;
        broker->asked = true;
        start(broker);
    }
}

void spawn_life_begun(void *of)
{
    if (!spawn_phase.recovered)
        start(of);
}

void spawn_life_go(void)
{
    spawn_phase.going = true;
    if (spawn_phase.recovered)
        spawn_templates_go();
}

static void leave(spawn_broker *broker) __attribute__((noreturn));
static void say_bye(void);

static bool anything_lives(void)
{
    const spawn_job *job;

    if (!spawn_phase.recovered)
        return spawn_recover_anything_runs();
    for (job = spawn_job_next(NULL); job; job = spawn_job_next(job)) {
        if (!spawn_job_away(job)
            && (job->state == SPAWN_STATE_STARTING
                || job->state == SPAWN_STATE_RUNNING))
            return true;
    }
    return spawn_orphan_groups() || spawn_pools_leave() > 0
           || spawn_templates_leave() > 0;
}

/* A pair that has nothing more to do has ended by now, unless its store is gone
 * or takes nothing. Then it waits, for a limited time: somebody may make room,
 * or start an httpd that adopts the pair. */
static void look_at_end(spawn_timer *t)
{
    spawn_broker *broker = SPAWN_OWNER(t, spawn_broker, end_timer);
    int64_t now = spawn_mono_ms();

    spawn_timer_set(t, now + STORE_LOOK);
    if (anything_lives()) {
        broker->stuck_since = 0;
        return;
    }
    if (!broker->stuck_since) {
        broker->stuck_since = now;
        spawn_log(SPAWN_LOG_WARN,
                  MSNO(0664) "httpd has gone, all jobs have ended, and the "
                             "store %s cannot be written or is not there: "
                             "waiting %d s for it, or for an httpd that takes "
                             "over",
                  spawn_conf.store_path, STORE_WAIT / 1000);
        return;
    }
    if (now - broker->stuck_since < STORE_WAIT)
        return;
    if (!broker->last_try) { /* the ends without output need little room */
        broker->last_try = true;
        spawn_store_ends_only(broker->store, true);
        spawn_batch_store_now(&broker->batch);
        return;
    }
    spawn_give_up(broker->store, spawn_phase.recovered, STORE_WAIT / 1000);
    say_bye();
    leave(broker);
}

void spawn_life_linger(spawn_broker *broker)
{
    spawn_job *job;

    spawn_phase.lingering = true;
    broker->end_timer.fire = look_at_end;
    spawn_timer_set(&broker->end_timer, spawn_mono_ms() + STORE_LOOK);
    spawn_templates_rest();
    spawn_pools_rest();
    for (job = spawn_job_next(NULL); job; job = spawn_job_next(job)) {
        if (!spawn_job_away(job)
            && (job->state == SPAWN_STATE_RUNNING
                || (job->state == SPAWN_STATE_STARTING && job->pid > 0)))
            spawn_end_at_stop(job);
    }
}

void spawn_life_quit(spawn_broker *broker)
{
    spawn_phase.quitting = true;
    spawn_batch_store_now(&broker->batch);
}

void spawn_life_spawner_gone(spawn_broker *broker)
{
    spawn_phase.spawner_gone = true;
    spawn_leases_look_last();
    spawn_batch_store_now(
        &broker->batch); /* the next pair has to know what runs */
}

void spawn_life_ready(spawn_broker *broker, bool committed)
{
    if (!broker->answer_ready)
        return;
    broker->answer_ready = false;
    if (!committed) {
        send_ready(SPAWN_E_STORE, "the store cannot be written");
        return;
    }
    send_ready(SPAWN_E_OK, NULL);
    spawn_callers_listen(&broker->batch);
}

static bool anything_runs(void)
{
    spawn_job *job;

    for (job = spawn_job_next(NULL); job; job = spawn_job_next(job)) {
        if (job->state != SPAWN_STATE_QUEUED
            && (!spawn_job_away(job) || job->due != SPAWN_DUE_NOT))
            return true;
    }
    return false;
}

static void end_with_store(spawn_broker *broker) __attribute__((noreturn));

static void end_with_store(spawn_broker *broker)
{
    spawn_store_close(broker->store);
    if (spawn_phase.recovered && spawn_phase.lingering)
        spawn_in_use_over(broker->store); /* else another one takes over */
    spawn_log_counts(INT64_MAX);
    _exit(0);
}

static void leave(spawn_broker *broker)
{
    spawn_orphan_groups_end(false);
    end_with_store(broker);
}

static void say_bye(void)
{
    uint8_t room[64];
    spawn_writer w;

    spawn_writer_init_fixed(&w, room, sizeof(room));
    spawn_writer_begin(&w, SPAWN_M_BYE, 0);
    (void)spawn_link_send(&w, NULL, 0);
}

/* Where httpd has gone nobody keeps the post socket for the next pair, nor the
 * inbox: they end with a spawner that systemd ends. */
static bool posts_wait(spawn_broker *broker)
{
    return spawn_phase.lingering && spawn_phase.recovered
           && (spawn_inbox_waits() || spawn_batch_waits(&broker->batch)
               || spawn_inbox_receive() > 0);
}

void spawn_life_end_of_turn(spawn_broker *broker, bool committed)
{
    if (spawn_phase.spawner_gone) {
        spawn_orphan_groups_end(true);
        /* where httpd has gone nobody waits for the store */
        if (spawn_phase.lingering && committed)
            end_with_store(broker);
        spawn_log_counts(INT64_MAX);
        _exit(0);
    }
    /* news that are not stored yet are where a killed broker has them, too */
    if (spawn_phase.recovered && spawn_store_met_damage(broker->store)) {
        spawn_log_counts(INT64_MAX);
        _exit(0);
    }
    if (spawn_phase.recovered && spawn_store_wrote_much(broker->store))
        spawn_timer_set(&broker->prune_timer, spawn_mono_ms());
    /* handles to hold and signals are nowhere else than in the link's queue */
    if (spawn_phase.quitting && committed && !spawn_link_waiting()) {
        if (posts_wait(broker)) {
            spawn_loop_again();
            return;
        }
        leave(broker);
    }
    if (!spawn_phase.lingering || !spawn_phase.recovered || !committed
        || spawn_link_waiting() || spawn_inbox_waits()
        || spawn_batch_waits(&broker->batch) || anything_runs()
        || spawn_orphan_groups() || spawn_pools_leave() > 0
        || spawn_templates_leave() > 0 || !spawn_durable_idle()
        || !spawn_store_there(broker->store))
        return;
    /* Posts that are still in the socket would be lost with the pair. */
    if (spawn_inbox_receive() > 0) {
        spawn_loop_again();
        return;
    }
    say_bye();
    leave(broker);
}
