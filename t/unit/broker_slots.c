/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose a slot of the inbox is at any time, and when it is free again: each of
 * these is something that only a later job or a second sender would notice.
 */
#include "t/unit/broker_slotted.h"

/* ---- a job that comes back ---- */

/* The order of a function whose template has gone. */
static void order_comes_back(bool is_stored)
{
    rules = "A";
    make_inbox();
    reach_go_and_call_in();
    template_starts(&template, true);
    time_stands();
    (void)spawn_id_make(&job);
    submit_call(NULL);
    expect_order(&job, &template);
    is_there();
    assert_true(is_marked(0));
    if (is_stored) {
        time_moves(20);
        is_there();
        assert_false(is_full(0));
    }
    say_exited(&job, SPAWN_STEP_TEMPLATE, ESRCH);
    expect_id(SPAWN_M_DISMISS, &template);
    expect_id(SPAWN_M_FORGET, &job);
    is_there();
    assert_false(is_full(0));
}

static void one_that_was_stored_waits_without_a_slot(void **state)
{
    (void)state;
    order_comes_back(true);
    post(&job);
    is_there();
    assert_true(is_full(0));
}

/* Its caller was promised nothing, and who posts the same is: the job has the
 * post's slot until it is stored. */
static void a_post_of_one_that_waits_again_lends_its_slot(void **state)
{
    (void)state;
    order_comes_back(false);
    post_call();
    is_there();
    assert_true(is_full(0));
    assert_false(is_marked(0));
    time_moves(20);
    is_there();
    assert_false(is_full(0));
    the_store_has("1");
}

/* The promise is that of the post. */
static void nor_is_it_refused_when_the_store_fails(void **state)
{
    (void)state;
    make_store_that_fails(NO_INSERT);
    order_comes_back(false);
    post_call();
    is_there();
    time_moves(20);
    is_there();
    assert_true(is_full(0));
}

/* Another job has it now. */
static void a_slot_that_it_had_is_not_freed_by_it(void **state)
{
    static const char *const more[] = {"bad", NULL};

    (void)state;
    more_queues = more;
    make_store_that_fails(NO_INSERT " WHEN NEW.queue = 'bad'");
    order_comes_back(false);
    post_to("bad");
    expect(SPAWN_M_LAUNCH);
    is_there();
    assert_true(is_marked(0));
    time_moves(20);
    is_there();
    assert_true(is_marked(0));
    the_store_has("1");
}

/* ---- a job that did not start ---- */

/* Nobody else knows it: it is stored, and then told. */
static void its_end_is_told_when_it_is_stored(void **state)
{
    spawn_writer w;

    (void)state;
    rules = "A";
    make_inbox();
    reach_go_and_call_in();
    time_stands();
    (void)spawn_id_make(&job);
    post_call();
    is_there();
    begin(&w, SPAWN_M_WAIT, &job);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    ask(&w);
    is_there();
    assert_true(is_full(0));
    template_starts(&template, false);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_OUTCOME]),
                     SPAWN_OUTCOME_START_FAILED);
    the_store_has("1");
}

/* ---- a job that is refused ---- */

/* Nothing is launched before GO: so it is not stored, and never was. */
static void its_slot_is_free_again(void **state)
{
    (void)state;
    make_store_that_fails(NO_INSERT);
    make_inbox();
    reach_ready_and_call_in();
    time_stands();
    (void)spawn_id_make(&job);
    submit_program(SPAWN_REPLY_FINISHED);
    has_heard();
    time_moves(20);
    expect_refusal(SPAWN_E_STORE);
    post(&job);
    has_heard();
    assert_true(is_full(0)); /* the first that is free */
}

/* It is to be stored, to start, and to be told of, all in one turn: what waits
 * for the store is not launched without it. */
