/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable jobs that are tried again. The protocol of broker_durable.h.
 */
#ifndef BROKER_DURABLE_TRIED_H
#define BROKER_DURABLE_TRIED_H

#include "t/unit/broker_durable.h"

#include "common/spawn_retry.h"

#define HOUR 3600000

#define ATTEMPT_AND_PAUSE                                                      \
    "SELECT state || ' ' || attempt || ' ' || (due_at > 0) FROM job"

static inline void begin_retried(spawn_writer *w, uint64_t pause)
{
    begin_durable(w);
    spawn_put_i64(w, SPAWN_A_RETRY, 2);
    spawn_put_u64v(w, SPAWN_A_BACKOFF,
                   (const uint64_t[]){SPAWN_BACKOFF_LIST, pause}, 2);
}

static inline void it_starts(unsigned attempt)
{
    expect_id(SPAWN_M_LAUNCH, &job);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 1), attempt);
    say_started(&job);
}

static inline void it_fails(void)
{
    say_exited(&job, 0, 0x0100);
    expect_id(SPAWN_M_FORGET, &job);
    has_heard(); /* and its next attempt waits in the ledger */
}

static inline void one_waits_for_another_attempt(uint64_t pause,
                                                 const char *key)
{
    spawn_writer w;

    begin_retried(&w, pause);
    if (key)
        spawn_put_str(&w, SPAWN_A_UNIQUE, key);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    it_starts(1);
    it_fails();
}

/* The broker's clock may be some steps ahead. */
static inline void expect_pause(void)
{
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_DELAYED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 1), 2);
    assert_in_range(spawn_u64_or(&message, SPAWN_A_DUE_AT, 0),
                    (uint64_t)spawn_wall_ms() + HOUR - 600000,
                    (uint64_t)spawn_wall_ms() + HOUR + 600000);
}

/* The ledger, late. */
static inline void it_is_read(void)
{
    wait_until_logged("MS0696", 1);
    quiet_for(50);
    the_lock_is_free();
}

#endif
