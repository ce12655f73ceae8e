/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A caller that does not read for a while: it has all answers that it waits
 * for, however many come at once, and however big they are; what it is to be
 * told lies where it is found when the broker is killed before it has left.
 * This program plays spawner, template, worker and caller.
 */
#include "t/unit/broker_calls.h"
#include "t/unit/broker_clock.h"
#include "t/unit/corner.h"

#define WAITS 200
#define MANY  400    /* small answers: more than a socket takes */
#define MUCH  330    /* the same, and room for the rest of the questions */
#define BIG   8000   /* bytes of a result: some 30 of them fill a socket */
#define BIGS  200    /* questions that lie in a socket while it is not read */
#define HUGE  200000 /* it travels in a file */

static spawn_id template;
static worker w;

static void returns_much(const spawn_id *id, size_t length)
{
    static char value[HUGE];
    spawn_board *board = spawn_board_map(w.kept[0]);

    assert_non_null(board);
    memset(value, 'v', sizeof(value));
    assert_int_equal(
        spawn_board_put_result(board, SPAWN_RESULT_RETURNED, value, length), 0);
    worker_says(&w, id);
}

/* As ask; the broker may take only some at a time. */
static void ask_in_time(spawn_writer *asked)
{
    struct pollfd room = {caller, POLLOUT, 0};
    int rv;

    assert_int_equal(spawn_writer_finish(asked, 0), 0);
    while ((rv = spawn_packet_send(caller, asked->data, asked->length, NULL, 0))
           == -EAGAIN)
        assert_int_equal(poll(&room, 1, DEADLINE_MS), 1);
    assert_int_equal(rv, 0);
    spawn_writer_free(asked);
}

static void waits(const spawn_id *id, uint64_t ms)
{
    spawn_writer asked;

    begin(&asked, SPAWN_M_WAIT, id);
    spawn_put_u64(&asked, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    spawn_put_u64(&asked, SPAWN_A_WITH_OUTPUT, 1);
    if (ms)
        spawn_put_u64(&asked, SPAWN_A_WAIT_MS, ms);
    ask_in_time(&asked);
}

/* All that it asked for is in the broker's hands. */
static void is_heard(void)
{
    int first = caller;

    call_in();
    is_there();
    (void)close(caller);
    caller = first;
}

static void expect_ends(unsigned count, size_t length)
{
    unsigned i;

    for (i = 0; i < count; i++) {
        expect_answer(SPAWN_M_JOB);
        assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                         SPAWN_STATE_DONE);
        assert_int_equal(message.attr[SPAWN_A_RESULT].length, length);
    }
}

static void who_waits_for_many_has_all_answers(void **state)
{
    spawn_id id;
    int i;

    (void)state;
    log_is_kept = true;
    reach_a_worker(&w, &template);
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&w, &id);
    for (i = 1; i < WAITS; i++)
        waits(&id, 0);
    is_heard();
    returns_much(&id, BIG);
    is_heard();
    expect_ends(WAITS, BIG);
    assert_int_equal(logged("MS0550"), 0);
    is_there();
}

/* In the same moment. */
static void who_waits_in_vain_for_many_is_told_of_each(void **state)
{
    spawn_id id;
    unsigned i;

    (void)state;
    log_is_kept = true;
    reach_a_worker(&w, &template);
    submit(&id, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(&w, &id);
    for (i = 0; i < MANY; i++)
        waits(&id, 3000);
    is_heard();
    later_by(4);
    is_heard();
    for (i = 0; i < MANY; i++) {
        expect_answer(SPAWN_M_REFUSED);
        assert_int_equal(spawn_u64_or(&message, SPAWN_A_CODE, 0),
                         SPAWN_E_TIMED_OUT);
    }
    assert_int_equal(logged("MS0550"), 0);
}

/* In the place of waits: of what has ended. */
static void who_asks_for_much_has_all_answers(void **state)
{
    spawn_id id;
    unsigned i;

    (void)state;
    log_is_kept = true;
    reach_a_worker(&w, &template);
    submit(&id, SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_call(&w, &id);
    returns_much(&id, HUGE);
    later_by(1);
    for (i = 0; i < BIGS; i++)
        waits(&id, 0);
    is_heard();
    expect_ends(BIGS, HUGE);
    assert_int_equal(logged("MS0550"), 0);
}

/* ---- and the broker is killed ---- */

static void does_not_read(void)
{
    spawn_writer asked;
    spawn_id nobody;
    unsigned i;

    (void)spawn_id_make(&nobody);
    for (i = 0; i < MUCH; i++) {
        begin(&asked, SPAWN_M_GET, &nobody);
        ask_in_time(&asked);
    }
    is_heard();
}

/* Its worker gets another call, which overwrites what it has of this one. */
static void is_kept(bool ran_unstored)
{
    spawn_id id, next;

    reach_a_worker(&w, &template);
    if (ran_unstored)
        time_stands();
    submit(&id, SPAWN_REPLY_FINISHED);
    expect_call(&w, &id);
    does_not_read();
    call_in();
    submit(&next, SPAWN_REPLY_FINISHED);
    is_there();
    if (!ran_unstored)
        time_stands();
    worker_returns(&w, &id);
    expect_call(&w, &next);
    kill_broker();
    time_goes_on();
    start_another(&w, &template);
    call_again(&id);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_DONE);
    assert_int_equal(message.attr[SPAWN_A_RESULT].length, 5);
}

static void an_answer_that_has_not_left_is_kept(void **state)
{
    (void)state;
    is_kept(false);
}

static void so_is_that_of_a_call_that_ran_unstored(void **state)
{
    (void)state;
    LEAVE_OUT_IF(clocks_are_real(), "time cannot stand");
    is_kept(true);
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(who_waits_for_many_has_all_answers),
        ALONE(who_waits_in_vain_for_many_is_told_of_each),
        ALONE(who_asks_for_much_has_all_answers),
        ALONE(an_answer_that_has_not_left_is_kept),
        ALONE(so_is_that_of_a_call_that_ran_unstored)};

    find_broker();
    return cmocka_run_group_tests_name("slow_callers", tests, NULL, NULL);
}
