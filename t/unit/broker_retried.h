/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that are tried again. Time stands still but where a test moves it.
 * The protocol of broker_found.h.
 */
#ifndef BROKER_RETRIED_H
#define BROKER_RETRIED_H

#include "t/unit/broker_clock.h"
#include "t/unit/broker_found.h"

#include "common/spawn_retry.h"

static inline void begin_program(spawn_writer *w, int64_t retry,
                                 const uint64_t *backoff, uint32_t count)
{
    (void)spawn_id_make(&job);
    begin_submit(w, &job, "/bin/true");
    spawn_put_i64(w, SPAWN_A_RETRY, retry);
    if (count)
        spawn_put_u64v(w, SPAWN_A_BACKOFF, backoff, count);
}

static inline void expect_attempt(unsigned attempt)
{
    expect_id(SPAWN_M_LAUNCH, &job);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 1), attempt);
}

/* As a spawner tells it of this attempt. */
static inline void attempt_ends(unsigned attempt, int status)
{
    spawn_writer w;

    begin(&w, SPAWN_M_EXITED, &job);
    if (attempt > 1)
        spawn_put_u64(&w, SPAWN_A_ATTEMPT, attempt);
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, (uint64_t)status);
    spawn_put_u64(&w, SPAWN_A_ENDED_AT, 1000 * attempt);
    send_fds(&w, NULL, 0);
}

static inline void attempt_runs(unsigned attempt)
{
    spawn_writer w;

    begin(&w, SPAWN_M_RUNNING, &job);
    if (attempt > 1)
        spawn_put_u64(&w, SPAWN_A_ATTEMPT, attempt);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    spawn_put_u64(&w, SPAWN_A_MONO_STARTED, (uint64_t)spawn_mono_ms());
    send_fds(&w, NULL, 0);
}

#define EXIT(code) ((code) << 8)

static inline void begins(void)
{
    make_store();
    reach_go_and_call_in();
    time_stands();
}

static inline void is_submitted(spawn_writer *w)
{
    ask(w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_attempt(1);
}

/* With two retries, each after a second. */
static inline void a_program_runs(void)
{
    static const uint64_t second[] = {SPAWN_BACKOFF_LIST, 1000};
    spawn_writer w;

    begins();
    begin_program(&w, 2, second, 2);
    is_submitted(&w);
}

/* An end is stored, and judged, a moment after it came. */
static inline void is_forgotten(void)
{
    if (caller >= 0) {
        has_heard();
        time_moves(20);
        has_heard();
    }
    expect_id(SPAWN_M_FORGET, &job);
}

static inline void fails_and_waits(unsigned attempt)
{
    attempt_ends(attempt, EXIT(3));
    is_forgotten();
}

static inline void fails_and_is_tried_again(unsigned attempt)
{
    fails_and_waits(attempt);
    has_heard();
    time_moves(1000);
    has_heard();
    expect_attempt(attempt + 1);
}

static inline void fails_for_good(unsigned attempt)
{
    attempt_ends(attempt, EXIT(3));
    is_forgotten();
    has_heard();
    time_moves(1000000);
    has_heard();
    quiet_for(1);
}

/* State, attempt, retries, dead and records of the job. One that was launched
 * waits in the store, and is stored as starting a moment later. */
static inline void store_says(const char *wanted)
{
    kill_broker();
    expect_sql(
        "SELECT iif(state = 2, 1, state) || ' ' || attempt || ' ' || retries "
        "|| ' ' ||"
        " dead || ' ' || (SELECT ifnull(group_concat("
        "number || ':' || outcome || ':' || ifnull(exit_code, '-')), '-')"
        " FROM attempt) FROM job",
        wanted);
}

static inline void comes_anew(void)
{
    kill_broker();
    time_goes_on();
    start_broker();
}

static inline void goes_on(void)
{
    expect_ready();
    call_in();
    time_stands();
    say(SPAWN_M_GO);
}

static inline void kill_it(int signo)
{
    spawn_writer w;

    begin(&w, SPAWN_M_KILL, &job);
    spawn_put_u64(&w, SPAWN_A_SIGNO, (uint64_t)signo);
    ask(&w);
}

static inline void waits_in_the_store(void)
{
    static const uint64_t second[] = {SPAWN_BACKOFF_LIST, 1000};
    spawn_writer w;
    size_t mark;

    (void)spawn_id_make(&job);
    begin_order(&w, &job);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/true", 9);
    spawn_close(&w, mark);
    spawn_put_i64(&w, SPAWN_A_RETRY, 2);
    spawn_put_u64v(&w, SPAWN_A_BACKOFF, second, 2);
    put_order(&job, SPAWN_STATE_QUEUED, &w);
}

#endif