static void one_that_waits_for_the_store_is_not_launched(void **state)
{
    (void)state;
    make_store_that_fails(NO_INSERT);
    make_inbox();
    reach_ready_and_call_in();
    time_stands();
    (void)spawn_id_make(&job);
    submit_program(SPAWN_REPLY_FINISHED);
    has_heard();
    broker_sleeps();
    get();
    say(SPAWN_M_GO);
    broker_goes_on();
    expect_refusal(SPAWN_E_STORE);
    expect_refusal(SPAWN_E_NO_SUCH_JOB);
    quiet_for(NO_EVENT);
    assert_false(is_full(0));
}

/* ---- a job that goes on without the store ---- */

/* No event comes but those of the turn in which it is not stored. */
static void its_end_is_told_at_once(void **state)
{
    (void)state;
    make_store_that_fails(NO_INSERT);
    begins();
    (void)spawn_id_make(&job);
    submit_program(SPAWN_REPLY_FINISHED);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    is_there();
    broker_sleeps();
    submit_program(SPAWN_REPLY_ACCEPTED); /* so it is to be stored now */
    say_exited(&job, 0, 3 << 8);
    broker_goes_on();
    expect_refusal(SPAWN_E_STORE);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 3);
}

/* It never was in a slot, nor does anything else keep it: but it waits for a
 * worker, and its caller for both. */
static void a_call_that_waits_is_not_refused(void **state)
{
    spawn_id first;

    (void)state;
    make_store_that_fails(NO_INSERT);
    reach_a_worker(&the_worker, &template);
    time_stands();
    a_call_runs(NULL);
    first = job;
    (void)spawn_id_make(&job);
    submit_call(NULL);
    is_there();
    time_moves(20);
    is_there();
    worker_returns(&the_worker, &first);
    expect_answer(SPAWN_M_JOB);
    expect_call(&the_worker, &job);
    returns_and_is_told();
}

/* Its caller has it: the broker does not keep it for a store that may stay as
 * it is. */
static void the_end_of_a_call_that_was_told_is_let_go(void **state)
{
    (void)state;
    make_store_that_fails_a_while(NO_INSERT);
    reach_a_worker(&the_worker, &template);
    time_stands();
    a_call_runs(NULL);
    returns_and_is_told();
    time_moves(20);
    is_there();
    steps[0] += 60; /* the store takes it: the clocks from the boot stand */
    time_moves(2000);
    is_there();
    the_store_has("0");
}

static void what_a_function_returned_is_told_with_its_end(void **state)
{
    spawn_board *board = NULL;
    uint32_t i;

    (void)state;
    rules = "A";
    make_inbox();
    reach_go_and_call_in();
    template_starts(&template, true);
    time_stands();
    (void)spawn_id_make(&job);
    submit_call(NULL);
    expect_order(&job, &template);
    for (i = 0; i < spawn_u64v_count(&message.attr[SPAWN_A_KEEP]); i += 2) {
        const spawn_attr *keep = &message.attr[SPAWN_A_KEEP];

        if (spawn_u64v_at(keep, i + 1) == SPAWN_KEEP_BOARD)
            board = spawn_board_map(packet.fds[spawn_u64v_at(keep, i)]);
    }
    assert_non_null(board);
    assert_int_equal(
        spawn_board_put_result(board, SPAWN_RESULT_RETURNED, "value", 5), 0);
    say_started(&job);
    say_exited(&job, 0, 0);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_RESULT_KIND, 0),
                     SPAWN_RESULT_RETURNED);
}

/* ---- the same job by another way ---- */

