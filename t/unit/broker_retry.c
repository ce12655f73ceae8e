/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that are tried again when they ended badly: as often as their order
 * says, after their back-off; what callers are told, and what happens while the
 * store takes nothing. Time stands still but where a test moves it. The
 * protocol of broker_retried.h.
 */
#include "t/unit/broker_post.h"
#include "t/unit/broker_retried.h"

#include "common/spawn_log.h"

/* ---- what is promised ---- */

static void it_is_tried_again_as_often_as_it_may(void **state)
{
    (void)state;
    a_program_runs();
    fails_and_is_tried_again(1);
    fails_and_is_tried_again(2);
    fails_for_good(3);
    store_says("4 3 0 1 1:1:3,2:1:3");
}

static void not_after_a_good_end(void **state)
{
    (void)state;
    a_program_runs();
    fails_and_is_tried_again(1);
    attempt_ends(2, 0);
    is_forgotten();
    has_heard();
    time_moves(100000);
    has_heard();
    quiet_for(1);
    store_says("4 2 1 0 1:1:3");
}

static void not_before_its_time(void **state)
{
    (void)state;
    a_program_runs();
    fails_and_waits(1);
    has_heard();
    time_moves(990);
    has_heard();
    quiet_for(1);
    time_moves(10);
    has_heard();
    expect_attempt(2);
}

/* It is submitted again in the turn in which the attempt ends. */
static void who_submits_it_again_is_told_that_it_waits(void **state)
{
    static const uint64_t second[] = {SPAWN_BACKOFF_LIST, 1000};
    spawn_writer w;

    (void)state;
    a_program_runs();
    has_heard();
    time_moves(20);
    has_heard();
    broker_sleeps();
    begin_submit(&w, &job, "/bin/true");
    spawn_put_i64(&w, SPAWN_A_RETRY, 2);
    spawn_put_u64v(&w, SPAWN_A_BACKOFF, second, 2);
    ask(&w);
    attempt_ends(1, EXIT(3));
    broker_goes_on();
    expect_answer(SPAWN_M_ACCEPTED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_QUEUED);
    expect_id(SPAWN_M_FORGET, &job);
}

static void tell_all(spawn_writer *w)
{
    spawn_put_u64(w, SPAWN_A_LOG_LEVEL, SPAWN_LOG_INFO);
}

static void the_log_says_that_another_one_follows(void **state)
{
    (void)state;
    log_is_kept = true;
    more_rules = tell_all;
    a_program_runs();
    fails_and_is_tried_again(1);
    wait_until_logged("another one follows in 1 s, and 1 after it", 1);
    wait_until_logged("MS0688: attempt 1 of job", 1);
    kill_broker();
}

/* A list's last number stays. */
static void its_list_says_when(void **state)
{
    static const uint64_t list[] = {SPAWN_BACKOFF_LIST, 0, 5000};
    spawn_writer w;

    (void)state;
    begins();
    begin_program(&w, 3, list, 3);
    is_submitted(&w);
    fails_and_waits(1);
    expect_attempt(2);
    fails_and_waits(2);
    has_heard();
    time_moves(4990);
    has_heard();
    quiet_for(1);
    time_moves(10);
    has_heard();
    expect_attempt(3);
    fails_and_waits(3);
    has_heard();
    time_moves(4990);
    has_heard();
    quiet_for(1);
}

static void without_one_it_doubles(void **state)
{
    spawn_writer w;
    unsigned i;

    (void)state;
    begins();
    begin_program(&w, 12, NULL, 0);
    is_submitted(&w);
    for (i = 1; i <= 12; i++) {
        int most = i < 10 ? 1000 << (i - 1) : 300000;

        fails_and_waits(i);
        has_heard();
        time_moves(most / 2 - 10);
        has_heard();
        quiet_for(1);
        time_moves(most / 2 + 10);
        has_heard();
        expect_attempt(i + 1);
    }
}

