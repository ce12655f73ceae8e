/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that run before the store has them: a slot of the inbox says so
 * until they are stored, and who waits for one is told as of any other. In
 * these tests time stands still, so that nothing is stored that can wait.
 */
#include "t/unit/broker_unstored.h"

/* ---- in one life ---- */

static void it_runs_and_its_slot_says_so(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < WAYS; i++) {
        if (i)
            is_anew();
        begins();
        ways[i]();
        assert_int_equal(full_slots(), 1);
        assert_true(says_launched());
        the_store_has("0");
    }
}

/* The second write would fail. */
static void a_short_one_is_stored_once_and_then_let_go(void **state)
{
    unsigned i;

    (void)state;
    for (i = 0; i < WAYS; i++) {
        if (i)
            is_anew();
        make_store();
        run_sql("CREATE TRIGGER no " NO_UPDATE " WHEN OLD.state <> NEW.state"
                " BEGIN SELECT RAISE(ABORT, 'no'); END");
        make_inbox();
        reach_go_and_call_in();
        time_stands();
        ways[i]();
        say_started(&job);
        say_exited(&job, 0, 5 << 8);
        if (i == 0)
            expect_answer(SPAWN_M_JOB);
        quiet_for(NO_EVENT); /* no FORGET */
        assert_int_equal(full_slots(), 1);
        time_moves(20);
        expect_id(SPAWN_M_FORGET, &job);
        assert_int_equal(full_slots(), 0);
        expect_jobs("4 1 5 -");
    }
}

static void one_that_runs_is_stored_as_it_is(void **state)
{
    (void)state;
    begins();
    waits_for_its_end();
    say_started(&job);
    time_moves(20);
    is_there();
    assert_int_equal(full_slots(), 0);
    kill_broker();
    expect_sql("SELECT state || ' ' || pid || ' ' || (started_at > 0) FROM job",
               "3 4000000 1");
}

/* One that a killed broker left, one that is accepted, and a post. */
static void each_has_a_slot_of_its_own(void **state)
{
    spawn_writer w;
    spawn_id id, last;

    (void)state;
    make_inbox();
    (void)spawn_id_make(&id);
    begin_post(&w, &id, "/bin/true");
    lies_in_slot(0, &w);
    time_stands();
    reach_ready_and_call_in();
    (void)spawn_id_make(&job);
    submit_for(SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    post(&last);
    has_heard();
    assert_int_equal(full_slots(), 3);
    say(SPAWN_M_GO);
    expect_id(SPAWN_M_LAUNCH, &id); /* in this order */
    expect_id(SPAWN_M_LAUNCH, &job);
    expect_id(SPAWN_M_LAUNCH, &last);
}

/* Its slot is lent, and goes with the answer to who waits. */
static void accepted_is_answered_when_it_is_stored(void **state)
{
    (void)state;
    begins();
    waits_for_its_end();
    submit_for(SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    the_store_has("1");
}

/* It has ended, and its caller comes again. */
static void the_end_is_told_again(void **state)
{
    (void)state;
    begins();
    waits_for_its_end();
    say_started(&job);
    say_exited(&job, 0, 5 << 8);
    expect_answer(SPAWN_M_JOB);
    submit_for(SPAWN_REPLY_FINISHED);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 5);
    time_moves(20);
    expect_id(SPAWN_M_FORGET, &job);
    the_store_has("1");
}

static void so_is_that_it_runs(void **state)
{
    (void)state;
    begins();
    is_accepted();
    say_started(&job);
    is_there();
    submit_for(SPAWN_REPLY_STARTED);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                     SPAWN_STATE_RUNNING);
    the_store_has("1");
}

static void a_kill_is_answered_when_it_is_stored(void **state)
{
    spawn_writer w;

    (void)state;
    begins();
    is_accepted();
    say_started(&job);
    begin(&w, SPAWN_M_KILL, &job);
    ask(&w);
    expect_id(SPAWN_M_SIGNAL, &job);
    expect_answer(SPAWN_M_DONE);
    the_store_has("1");
}

/* Its output is told as the store would tell it. */
static void who_waits_has_what_it_wrote(void **state)
{
    const spawn_stdio capture = {SPAWN_STDIO_CAPTURE, 0, 0, ""};
    spawn_writer w;
    int i;

    (void)state;
    begins();
    (void)spawn_id_make(&job);
    begin_submit(&w, &job, "/bin/true");
    spawn_put_stdio(&w, SPAWN_A_STDOUT, &capture);
    spawn_put_u64(&w, SPAWN_A_CAPTURE_LIMIT, 3);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_id(SPAWN_M_LAUNCH, &job);
    assert_int_equal(write(packet.fds[packet.fds_count - 1], "words", 5), 5);
    spawn_packet_close(&packet);
    say_started(&job);
    say_exited(&job, 0, 0);
    for (i = 0; i < 2; i++) {
        expect_answer(SPAWN_M_JOB);
        assert_true(spawn_has(&message, SPAWN_A_OUT));
        assert_int_equal(message.attr[SPAWN_A_OUT].length, 3);
        assert_memory_equal(message.attr[SPAWN_A_OUT].data, "wor", 3);
        assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUT_LOST, 0), 2);
        assert_false(spawn_has(&message, SPAWN_A_ERR));
        begin(&w, SPAWN_M_GET, &job);
        spawn_put_u64(&w, SPAWN_A_WITH_OUTPUT, 1);
        if (i == 0)
            ask(&w);
        else
            spawn_writer_free(&w);
    }
}

/* While it waits nobody was promised anything, and its slot is empty. */
static void who_waits_for_the_end_is_promised_nothing_before(void **state)
{
    spawn_writer w;

    (void)state;
    make_store();
    make_inbox();
    reach_ready_and_call_in();
    time_stands();
    (void)spawn_id_make(&job);
    submit_for(SPAWN_REPLY_FINISHED);
    has_heard();
    assert_int_equal(full_slots(), 0);
    begin(&w, SPAWN_M_GET, &job); /* and so is who asks */
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    the_store_has("1");
}

/* ---- a store that fails ---- */

static void it_goes_on_without_the_store(void **state)
{
    (void)state;
    make_store_that_fails_a_while(NO_INSERT);
    log_is_kept = true;
    make_inbox();
    reach_go_and_call_in();
    waits_for_its_end();
    say_started(&job);
    wait_until_logged("MS0530", 1);
    say_exited(&job, 0, 3 << 8);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 3);
    (void)spawn_id_make(&job); /* no more of that */
    submit_for(SPAWN_REPLY_FINISHED);
    expect_refusal(SPAWN_E_STORE);
    assert_int_equal(full_slots(), 1);
    store_takes_again();
    expect(SPAWN_M_FORGET);
    assert_int_equal(full_slots(), 0);
    expect_jobs("4 1 3 -");
    expect_sql("SELECT dead FROM job", "0"); /* it was not to be tried again */
}

#define LATER(test)                                                            \
    cmocka_unit_test_setup_teardown(test, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LATER(it_runs_and_its_slot_says_so),
        LATER(a_short_one_is_stored_once_and_then_let_go),
        LATER(one_that_runs_is_stored_as_it_is),
        LATER(each_has_a_slot_of_its_own),
        LATER(accepted_is_answered_when_it_is_stored),
        LATER(the_end_is_told_again),
        LATER(so_is_that_it_runs),
        LATER(a_kill_is_answered_when_it_is_stored),
        LATER(who_waits_has_what_it_wrote),
        LATER(who_waits_for_the_end_is_promised_nothing_before),
        LATER(it_goes_on_without_the_store)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("broker unstored", tests, NULL, NULL);
}
