/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unique keys. Runs in the broker. Ends no job: run/order.c does. Must never
 * have two jobs of one key start.
 */
#include "broker/job/unique.h"

#include <stdlib.h>
#include <string.h>

#include "common/spawn_hash.h"
#include "common/spawn_rule.h"
#include "broker/base/alloc.h"
#include "broker/job/queue.h"
#include "broker/job/rules.h"

struct spawn_key {
    spawn_key *next; /* in its place of the table */
    uint64_t hash;
    spawn_claim *holder;       /* NULL: nobody, or one that has ended */
    spawn_claim *first, *last; /* those that wait */
    bool held;                 /* by this job, which has ended: */
    spawn_id ended;
    spawn_moment until;
    size_t queue_length; /* of the name of the queue, NUL included */
    char text[];         /* the queue, NUL, the key, NUL */
};

static spawn_key **table;
static size_t table_size; /* a power of two */
static unsigned count;
static unsigned held_count; /* by jobs that have ended */
static bool settled = true;

/* ---- the table ---- */

/* Callers choose their names. */
static uint64_t hash_of(const char *queue, const char *name)
{
    return spawn_hash(spawn_hash(0, queue, strlen(queue)), name, strlen(name));
}

static void grow(void)
{
    spawn_key **old = table;
    size_t old_size = table_size, i;

    table_size = old_size ? old_size * 2 : 64;
    table = spawn_alloc(table_size * sizeof(spawn_key *));
    for (i = 0; i < old_size; i++) {
        while (old[i]) {
            spawn_key *key = old[i];
            spawn_key **at = &table[key->hash & (table_size - 1)];

            old[i] = key->next;
            key->next = *at;
            *at = key;
        }
    }
    free(old);
}

const char *spawn_key_name(const spawn_key *key)
{
    return key->text + key->queue_length;
}

spawn_key *spawn_key_find(const char *queue, const char *name)
{
    uint64_t hash = table ? hash_of(queue, name) : 0;
    spawn_key *key = table ? table[hash & (table_size - 1)] : NULL;

    while (key
           && (key->hash != hash || strcmp(key->text, queue) != 0
               || strcmp(spawn_key_name(key), name) != 0))
        key = key->next;
    return key;
}

static spawn_key *get(const char *queue, const char *name)
{
    spawn_key *key = spawn_key_find(queue, name), **at;
    size_t queue_length = strlen(queue) + 1, length = strlen(name) + 1;

    if (key)
        return key;
    if (count >= table_size)
        grow();
    key = spawn_alloc(sizeof(*key) + queue_length + length);
    key->hash = hash_of(queue, name);
    key->queue_length = queue_length;
    memcpy(key->text, queue, queue_length);
    memcpy(key->text + queue_length, name, length);
    at = &table[key->hash & (table_size - 1)];
    key->next = *at;
    *at = key;
    count++;
    return key;
}

static void free_key(spawn_key *key)
{
    spawn_key **at = &table[key->hash & (table_size - 1)];

    while (*at != key)
        at = &(*at)->next;
    *at = key->next;
    spawn_moment_forget(&key->until);
    free(key);
    count--;
}

unsigned spawn_key_count(void)
{
    return count;
}

unsigned spawn_keys_held(void)
{
    return held_count;
}

static void hold(spawn_key *key, const spawn_id *ended)
{
    held_count += !key->held;
    key->held = true;
    key->ended = *ended;
    key->until.what = SPAWN_RULE_KEY;
    spawn_moment_wait(&key->until);
}

static void let_go(spawn_key *key)
{
    held_count -= key->held;
    key->held = false;
}

/* ---- the owner of a key ---- */

/* Does nothing else keep it from starting? */
static bool is_free(const spawn_job *job)
{
    return job->blocked == SPAWN_BLOCKED_BY_KEY && !spawn_job_delayed(job);
}

static void unlink_waiting(spawn_claim *c)
{
    spawn_key *key = c->key;

    if (c->prev)
        c->prev->next = c->next;
    else
        key->first = c->next;
    if (c->next)
        c->next->prev = c->prev;
    else
        key->last = c->prev;
    c->prev = c->next = NULL;
}

static void wait_for_key(spawn_claim *c)
{
    spawn_key *key = c->key;

    c->prev = key->last;
    if (key->last)
        key->last->next = c;
    else
        key->first = c;
    key->last = c;
    spawn_queue_block(c->job, SPAWN_BLOCKED_BY_KEY);
}

static void give(spawn_claim *c)
{
    unlink_waiting(c);
    c->key->holder = c;
    spawn_queue_unblock(c->job, SPAWN_BLOCKED_BY_KEY);
}

