/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that are tried again while brokers, and spawners, are killed: the
 * number of attempts is right, whoever was killed when. The protocol of
 * broker_retried.h.
 */
#include "t/unit/broker_post.h"
#include "t/unit/broker_retried.h"

/* ---- brokers that are killed ---- */

/* A broker that is killed before it has stored anything leaves the slot and,
 * with the spawner, the end. */
static void killed_before_it_was_stored_the_next_one_decides(void **state)
{
    static const uint64_t second[] = {SPAWN_BACKOFF_LIST, 1000};
    spawn_writer w;

    (void)state;
    make_store();
    make_inbox();
    reach_go_and_call_in();
    time_stands();
    begin_program(&w, 1, second, 2);
    is_submitted(&w);
    comes_anew();
    attempt_runs(1);
    attempt_ends(1, EXIT(3));
    expect_ready();
    say(SPAWN_M_GO);
    expect_id(SPAWN_M_FORGET, &job);
    expect_attempt(2);
    attempt_ends(2, EXIT(3));
    expect_id(SPAWN_M_FORGET, &job);
    store_says("4 2 0 1 1:1:3");
}

/* A process that may write the inbox may have changed it. */
static void what_a_slot_was_made_to_say_is_not_believed(void **state)
{
    static const uint64_t first = 123456, huge = INT64_MAX, none = 0;
    static const uint64_t expires = 7654321;
    static const uint64_t list[] = {SPAWN_BACKOFF_EXPONENTIAL, 123456, 123456};
    spawn_writer w;
    uint8_t *map, *at;
    int i;

    (void)state;
    make_store();
    make_inbox();
    for (i = 0; i < 3; i++) {
        reach_go_and_call_in();
        time_stands();
        begin_program(&w, 1, list, 3);
        spawn_put_u64(&w, SPAWN_A_EXPIRES, expires);
        is_submitted(&w);
        comes_anew();
        map = slots();
        at = memmem(map, (size_t)SIZE, i == 1 ? &first : &expires,
                    sizeof(first));
        assert_non_null(at);
        if (i > 0)
            memcpy(at, i == 1 ? &none : &huge, sizeof(none));
        (void)munmap(map, (size_t)SIZE);
        attempt_runs(1);
        attempt_ends(1, EXIT(3));
        expect_ready();
        call_in();
        has_heard();
        expect_id(SPAWN_M_FORGET, &job); /* it is stored */
        kill_broker();
        expect_sql("SELECT state || ' ' || attempt FROM job ORDER BY seq DESC",
                   i ? "4 1" : "1 2");
        run_sql("DELETE FROM job");
        empty_inbox();
        (void)spawn_id_make(&life);
    }
}

/* It had not even heard of the end. */
static void killed_before_it_has_heard_the_next_one_decides(void **state)
{
    (void)state;
    a_program_runs();
    fails_and_is_tried_again(1);
    comes_anew();
    attempt_runs(2);
    attempt_ends(2, EXIT(3));
    goes_on();
    expect_id(SPAWN_M_FORGET, &job);
    has_heard();
    time_moves(1000);
    has_heard();
    expect_attempt(3);
    fails_for_good(3);
    store_says("4 3 0 1 1:1:3,2:1:3");
}

/* Its FORGET did not come: the end that the spawner tells of is none of the
 * attempt that the job waits for. */
static void killed_before_its_forget_the_end_counts_once(void **state)
{
    (void)state;
    a_program_runs();
    fails_and_waits(1);
    comes_anew();
    attempt_runs(1);
    attempt_ends(1, EXIT(3));
    say(SPAWN_M_TABLE_END);
    next_message();
    while (message.header.type == SPAWN_M_FORGET)
        next_message();
    assert_int_equal(message.header.type, SPAWN_M_BROKER_READY);
    say(SPAWN_M_GO);
    expect_attempt(2); /* real time has gone on */
    store_says("1 2 1 0 1:1:3");
}

static void killed_while_it_waits_it_waits_on(void **state)
{
    (void)state;
    a_program_runs();
    fails_and_waits(1);
    comes_anew();
    expect_ready();
    say(SPAWN_M_GO);
    expect_attempt(2);
    attempt_ends(2, EXIT(3));
    expect_id(SPAWN_M_FORGET, &job);
    expect_attempt(3);
    attempt_ends(3, EXIT(3));
    expect_id(SPAWN_M_FORGET, &job);
    store_says("4 3 0 1 1:1:3,2:1:3");
}

/* Each of three brokers in turn finds it running. */
static void killed_while_it_runs_the_count_goes_on(void **state)
{
    unsigned i;

    (void)state;
    a_program_runs();
    for (i = 1; i <= 3; i++) {
        comes_anew();
        attempt_runs(i);
        expect_ready();
        say(SPAWN_M_GO);
        attempt_ends(i, EXIT(3));
        expect_id(SPAWN_M_FORGET, &job);
        if (i < 3)
            expect_attempt(i + 1);
    }
    store_says("4 3 0 1 1:1:3,2:1:3");
}

/* ---- all are killed ---- */

static void all_die(void)
{
    kill_broker();
    time_goes_on();
    another_spawner();
}

static void what_is_lost_is_tried_again_once(void **state)
{
    (void)state;
    a_program_runs();
    fails_and_is_tried_again(1);
    all_die();
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    expect_attempt(3);
    all_die();
    start_broker();
    expect_ready();
    call_in();
    say(SPAWN_M_GO);
    has_heard();
    quiet_for(1);
    store_says("4 3 0 1 1:1:3,2:7:-");
}

/* The note of the first attempt is none of the second. */
static void what_waits_is_not_lost(void **state)
{
    (void)state;
    make_store();
    waits_in_the_store();
    start_broker();
    expect_ready();
    time_stands();
    say(SPAWN_M_GO);
    expect_attempt(1); /* by a note */
    call_in();
    fails_and_waits(1);
    all_die();
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    expect_attempt(2);
    store_says("1 2 1 0 1:1:3");
}

/* ---- */

#define ALONE(name)                                                            \
    cmocka_unit_test_setup_teardown(name, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALONE(killed_before_it_was_stored_the_next_one_decides),
        ALONE(what_a_slot_was_made_to_say_is_not_believed),
        ALONE(killed_before_it_has_heard_the_next_one_decides),
        ALONE(killed_before_its_forget_the_end_counts_once),
        ALONE(killed_while_it_waits_it_waits_on),
        ALONE(killed_while_it_runs_the_count_goes_on),
        ALONE(what_is_lost_is_tried_again_once),
        ALONE(what_waits_is_not_lost),
    };

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("broker retry killed", tests, NULL,
                                       NULL);
}
