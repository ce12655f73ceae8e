/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A caller that waits for a job, and does not read when it is to be told of the
 * end, goes on waiting when the job is revived before it reads: for the time
 * that was left to it, and until the store has the end. This program plays
 * spawner and caller.
 */
#include "t/unit/broker_caller.h"
#include "t/unit/broker_clock.h"

#include "common/spawn_rule.h"

#define MUCH 330 /* small answers: more than a socket takes */

/* All that it asked for is in the broker's hands. */
static void is_heard(void)
{
    int first = caller;

    call_in();
    has_heard();
    (void)close(caller);
    caller = first;
}

static void does_not_read(void)
{
    struct pollfd room = {caller, POLLOUT, 0};
    spawn_writer asked;
    spawn_id nobody;
    unsigned i;

    (void)spawn_id_make(&nobody);
    for (i = 0; i < MUCH; i++) {
        begin(&asked, SPAWN_M_GET, &nobody);
        assert_int_equal(poll(&room, 1, DEADLINE_MS), 1);
        ask(&asked);
    }
    is_heard();
}

/* It is dead when it fails. */
static void runs(spawn_id *ret)
{
    spawn_writer w;

    (void)spawn_id_make(ret);
    begin_submit(&w, ret, "/bin/false");
    spawn_put_i64(&w, SPAWN_A_RETRY, 1);
    spawn_put_u64v(&w, SPAWN_A_RETRY_ON,
                   (const uint64_t[]){SPAWN_RETRY_ON_LOST}, 1);
    ask(&w);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, ret);
    say_started(ret);
}

static void fails(const spawn_id *id)
{
    spawn_writer w;

    begin(&w, SPAWN_M_EXITED, id);
    spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, 0x0100);
    send_fds(&w, NULL, 0);
    expect_id(SPAWN_M_FORGET, id);
}

/* By another caller. */
static void is_revived(const spawn_id *id)
{
    int first = caller;
    spawn_writer w;

    call_in();
    begin(&w, SPAWN_M_REVIVE, id);
    ask(&w);
    expect_answer(SPAWN_M_DONE);
    (void)close(caller);
    caller = first;
    expect_id(SPAWN_M_LAUNCH, id);
    say_started(id);
}

static void waits(const spawn_id *id, uint64_t ms)
{
    spawn_writer w;

    begin(&w, SPAWN_M_WAIT, id);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    spawn_put_u64(&w, SPAWN_A_WAIT_MS, ms);
    ask(&w);
}

static void what_was_left_of_its_time_is_left(void **state)
{
    spawn_id id;
    int i;

    (void)state;
    reach_go_and_call_in();
    runs(&id);
    waits(&id, 10000);
    does_not_read();
    fails(&id);
    is_revived(&id);
    for (i = 0; i < MUCH; i++)
        expect_answer(SPAWN_M_REFUSED);
    has_heard(); /* it waits: questions are answered in their order */
    later_by(11);
    expect_refusal(SPAWN_E_TIMED_OUT);
}

/* The store has it as running, and would answer so. */
static void an_end_that_is_not_stored_is_waited_for(void **state)
{
    spawn_writer w;
    spawn_id id;

    (void)state;
    reach_go_and_call_in();
    runs(&id);
    waits(&id, 10000);
    does_not_read();
    fails(&id);
    is_revived(&id);
    time_stands();
    begin(&w, SPAWN_M_EXITED, &id);
    spawn_put_u64(&w, SPAWN_A_ATTEMPT, 2);
    spawn_put_u64(&w, SPAWN_A_WAIT_STATUS, 0x0200);
    send_fds(&w, NULL, 0);
    is_heard();
    is_heard();
    do
        assert_int_equal(receive_at(caller, SPAWN_FROM_BROKER), 1);
    while (message.header.type == SPAWN_M_REFUSED);
    assert_int_equal(message.header.type, SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_DONE);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_left_of_its_time_is_left,
                                        set_up_clock, tear_down_clock),
        cmocka_unit_test_setup_teardown(an_end_that_is_not_stored_is_waited_for,
                                        set_up_clock, tear_down_clock)};

    find_broker();
    return cmocka_run_group_tests_name("wait_left", tests, NULL, NULL);
}