/* At other times than all that failed with them. */
static void those_that_fail_together_come_apart(void **state)
{
    static const uint64_t long_one[] = {SPAWN_BACKOFF_EXPONENTIAL, 1000000,
                                        1000000};
    uint64_t due[8];
    spawn_writer w;
    unsigned i, k, same = 0;

    (void)state;
    begins();
    for (i = 0; i < 8; i++) {
        begin_program(&w, 1, long_one, 3);
        is_submitted(&w);
        fails_and_waits(1);
        begin(&w, SPAWN_M_GET, &job);
        ask(&w);
        expect_answer(SPAWN_M_JOB);
        due[i] = spawn_u64_or(&message, SPAWN_A_DUE_AT, 0);
        assert_true(due[i] > 0);
        for (k = 0; k < i; k++)
            same += due[i] < due[k] + 100 && due[k] < due[i] + 100;
    }
    assert_true(same < 3);
}

/* A moment that is over says nothing of the next attempt; nor is it dead. */
static void one_that_need_not_wait_has_no_time(void **state)
{
    static const uint64_t list[] = {SPAWN_BACKOFF_LIST, 1000, 0};
    static const uint64_t none[] = {SPAWN_BACKOFF_FIXED, 0};
    spawn_id first, other;
    spawn_writer w;
    int i;

    (void)state;
    queue_jobs = 1;
    begins();
    for (i = 0; i < 2; i++) {
        begin_program(&w, 3, i ? none : list, i ? 2 : 3);
        is_submitted(&w);
        if (i == 0)
            fails_and_is_tried_again(1);
        first = job;
        (void)spawn_id_make(&other);
        submit_as(&other, "/bin/true"); /* gets its place */
        expect_answer(SPAWN_M_ACCEPTED);
        attempt_ends(i ? 1 : 2, EXIT(3));
        expect_id(SPAWN_M_LAUNCH, &other);
        is_forgotten();
        begin(&w, SPAWN_M_GET, &first);
        ask(&w);
        expect_answer(SPAWN_M_JOB);
        assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                         SPAWN_STATE_QUEUED);
        assert_false(spawn_has(&message, SPAWN_A_DUE_AT));
        assert_false(spawn_has(&message, SPAWN_A_DEAD));
        job = other;
        attempt_ends(1, 0);
        expect_id(SPAWN_M_LAUNCH, &first);
        is_forgotten();
        job = first;
        attempt_ends(i ? 2 : 3, 0);
        is_forgotten();
    }
}

/* In each of the ways in which one can come that is not stored before it runs.
 */
static void an_unstored_one_is_tried_again(void **state)
{
    static const uint64_t second[] = {SPAWN_BACKOFF_LIST, 1000};
    static const uint16_t types[] = {SPAWN_M_SUBMIT, SPAWN_M_POST};
    spawn_writer w;
    int i;

    (void)state;
    make_store();
    make_inbox();
    reach_go_and_call_in();
    time_stands();
    for (i = 0; i < 2; i++) {
        begin_program(&w, 1, second, 2);
        spawn_writer_set_type(&w, types[i]);
        if (types[i] == SPAWN_M_POST)
            send_post(&w);
        else
            ask(&w);
        if (types[i] == SPAWN_M_SUBMIT)
            expect_answer(SPAWN_M_ACCEPTED);
        expect_attempt(1);
        attempt_ends(1, EXIT(3));
        expect_id(SPAWN_M_FORGET, &job);
        has_heard();
        time_moves(1000);
        has_heard();
        expect_attempt(2);
        fails_for_good(2);
    }
    assert_int_equal(full_slots(), 0);
    kill_broker();
    expect_sql(
        "SELECT group_concat(state || ' ' || attempt || ' ' || dead) FROM"
        " job",
        "4 2 1,4 2 1");
}

