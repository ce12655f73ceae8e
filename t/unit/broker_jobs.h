/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs of a test: each is submitted, told to run, ended and killed when the
 * test wants it. The protocol of broker_calls.h, with a clock that can be
 * stepped.
 */
#ifndef BROKER_JOBS_H
#define BROKER_JOBS_H

#include "t/unit/broker_stepped.h"

#define FOREVER 100000 /* ms, of a time-out that does not come */

static spawn_id job; /* of the test */

/* By so many seconds the clocks are set: that of the day, and that which counts
 * from the boot. */
static inline void step(int day, int boot)
{
    has_heard();
    steps[0] += day;
    steps[1] += boot;
    has_heard();
}

static inline void submit_for(uint64_t timeout, uint64_t grace,
                              spawn_reply reply)
{
    spawn_writer w;
    size_t mark;

    (void)spawn_id_make(&job);
    begin(&w, SPAWN_M_SUBMIT, &job);
    mark = spawn_open_strv(&w, SPAWN_A_ARGV);
    spawn_add_text(&w, mark, "/bin/true", 9);
    spawn_close(&w, mark);
    if (timeout)
        spawn_put_u64(&w, SPAWN_A_TIMEOUT, timeout);
    if (grace)
        spawn_put_u64(&w, SPAWN_A_GRACE, grace);
    spawn_put_u64(&w, SPAWN_A_REPLY, reply);
    ask(&w);
    if (reply == SPAWN_REPLY_ACCEPTED)
        expect_answer(SPAWN_M_ACCEPTED);
}

static inline void job_runs(uint64_t timeout, uint64_t grace, spawn_reply reply)
{
    submit_for(timeout, grace, reply);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
}

static inline void say_started_so(pid_t pid, int64_t ago, bool starting)
{
    spawn_writer w;

    begin(&w, SPAWN_M_STARTED, &job);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)pid);
    spawn_put_u64(&w, SPAWN_A_MONO_STARTED, (uint64_t)(spawn_mono_ms() - ago));
    if (starting)
        spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_STARTING);
    send_fds(&w, NULL, 0);
}

/* left: SPAWN_LEFT_ALONE: nothing is said of the rest of its group. */
static inline void expect_signal(int signo, unsigned left)
{
    expect_id(SPAWN_M_SIGNAL, &job);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_SIGNO]), signo);
    assert_int_equal(spawn_has(&message, SPAWN_A_KILL_LEFT),
                     left != SPAWN_LEFT_ALONE);
    if (left != SPAWN_LEFT_ALONE)
        assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_KILL_LEFT]),
                         left);
}

static inline void ends(int status)
{
    say_exited(&job, 0, status);
    expect_id(SPAWN_M_FORGET, &job);
}

static inline void fails_to_start(int step, int error)
{
    submit_for(0, 0, SPAWN_REPLY_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_exited(&job, step, error);
    expect_id(SPAWN_M_FORGET, &job);
}

static inline void kill_it(int signo)
{
    spawn_writer w;

    begin(&w, SPAWN_M_KILL, &job);
    if (signo)
        spawn_put_u64(&w, SPAWN_A_SIGNO, (uint64_t)signo);
    ask(&w);
}

/* Of the last one. */
static inline void expect_end(const char *wanted)
{
    end_broker();
    expect_sql("SELECT outcome || ' ' || ifnull(exit_code, '-') || ' ' ||"
               " ifnull(signal, '-') FROM job ORDER BY seq DESC LIMIT 1",
               wanted);
}

#endif
