/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that have to do with others: with a unique key, or after others. The
 * protocol of broker_caller.h, with a clock that can be stepped.
 */
#ifndef BROKER_ORDERED_H
#define BROKER_ORDERED_H

#include "common/spawn_rule.h"
#include "t/unit/broker_post.h"
#include "t/unit/broker_stepped.h"

/* Attributes of the next submit. */
static struct {
    const char *key;
    uint64_t conflict, unique_for; /* UINT64_MAX: not said */
    const spawn_id *after;
    unsigned after_count;
    uint64_t after_failed; /* the same */
    spawn_reply reply;
    uint64_t delay;
    int priority;
    int64_t retry;  /* also when it could not be started; 0: none */
    uint64_t pause; /* before each of them, ms */
    const char *queue;
} next;

static inline void plain_job(void)
{
    memset(&next, 0, sizeof(next));
    next.conflict = next.unique_for = next.after_failed = UINT64_MAX;
    next.reply = SPAWN_REPLY_ACCEPTED;
}

static inline void begin_ordered(spawn_writer *w, uint16_t type,
                                 const spawn_id *id)
{
    size_t mark;

    begin(w, type, id);
    mark = spawn_open_strv(w, SPAWN_A_ARGV);
    spawn_add_text(w, mark, "/bin/true", 9);
    spawn_close(w, mark);
    if (next.key)
        spawn_put_str(w, SPAWN_A_UNIQUE, next.key);
    if (next.conflict != UINT64_MAX)
        spawn_put_u64(w, SPAWN_A_ON_CONFLICT, next.conflict);
    if (next.unique_for != UINT64_MAX)
        spawn_put_u64(w, SPAWN_A_UNIQUE_FOR, next.unique_for);
    if (next.after_count)
        spawn_put_bytes(w, SPAWN_A_AFTER, next.after,
                        next.after_count * sizeof(spawn_id));
    if (next.after_failed != UINT64_MAX)
        spawn_put_u64(w, SPAWN_A_AFTER_FAILED, next.after_failed);
    if (next.delay)
        spawn_put_u64(w, SPAWN_A_DELAY, next.delay);
    if (next.priority)
        spawn_put_i64(w, SPAWN_A_PRIORITY, next.priority);
    if (next.retry) {
        const uint64_t pause[] = {SPAWN_BACKOFF_LIST, next.pause};
        static const uint64_t on[] = {SPAWN_RETRY_ON_FAILED,
                                      SPAWN_RETRY_ON_START_FAILED};

        spawn_put_i64(w, SPAWN_A_RETRY, next.retry);
        spawn_put_u64v(w, SPAWN_A_BACKOFF, pause, 2);
        spawn_put_u64v(w, SPAWN_A_RETRY_ON, on, 2);
    }
    if (next.queue)
        spawn_put_str(w, SPAWN_A_QUEUE, next.queue);
    if (type == SPAWN_M_SUBMIT && next.reply != SPAWN_REPLY_ACCEPTED)
        spawn_put_u64(w, SPAWN_A_REPLY, next.reply);
}

static inline void submit_again(const spawn_id *id)
{
    spawn_writer w;

    begin_ordered(&w, SPAWN_M_SUBMIT, id);
    ask(&w);
}

static inline void send_it(spawn_id *ret)
{
    (void)spawn_id_make(ret);
    submit_again(ret);
}

static inline void is_accepted(spawn_id *ret)
{
    send_it(ret);
    expect_answer(SPAWN_M_ACCEPTED);
    assert_false(spawn_has(&message, SPAWN_A_OTHER));
}

static inline void is_launched(const spawn_id *id)
{
    expect_id(SPAWN_M_LAUNCH, id);
    say_started(id);
}

static inline void exits(const spawn_id *id, int code)
{
    say_exited(id, 0, code << 8);
    expect_id(SPAWN_M_FORGET, id);
}