/* Nor would it be taken the next time. */
static void a_post_that_is_refused_is_not_tried_again(void **state)
{
    static const uint64_t none[] = {SPAWN_BACKOFF_FIXED, 0};
    static const uint64_t on[] = {SPAWN_RETRY_ON_START_FAILED};
    spawn_writer w;

    (void)state;
    log_is_kept = true;
    make_store();
    make_inbox();
    reach_go_and_call_in();
    begin_program(&w, 1, none, 2);
    spawn_put_u64v(&w, SPAWN_A_RETRY_ON, on, 1);
    spawn_put_str(&w, SPAWN_A_QUEUE, "nowhere");
    spawn_writer_set_type(&w, SPAWN_M_POST);
    send_post(&w);
    wait_until_logged("MS0560", 1);
    has_heard();
    has_heard();
    kill_broker();
    expect_sql("SELECT state || ' ' || attempt || ' ' || dead FROM job",
               "4 1 0");
    log_is_kept = false;
}

/* ---- who waits for it ---- */

static void its_caller_waits_for_the_last_attempt(void **state)
{
    static const uint64_t second[] = {SPAWN_BACKOFF_LIST, 1000};
    spawn_writer w;

    (void)state;
    begins();
    begin_program(&w, 1, second, 2);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_attempt(1);
    attempt_ends(1, EXIT(3));
    expect_id(SPAWN_M_FORGET, &job);
    comes_to_rest();
    quiet_at(caller, 1);
    time_moves(1000);
    broker_sleeps();
    broker_goes_on();
    expect_attempt(2);
    attempt_ends(2, EXIT(4));
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 4);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 0), 2);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_DEAD, 0), 1);
}

static void answers_tell_of_all_attempts(void **state)
{
    spawn_message record;
    spawn_reader reader;
    spawn_attr one;
    spawn_writer w;

    (void)state;
    a_program_runs();
    fails_and_is_tried_again(1);
    begin(&w, SPAWN_M_GET, &job);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ATTEMPT, 0), 2);
    spawn_reader_init(&reader, message.attr[SPAWN_A_ATTEMPTS].data,
                      message.attr[SPAWN_A_ATTEMPTS].length);
    assert_int_equal(spawn_reader_next(&reader, &one), 1);
    assert_int_equal(spawn_body_parse(one.data, one.length, SPAWN_BODY_ATTEMPT,
                                      0, &record, &why),
                     0);
    assert_int_equal(spawn_u64_or(&record, SPAWN_A_ATTEMPT, 0), 1);
    assert_int_equal(spawn_u64_or(&record, SPAWN_A_EXIT_CODE, 0), 3);
    assert_int_equal(spawn_u64_or(&record, SPAWN_A_ENDED_AT, 0), 1000);
    assert_int_equal(spawn_reader_next(&reader, &one), 0);
}

/* ---- a store that takes nothing ---- */

static void a_record_that_is_not_stored_is_tried_again(void **state)
{
    (void)state;
    log_is_kept = true;
    make_store();
    waits_in_the_store();
    store_fails_a_while(NO_UPDATE);
    reach_go_and_call_in();
    expect_attempt(1); /* by a note */
    attempt_ends(1, EXIT(3));
    wait_until_logged("MS0530", 1);
    has_heard();
    quiet_for(1); /* no FORGET */
    store_takes_again();
    expect_id(SPAWN_M_FORGET, &job);
    later_by(2);
    has_heard();
    expect_attempt(2);
    log_is_kept = false;
}

/* Nobody was promised anything: the caller has the end of the one attempt. */
static void without_a_store_it_is_not_tried_again(void **state)
{
    spawn_writer w;

    (void)state;
    log_is_kept = true;
    make_store_that_fails(NO_INSERT);
    make_inbox();
    reach_go_and_call_in();
    begin_program(&w, 2, NULL, 0);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_attempt(1);
    attempt_ends(1, EXIT(3));
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 3);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_DEAD, 0), 1);
    log_is_kept = false;
}

static void one_is_accepted_that_cannot_be_stored(void)
{
    static const uint64_t second[] = {SPAWN_BACKOFF_LIST, 1000};
    spawn_writer w;

    log_is_kept = true;
    make_store_that_fails_a_while(NO_INSERT);
    make_inbox();
    reach_go_and_call_in();
    begin_program(&w, 1, second, 2);
    is_submitted(&w);
}

