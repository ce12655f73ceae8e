/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker whose broker cannot open its store: it may run a call, which that
 * broker knows only when it has read the store. So it is not told to leave
 * because it has nothing to do. The protocol of broker_called.h.
 */
#include "t/unit/broker_called.h"
#include "t/unit/broker_stepped.h"

#define IDLE 2 /* s */

static char store[128], aside[128];

/* In its place is the database of another program. */
static void no_store_can_be_opened(void)
{
    sqlite3 *other;

    (void)snprintf(store, sizeof(store), "%s/jobs.db", dir);
    (void)snprintf(aside, sizeof(aside), "%s/aside", dir);
    assert_int_equal(rename(store, aside), 0);
    assert_int_equal(sqlite3_open(store, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other,
                                  "PRAGMA application_id=1;"
                                  "CREATE TABLE of_others(one)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
}

/* A broker that has said so. */
static void a_blind_one_comes(void)
{
    kill_broker();
    no_store_can_be_opened();
    start_broker();
    say_running_app(&template);
    say_running_worker(&the_worker);
    say(SPAWN_M_TABLE_END);
    expect(SPAWN_M_BROKER_READY);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_CODE]),
                     SPAWN_E_STORE);
}

/* Which it sees when its wait is interrupted. */
static void seconds_pass(int seconds)
{
    broker_sleeps();
    steps[0] += seconds;
    steps[1] += seconds;
    broker_goes_on();
}

static void a_worker_is_there(void)
{
    make_store();
    worker_idle = IDLE * 1000;
    reach_workers(0, 1, &template);
    time_stands();
    (void)spawn_id_make(&job);
    call_for(SPAWN_REPLY_FINISHED);
    worker_starts(&the_worker);
    worker_says(&the_worker, NULL);
    expect_call(&the_worker, &job);
    comes_to_rest();
    time_goes_on();
}

static void one_that_runs_a_call_stays(void **state)
{
    (void)state;
    a_worker_is_there();
    a_blind_one_comes();
    seconds_pass(IDLE + 1);
    quiet_at(the_worker.link, 300);
    /* until the store is there again, where its call goes on */
    assert_int_equal(rename(aside, store), 0);
    say_configure();
    expect(SPAWN_M_BROKER_READY);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_CODE]), SPAWN_E_OK);
    expect_call(&the_worker, &job); /* again: it may not have come */
}

static void one_that_has_none_leaves(void **state)
{
    (void)state;
    a_worker_is_there();
    worker_returns(&the_worker, &job);
    expect_answer(SPAWN_M_JOB);
    is_there();
    kill_broker();
    start_another(&the_worker, &template);
    time_passes(IDLE + 1);
    expect_no_more(&the_worker);
}

/* The call that it was started for was cancelled. Its ticket says that it has
 * none, and no store is needed for that. */
static void one_that_was_never_called_leaves(void **state)
{
    spawn_writer w;

    (void)state;
    make_store();
    worker_idle = IDLE * 1000;
    reach_workers(0, 1, &template);
    (void)spawn_id_make(&job);
    call_for(SPAWN_REPLY_ACCEPTED);
    expect_answer(SPAWN_M_ACCEPTED);
    worker_starts(&the_worker);
    begin(&w, SPAWN_M_KILL, &job);
    ask(&w);
    expect_answer(SPAWN_M_DONE);
    worker_says(&the_worker, NULL);
    is_there();
    a_blind_one_comes();
    seconds_pass(IDLE + 1);
    expect_no_more(&the_worker);
}

#define CASE(f)                                                                \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(one_that_runs_a_call_stays),
        CASE(one_that_has_none_leaves),
        CASE(one_that_was_never_called_leaves),
    };

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