/* The first that waits for nothing else; if there is none, the first: what it
 * waits for came before it, so no two wait for each other. A key that nobody
 * wants is there for nobody, also while a broker begins: what is in the inbox
 * would be refused because of it. */
static void give_to_next(spawn_key *key)
{
    spawn_claim *c = key->first;

    if (key->holder || key->held || (!settled && key->first))
        return;
    while (c && !is_free(c->job))
        c = c->next;
    if (c || key->first)
        give(c ? c : key->first);
    else
        free_key(key);
}

static void claim(spawn_job *job, const char *name, const spawn_moment *until,
                  bool until_start, bool begun)
{
    static uint64_t claims;
    spawn_claim *c = spawn_alloc(sizeof(*c));
    spawn_key *key = get(job->queue->name, name);

    c->number = ++claims;
    if (key->held
        && spawn_id_equal(&key->ended, &job->id)) { /* it is revived */
        let_go(key);
        c->held = true;
        spawn_moment_forget(&key->until);
    }
    c->job = job;
    c->key = key;
    c->until_start = until_start;
    c->begun = begun;
    c->until = *until;
    job->claim = c;
    wait_for_key(c);
    if (c->held)
        give(c); /* before all that wait for it */
    else if (key->first == c)
        give_to_next(key);
}

void spawn_claim_make(spawn_job *job, const char *name, uint64_t unique_for)
{
    spawn_moment until = {0};

    if (unique_for > SPAWN_UNIQUE_ENDED)
        spawn_moment_in(&until, (int64_t)unique_for);
    claim(job, name, &until, unique_for == SPAWN_UNIQUE_WAITING, false);
}

void spawn_claim_found(spawn_job *job, const char *name,
                       const spawn_moment *stored, bool begun)
{
    spawn_moment until = {0};

    if (stored->wall > SPAWN_UNIQUE_ENDED) {
        until.wall = stored->wall;
        until.boot = stored->boot;
    }
    claim(job, name, &until, stored->wall == SPAWN_UNIQUE_WAITING, begun);
}

void spawn_claim_until(const spawn_claim *c, spawn_moment *ret)
{
    *ret = c->until;
    if (!spawn_moment_is_set(ret))
        ret->wall = c->until_start ? SPAWN_UNIQUE_WAITING : SPAWN_UNIQUE_ENDED;
}

spawn_job *spawn_key_job(const spawn_key *key, spawn_id *ret_id)
{
    const spawn_claim *c = key->holder;

    if (!c || c->replaced) {
        const spawn_claim *last = key->last;

        while (last && last->replaced)
            last = last->prev;
        if (last && !key->held)
            c = last;
    }
    *ret_id = c ? c->job->id : key->ended;
    return c ? c->job : NULL;
}

/* ---- replacing ---- */

/* Another broker took it, and the clock says when: jobs that only the ledger
 * has are found after all others. */
static bool came_before(const spawn_claim *c, const spawn_claim *by)
{
    if (by->replaces_late && c->job->submitted_at != by->job->submitted_at)
        return c->job->submitted_at < by->job->submitted_at;
    return c->number < by->number;
}

/* A durable job replaces others when it is on the disk. A job that was
 * submitted meanwhile comes after it. */
static void mark(spawn_claim *c, const spawn_claim *by)
{
    if (!came_before(c, by) || c->replaced
        || c->job->state != SPAWN_STATE_QUEUED)
        return;
    c->replaced = true;
    c->by = by->job->id;
    spawn_queue_block(c->job, SPAWN_BLOCKED_FOR_GOOD);
}

void spawn_claim_replaces(spawn_job *job)
{
    spawn_key *key = job->claim->key;
    spawn_claim *c;

    if (key->holder)
        mark(key->holder, job->claim);
    for (c = key->first; c; c = c->next)
        mark(c, job->claim);
}

void spawn_claim_replaces_late(spawn_job *job)
{
    job->claim->replaces_late = true;
    if (settled)
        spawn_claim_replaces(job);
}

spawn_claim *spawn_claim_replaced(const spawn_job *by, const spawn_claim *after)
{
    const spawn_key *key = by->claim->key;
    spawn_claim *c = !after ? key->holder : after->next;

    if ((!after && !c) || (after && after == key->holder))
        c = key->first;
    while (c && !(c->replaced && spawn_id_equal(&c->by, &by->id)))
        c = c == key->holder ? key->first : c->next;
    return c;
}

/* ---- letting it go ---- */