/* The same of an attempt. step: of its start, which failed; 0: none did. */
static inline void attempt_exits(const spawn_id *id, unsigned attempt, int step,
                                 int code)
{
    spawn_writer w;

    begin(&w, SPAWN_M_EXITED, id);
    if (attempt > 1)
        spawn_put_u64(&w, SPAWN_A_ATTEMPT, attempt);
    if (step) {
        spawn_put_u64(&w, SPAWN_A_STEP, (uint64_t)step);
        spawn_put_u64(&w, SPAWN_A_ERRNO, (uint64_t)code);
    }
    else {
        spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, (uint64_t)code << 8);
    }
    send_fds(&w, NULL, 0);
    expect_id(SPAWN_M_FORGET, id);
}

static inline void attempt_is_launched(const spawn_id *id, unsigned attempt)
{
    expect_id(SPAWN_M_LAUNCH, id);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 1), attempt);
    say_started(id);
}

static inline void revive(const spawn_id *id)
{
    spawn_writer w;

    begin(&w, SPAWN_M_REVIVE, id);
    ask(&w);
}

/* It may be tried twice, and fails. */
static inline void it_dies(spawn_id *ret)
{
    next.retry = 1;
    is_accepted(ret);
    attempt_is_launched(ret, 1);
    attempt_exits(ret, 1, 0, 3);
    attempt_is_launched(ret, 2);
    attempt_exits(ret, 2, 0, 3);
    next.retry = 0;
    is_there();
}

/* One ends, and another one has its place in the queue: in the same turn. */
static inline void makes_room_for(const spawn_id *id, const spawn_id *other)
{
    unsigned launched = 0, i;

    say_exited(id, 0, 0);
    for (i = 0; i < 2; i++) {
        next_message();
        launched += message.header.type == SPAWN_M_LAUNCH;
    }
    assert_int_equal(launched, 1);
    say_started(other);
}

static inline void runs_and_ends(const spawn_id *id, int code)
{
    is_launched(id);
    exits(id, code);
}

/* Also of what comes a turn later. */
static inline void nothing_is_launched(void)
{
    is_there();
    is_there();
    quiet_for(30);
}

static inline void ask_for(const spawn_id *id)
{
    spawn_writer w;

    begin(&w, SPAWN_M_GET, id);
    ask(&w);
}

static inline void expect_state(const spawn_id *id, spawn_state state)
{
    ask_for(id);
    expect_answer(SPAWN_M_JOB);
    assert_string_equal(
        spawn_state_name((unsigned)spawn_u64_or(&message, SPAWN_A_STATE, 0)),
        spawn_state_name(state));
}

static inline void expect_cancelled(const spawn_id *id, const char *text)
{
    int64_t until = spawn_mono_ms() + DEADLINE_MS;

    do { /* it may end a turn later */
        ask_for(id);
        expect_answer(SPAWN_M_JOB);
    } while (spawn_u64_or(&message, SPAWN_A_STATE, 0) != SPAWN_STATE_DONE
             && spawn_mono_ms() < until);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_CANCELLED);
    if (!strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""), text))
        fail_msg("'%s' has no '%s'", spawn_str_or(&message, SPAWN_A_TEXT, ""),
                 text);
}

static inline void other_is(const spawn_id *wanted)
{
    spawn_id other;

    assert_true(spawn_has(&message, SPAWN_A_OTHER));
    spawn_attr_id(&message.attr[SPAWN_A_OTHER], &other);
    assert_true(spawn_id_equal(&other, wanted));
}

static inline void text_has_id(const spawn_id *id)
{
    char text[SPAWN_ID_TEXT];

    assert_non_null(strstr(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                           spawn_id_format(id, text)));
}

static inline void say_running(const spawn_id *id)
{
    spawn_writer w;

    begin(&w, SPAWN_M_RUNNING, id);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    send_fds(&w, NULL, 0);
}

/* Another broker, which is told of one job that runs. */
static inline void another_broker(const spawn_id *running)
{
    start_broker();
    if (running)
        say_running(running);
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
}

static inline int set_up_ordered(void **state)
{
    plain_job();
    return set_up_clock(state);
}

static inline int tear_down_ordered(void **state)
{
    if (caller >= 0)
        (void)close(caller);
    caller = -1;
    return tear_down_clock(state);
}

#endif
