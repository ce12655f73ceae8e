/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call of a lent worker that its slate has as ended is told as ended from
 * then on, also when it has become a job and the worker has not given itself
 * back yet; and it is stored when the spawner is killed. This program plays
 * spawner, template, worker and caller.
 */
#include "t/unit/broker_leased.h"

static void expect_state(const spawn_id *id, spawn_state wanted)
{
    spawn_writer w;

    begin(&w, SPAWN_M_GET, id);
    ask(&w);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]), wanted);
}

static void expect_returned(const spawn_id *id)
{
    expect_state(id, SPAWN_STATE_DONE);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_EXITED);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_EXIT_CODE, 99), 0);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_ELAPSED, 0), 7777777);
}

/* Nobody looks by himself, and no lease ends, while time stands. */
static void is_lent_meanwhile(worker *w)
{
    spawn_id template;

    reach_workers(1, 1, &template);
    worker_starts(w);
    worker_says(w, NULL);
    proves(SPAWN_RELEASE);
    time_stands();
    is_lent(w);
}

/* It is asked for while it runs. */
static void has_become_a_job(worker *w, spawn_id *ret)
{
    is_lent_meanwhile(w);
    begins(ret, NULL);
    expect_state(ret, SPAWN_STATE_RUNNING);
    expect_take_back(w);
}

static void before_its_worker_is_back(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    has_become_a_job(&w, &id);
    ends(SPAWN_RESULT_RETURNED);
    spawn_slate_answered(slate);
    expect_returned(&id);
    is_there();
    quiet_at(w.link, 1); /* it gets nothing to do yet */
    gives_back(&w, &id);
    is_served(&w);
    expect_answer(SPAWN_M_JOB);
    end_broker();
    expect_sql("SELECT count(*) FROM job WHERE elapsed = 7777777", "1");
}

static void whether_anybody_asks_or_not(void **state)
{
    spawn_writer asked;
    spawn_id id;
    worker w;

    (void)state;
    has_become_a_job(&w, &id);
    begin(&asked, SPAWN_M_WAIT, &id);
    spawn_put_u64(&asked, SPAWN_A_WAIT_FOR, SPAWN_REPLY_FINISHED);
    spawn_put_u64(&asked, SPAWN_A_WITH_OUTPUT, 1);
    ask(&asked);
    is_there();
    time_goes_on();
    ends(SPAWN_RESULT_RETURNED);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_attr_u64(&message.attr[SPAWN_A_STATE]),
                     SPAWN_STATE_DONE);
    assert_int_equal(message.attr[SPAWN_A_RESULT].length, 5);
    assert_memory_equal(message.attr[SPAWN_A_RESULT].data, "value", 5);
}

static void told_by_the_next_broker(bool read)
{
    spawn_id id;
    worker w;

    has_become_a_job(&w, &id);
    time_goes_on();
    kill_broker();
    ends(SPAWN_RESULT_RETURNED);
    if (read)
        slate->read = slate->ended;
    start_broker();
    say_running_worker(&w);
    expect_ready();
    say(SPAWN_M_GO);
    expect_take_back(&w);
    call_in();
    expect_returned(&id);
    gives_back(&w, &id);
    is_served(&w);
    expect_answer(SPAWN_M_JOB);
}

static void by_the_next_broker_too(void **state)
{
    (void)state;
    told_by_the_next_broker(false);
}

/* The one before had read it, and not stored it. */
static void whatever_a_killed_one_had_read(void **state)
{
    (void)state;
    told_by_the_next_broker(true);
}

static void it_is_stored_when_the_spawner_is_killed(void **state)
{
    worker w;

    (void)state;
    is_lent_meanwhile(&w);
    runs(SPAWN_RESULT_RETURNED);
    end_broker();
    expect_sql("SELECT exit_code FROM job WHERE elapsed = 7777777", "0");
}

static void so_is_one_that_has_become_a_job(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    has_become_a_job(&w, &id);
    ends(SPAWN_RESULT_RETURNED);
    spawn_slate_answered(slate);
    end_broker();
    expect_sql("SELECT exit_code FROM job WHERE elapsed = 7777777", "0");
}

/* Its caller has no answer yet. */
static void so_is_one_that_ended_just_then(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    is_lent_meanwhile(&w);
    begins(&id, NULL);
    ends(SPAWN_RESULT_RETURNED);
    end_broker();
    assert_true(spawn_slate_is_held(slate));
    expect_sql("SELECT exit_code FROM job WHERE elapsed = 7777777", "0");
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(before_its_worker_is_back),
        ALONE(whether_anybody_asks_or_not),
        ALONE(by_the_next_broker_too),
        ALONE(whatever_a_killed_one_had_read),
        ALONE(it_is_stored_when_the_spawner_is_killed),
        ALONE(so_is_one_that_has_become_a_job),
        ALONE(so_is_one_that_ended_just_then),
    };

    find_broker();
    return cmocka_run_group_tests_name("leases_told", tests, NULL, NULL);
}