static void drop(spawn_job *job, bool held)
{
    spawn_claim *c = job->claim;
    spawn_key *key = c->key;

    if (key->holder == c)
        key->holder = NULL;
    else
        unlink_waiting(c);
    spawn_queue_unblock(job, SPAWN_BLOCKED_BY_KEY); /* it may come back */
    if (held) {
        key->until = c->until;
        hold(key, &job->id);
    }
    job->claim = NULL;
    free(c);
    give_to_next(key);
}

void spawn_claim_began(spawn_job *job)
{
    if (job->claim && job->claim->until_start)
        drop(job, false);
}

bool spawn_claim_stays(const spawn_job *job)
{
    const spawn_claim *c = job->claim;

    return c && c->key->holder == c && job->started_at
           && job->state == SPAWN_STATE_DONE && spawn_moment_is_set(&c->until)
           && spawn_moment_left(&c->until) > 0;
}

/* It never was, so it replaces nobody. */
static void spare(const spawn_job *by)
{
    spawn_claim *c = spawn_claim_replaced(by, NULL), *next;

    for (; c; c = next) {
        next = spawn_claim_replaced(by, c);
        c->replaced = false;
        spawn_queue_unblock(c->job, SPAWN_BLOCKED_FOR_GOOD);
    }
}

/* It was to be revived, and is not. */
static bool stays_dead(const spawn_job *job)
{
    const spawn_claim *c = job->claim;

    return job->state == SPAWN_STATE_NONE && c->held && c->key->holder == c
           && spawn_moment_left(&c->until) > 0;
}

void spawn_claim_drop(spawn_job *job)
{
    if (!job->claim)
        return;
    if (job->state == SPAWN_STATE_NONE)
        spare(job);
    drop(job, stays_dead(job) || spawn_claim_stays(job));
}

void spawn_key_hold(const char *queue, const char *name, const spawn_id *id,
                    const spawn_moment *until)
{
    spawn_key *key;

    if (spawn_moment_left(until) <= 0)
        return;
    key = get(queue, name);
    key->until.wall = until->wall;
    key->until.boot = until->boot;
    hold(key, id);
}

void spawn_key_over(spawn_moment *until)
{
    spawn_key *key = SPAWN_OWNER(until, spawn_key, until);

    let_go(key);
    give_to_next(key);
}

/* ---- a broker begins ---- */

void spawn_keys_begin(void)
{
    settled = false;
}

/* It ran, so it has given its key up, and only its end is not stored yet. */
static bool gave_it_up(const spawn_claim *c)
{
    return c->until_start && c->job->started_at
           && c->job->state == SPAWN_STATE_DONE;
}

static void drop_given_up(spawn_key *key)
{
    spawn_claim *c = key->first, *next;

    for (; c; c = next) {
        next = c->next;
        if (!gave_it_up(c))
            continue;
        unlink_waiting(c);
        spawn_queue_unblock(c->job, SPAWN_BLOCKED_BY_KEY);
        c->job->claim = NULL;
        free(c);
    }
}

/* Which job of several had the key, when the broker begins: the one of the
 * highest rank. A job that has begun has it (no other could begin then), also
 * between two attempts; a job that has ended had it until now, the last one
 * before the others. 0: the job waited. */
static int rank(const spawn_claim *c)
{
    switch (c->job->state) {
    case SPAWN_STATE_STARTING:
    case SPAWN_STATE_RUNNING:
        return 3;
    case SPAWN_STATE_DONE:
        return 1;
    default:
        return c->begun ? 2 : 0;
    }
}

static void give_to_who_had_it(spawn_key *key)
{
    spawn_claim *c, *best = NULL;

    for (c = key->first; c; c = c->next) {
        /* NOLINTNEXTLINE: what was freed is in no list */
        int more = rank(c) - (best ? rank(best) : 0);

        if (more > 0 || (best && more == 0 && rank(c) == 1))
            best = c;
    }
    if (best)
        give(best);
}

static void replace_late(spawn_key *key)
{
    spawn_claim *c;

    if (key->holder && key->holder->replaces_late)
        spawn_claim_replaces(key->holder->job);
    for (c = key->first; c; c = c->next) {
        if (c->replaces_late)
            spawn_claim_replaces(c->job);
    }
}

static void settle(spawn_key *key)
{
    drop_given_up(key);
    if (!key->holder)
        give_to_who_had_it(key);
    replace_late(key);
    give_to_next(key);
}

void spawn_keys_settle(void)
{
    size_t i;

    settled = true;
    for (i = 0; i < table_size; i++) {
        spawn_key *key, *next;

        for (key = table[i]; key; key = next) {
            next = key->next;
            settle(key);
        }
    }
}