/* A slot keeps the promise: the store need not. */
static void one_that_was_posted_can_be_submitted_too(void **state)
{
    (void)state;
    begins();
    post(&job);
    expect_id(SPAWN_M_LAUNCH, &job);
    submit_program(SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    is_there();
    assert_true(is_marked(0));
    the_store_has("0");
}

/* As for any other, it is the store that tells. */
static void who_asks_for_the_start_is_told_what_is_stored(void **state)
{
    (void)state;
    begins();
    post(&job);
    expect_id(SPAWN_M_LAUNCH, &job);
    say_started(&job);
    is_there();
    submit_program(SPAWN_REPLY_STARTED);
    expect_answer(SPAWN_M_JOB);
    is_there();
    assert_false(is_full(0));
    the_store_has("1");
}

/* The caller that waits for the end may be refused, and the post is no less a
 * promise. */
static void a_post_of_one_that_is_refused_stays(void **state)
{
    spawn_writer w;

    (void)state;
    make_store_that_fails(NO_INSERT);
    make_inbox();
    reach_ready_and_call_in();
    time_stands();
    (void)spawn_id_make(&job);
    submit_program(SPAWN_REPLY_FINISHED);
    has_heard();
    begin_post(&w, &job, "/bin/true");
    send_post(&w);
    has_heard();
    time_moves(20);
    expect_refusal(SPAWN_E_STORE);
    time_moves(1000);
    has_heard();
    get();
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                     SPAWN_STATE_QUEUED);
}

/* It runs by the call, and is not kept for a second time. */
static void a_post_of_a_call_that_was_sent_is_dropped(void **state)
{
    (void)state;
    reach_a_worker(&the_worker, &template);
    time_stands();
    a_call_runs(NULL);
    post_call();
    is_there();
    assert_int_equal(full_slots(), 1);
    assert_true(is_marked(0));
}

/* ---- all slots ---- */

/* Also when a broker before this one had fewer. */
static void when_they_are_free_again_more_is_taken(void **state)
{
    int64_t until = spawn_mono_ms() + DEADLINE_MS;
    spawn_id id;
    int i;

    (void)state;
    make_store_that_fails_a_while(NO_INSERT);
    make_inbox();
    assert_int_equal(ftruncate(inbox_fd, SIZE / 2), 0);
    queue_waits = 2 * SLOTS;
    reach_ready_and_call_in();
    for (i = 0; i < SLOTS + 12; i++)
        post(&id);
    has_heard();
    assert_int_equal(full_slots(), SLOTS);
    store_takes_again();
    while (full_slots() > 0) {
        assert_true(spawn_mono_ms() < until);
        has_heard();
    }
    has_heard(); /* jobs that came meanwhile are stored, too */
    while (full_slots() > 0)
        assert_true(spawn_mono_ms() < until);
    the_store_has("140");
}

/* Nothing is received there, nor complained of, when the pair ends. */
static void without_senders_none_are_received(void **state)
{
    (void)state;
    log_is_kept = true;
    make_inbox();
    reach_ready_and_call_in();
    assert_int_equal(shutdown(post_fds[0], SHUT_RDWR), 0);
    has_heard();
    say(SPAWN_M_LINGER);
    expect(SPAWN_M_BYE);
    assert_int_equal(logged("MS0570"), 0);
}

#define STANDS(test)                                                           \
    cmocka_unit_test_setup_teardown(test, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STANDS(one_that_was_stored_waits_without_a_slot),
        STANDS(a_post_of_one_that_waits_again_lends_its_slot),
        STANDS(nor_is_it_refused_when_the_store_fails),
        STANDS(a_slot_that_it_had_is_not_freed_by_it),
        STANDS(its_end_is_told_when_it_is_stored),
        STANDS(its_slot_is_free_again),
        STANDS(one_that_waits_for_the_store_is_not_launched),
        STANDS(its_end_is_told_at_once),
        STANDS(a_call_that_waits_is_not_refused),
        STANDS(the_end_of_a_call_that_was_told_is_let_go),
        STANDS(what_a_function_returned_is_told_with_its_end),
        STANDS(one_that_was_posted_can_be_submitted_too),
        STANDS(who_asks_for_the_start_is_told_what_is_stored),
        STANDS(a_post_of_one_that_is_refused_stays),
        STANDS(a_post_of_a_call_that_was_sent_is_dropped),
        STANDS(when_they_are_free_again_more_is_taken),
        STANDS(without_senders_none_are_received)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("slots", tests, NULL, NULL);
}
