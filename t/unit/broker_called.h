/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of workers that the store has not yet: this program plays spawner,
 * template, worker and caller. Time stands still, so that nothing is stored
 * that can wait. The protocol of broker_found.h.
 */
#ifndef BROKER_CALLED_H
#define BROKER_CALLED_H

#include "t/unit/broker_calls.h"
#include "t/unit/broker_clock.h"
#include "t/unit/broker_found.h"
#include "t/unit/broker_post.h"

#define MARK_AT  5 /* of a message in a slot: it is launched */
#define NO_EVENT 200

static spawn_id template;
static worker the_worker;
static int retry; /* of calls that are submitted; 0: none */

static inline void worker_is_ready(void)
{
    make_store();
    reach_a_worker(&the_worker, &template);
    time_stands();
}

/* Arguments come before other attributes, as they do from Perl. */
static inline void begin_call(spawn_writer *w, uint16_t type)
{
    begin(w, type, &job);
    spawn_put_str(w, SPAWN_A_FUNCTION, "My::f");
    spawn_put_bytes(w, SPAWN_A_ARGS, "arguments", 9);
    spawn_put_str(w, SPAWN_A_LABEL, "a call");
    if (retry)
        spawn_put_i64(w, SPAWN_A_RETRY, retry);
}

static inline void call_for(spawn_reply reply)
{
    spawn_writer w;

    begin_call(&w, SPAWN_M_SUBMIT);
    spawn_put_u64(&w, SPAWN_A_REPLY, reply);
    ask(&w);
}

static inline void a_call_runs(void)
{
    (void)spawn_id_make(&job);
    call_for(SPAWN_REPLY_FINISHED);
    expect_call(&the_worker, &job);
    comes_to_rest();
}

static inline void returns_and_is_told(void)
{
    worker_returns(&the_worker, &job);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_OUTCOME]),
                     SPAWN_OUTCOME_EXITED);
}

/* Both are killed, and the worker goes with its link. */
static inline void another_pair(void)
{
    kill_broker();
    another_spawner();
    workers_min = 0;
    start_broker();
    go();
    call_in();
}

/* Its caller comes again, and is told how it ended. */
static inline void expect_told(spawn_outcome outcome)
{
    call_for(SPAWN_REPLY_FINISHED);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_OUTCOME]), outcome);
}

static inline void expect_no_call(const worker *w)
{
    quiet_at(w->link, NO_EVENT);
}

static inline unsigned mark(void)
{
    uint8_t *map = slots();
    unsigned is = map[MARK_AT];

    (void)munmap(map, (size_t)SIZE);
    return is;
}

#endif