/* So has who asks for one that was accepted before. */
static void who_waits_then_has_the_end_of_the_one_attempt(void **state)
{
    spawn_writer w;

    (void)state;
    one_is_accepted_that_cannot_be_stored();
    begin(&w, SPAWN_M_WAIT, &job);
    spawn_put_u64(&w, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    ask(&w);
    comes_to_rest();
    attempt_ends(1, EXIT(3));
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 0),
                     SPAWN_STATE_DONE);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 0), 3);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_DEAD, 0), 1);
    log_is_kept = false;
}

/* It waits in its slot, and nothing of the kill is left. */
static void one_whose_kill_was_not_stored_is_tried_again(void **state)
{
    static const uint64_t second[] = {SPAWN_BACKOFF_LIST, 1000};
    spawn_writer w;

    (void)state;
    log_is_kept = true;
    make_store_that_fails_a_while(NO_INSERT);
    make_inbox();
    reach_ready_and_call_in();
    (void)spawn_id_make(&job);
    begin_post(&w, &job, "/bin/true");
    spawn_put_i64(&w, SPAWN_A_RETRY, 1);
    spawn_put_u64v(&w, SPAWN_A_BACKOFF, second, 2);
    send_post(&w);
    wait_until_logged("MS0860", 1);
    kill_it(SIGTERM);
    expect_refusal(SPAWN_E_STORE);
    store_takes_again();
    has_heard();
    say(SPAWN_M_GO);
    expect_attempt(1);
    attempt_ends(1, EXIT(3));
    expect_id(SPAWN_M_FORGET, &job);
    later_by(2);
    has_heard();
    expect_attempt(2);
    log_is_kept = false;
}

static void one_that_nobody_waits_for_is_tried_again(void **state)
{
    (void)state;
    one_is_accepted_that_cannot_be_stored();
    attempt_ends(1, EXIT(3));
    wait_until_logged("MS0530", 1);
    has_heard();
    quiet_for(1); /* no FORGET */
    store_takes_again();
    expect_id(SPAWN_M_FORGET, &job);
    later_by(2);
    has_heard();
    expect_attempt(2);
    log_is_kept = false;
}

/* Also for the next broker, whose store works, and which hears of the end. */
static void what_a_caller_was_told_is_the_end(void **state)
{
    spawn_writer w;

    (void)state;
    log_is_kept = true;
    make_store_that_fails(NO_INSERT);
    make_inbox();
    reach_go_and_call_in();
    begin_program(&w, 2, NULL, 0);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_attempt(1);
    attempt_ends(1, EXIT(3));
    expect_answer(SPAWN_M_JOB);
    kill_broker();
    run_sql("DROP TRIGGER no");
    start_broker();
    attempt_runs(1);
    attempt_ends(1, EXIT(3));
    expect_ready();
    say(SPAWN_M_GO);
    expect_id(SPAWN_M_FORGET, &job);
    expect_jobs("4 1 3 -");
    log_is_kept = false;
}

/* ---- */

#define ALONE(name)                                                            \
    cmocka_unit_test_setup_teardown(name, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALONE(it_is_tried_again_as_often_as_it_may),
        ALONE(not_after_a_good_end),
        ALONE(not_before_its_time),
        ALONE(who_submits_it_again_is_told_that_it_waits),
        ALONE(the_log_says_that_another_one_follows),
        ALONE(its_list_says_when),
        ALONE(without_one_it_doubles),
        ALONE(those_that_fail_together_come_apart),
        ALONE(one_that_need_not_wait_has_no_time),
        ALONE(an_unstored_one_is_tried_again),
        ALONE(a_post_that_is_refused_is_not_tried_again),
        ALONE(its_caller_waits_for_the_last_attempt),
        ALONE(answers_tell_of_all_attempts),
        ALONE(a_record_that_is_not_stored_is_tried_again),
        ALONE(without_a_store_it_is_not_tried_again),
        ALONE(who_waits_then_has_the_end_of_the_one_attempt),
        ALONE(one_whose_kill_was_not_stored_is_tried_again),
        ALONE(one_that_nobody_waits_for_is_tried_again),
        ALONE(what_a_caller_was_told_is_the_end),
    };

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("broker retry", tests, NULL, NULL);
}
