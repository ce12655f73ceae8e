/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often a job is stored: a short one once, when it has ended, and what had
 * to be stored before its start once more. In these tests time stands still
 * until it goes on. The protocol of broker_caller.h.
 */
#include "t/unit/broker_caller.h"
#include "t/unit/broker_clock.h"
#include "t/unit/broker_post.h"

#define CROWDED  48  /* of the slots: jobs are stored that need not be soon */
#define FULL     96  /* all are */
#define NO_EVENT 200 /* ms */

static void begins(void)
{
    make_store();
    make_inbox();
    reach_go_and_call_in();
    time_stands();
}

/* How many jobs the store has, and how many of them have ended. */
static void expect_stored(int jobs, int ended)
{
    char wanted[32];

    has_heard();
    kill_broker();
    (void)snprintf(wanted, sizeof(wanted), "%d %d", jobs, ended);
    expect_sql("SELECT count(*) || ' ' || ifnull(sum(state = 4), 0) FROM job",
               wanted);
}

/* And there is room for the next one, as often as it comes to that. */
static void a_crowd_that_waits_is_stored_at_once(void **state)
{
    spawn_id id;
    int i, crowds;

    (void)state;
    queue_jobs = 1;
    queue_waits = 4 * CROWDED;
    begins();
    post(&id);
    expect_id(SPAWN_M_LAUNCH, &id);
    for (crowds = 0; crowds < 3; crowds++) {
        for (i = 1; i < CROWDED - 1; i++)
            post(&id);
        has_heard();
        assert_int_equal(full_slots(), CROWDED - 1);
        post(&id);
        has_heard();
        assert_int_equal(full_slots(), 1); /* it may end soon */
    }
}

static void post_and_start(spawn_id *ret)
{
    post(ret);
    expect_id(SPAWN_M_LAUNCH, ret);
}

/* A job that has just started may end soon, and is stored then, while there is
 * room for others; one that has ended, or has had the time, is stored. */
static void
a_crowd_that_has_started_is_stored_when_there_is_no_room(void **state)
{
    spawn_id ids[FULL];
    int i, crowds;

    (void)state;
    queue_jobs = 4 * FULL;
    begins();
    for (crowds = 0; crowds < 2; crowds++) {
        for (i = 0; i < FULL - 1; i++)
            post_and_start(&ids[i]);
        say_exited(&ids[1], 0, 0);
        expect_id(SPAWN_M_FORGET, &ids[1]);
        has_heard();
        assert_int_equal(full_slots(), FULL - 2);
        time_moves(9);
        post_and_start(&ids[1]);
        has_heard();
        assert_int_equal(full_slots(), FULL - 1);
        post_and_start(&ids[i]);
        has_heard();
        assert_int_equal(full_slots(), 0);
    }
    for (i = 0; i < CROWDED - 1; i++)
        post_and_start(&ids[i]);
    time_moves(10);
    has_heard();
    assert_int_equal(full_slots(), CROWDED - 1);
    post_and_start(&ids[i]);
    has_heard();
    assert_int_equal(full_slots(), 1);
}

/* When the moment of the first one is over. */
static void what_has_just_come_waits_for_the_next_moment(void **state)
{
    static const struct {
        int later; /* ms; then the other comes */
        bool ends;
        int jobs, ended; /* rows in the store */
    } cases[] = {{10, false, 2, 0},
                 {11, false, 1, 0},
                 {19, false, 1, 0},
                 {11, true, 2, 1},
                 {19, true, 2, 1}};
    spawn_id first, second;
    size_t i;

    (void)state;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (i)
            assert_int_equal(tear_down_clock(NULL) || set_up_clock(NULL), 0);
        begins();
        post_and_start(&first);
        time_moves(cases[i].later);
        post_and_start(&second);
        if (cases[i].ends)
            say_exited(&second, 0, 0);
        has_heard();
        time_moves(20 - cases[i].later);
        expect_stored(cases[i].jobs, cases[i].ended);
    }
}

/* Ended or not, it is stored when its own time is over. */
static void the_next_moment_is_that_of_the_first_that_stays(void **state)
{
    spawn_id ids[3];

    (void)state;
    begins();
    post_and_start(&ids[0]);
    time_moves(12);
    post_and_start(&ids[1]);
    time_moves(3);
    post_and_start(&ids[2]);
    time_moves(5);
    has_heard();
    assert_int_equal(full_slots(), 2);
    time_moves(11);
    has_heard();
    assert_int_equal(full_slots(), 2);
    time_moves(1); /* the last one has had the time, too */
    has_heard();
    assert_int_equal(full_slots(), 0);
    expect_stored(3, 0);
}

#define ONCE(test)                                                             \
    cmocka_unit_test_setup_teardown(test, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONCE(a_crowd_that_waits_is_stored_at_once),
        ONCE(a_crowd_that_has_started_is_stored_when_there_is_no_room),
        ONCE(what_has_just_come_waits_for_the_next_moment),
        ONCE(the_next_moment_is_that_of_the_first_that_stays)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("broker stored once", tests, NULL, NULL);
}
