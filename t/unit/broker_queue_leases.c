/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls of a worker that is lent pass no scheduler: when its queue is paused,
 * drained or scaled, or httpd.conf lets less of its jobs run, the worker is
 * taken back if it could run a call too many; also by a broker that follows a
 * killed one. The world stands still: no lease ends for want of use.
 */
#include "t/unit/broker_leased.h"

static void change_it(uint64_t what, uint64_t max_jobs)
{
    spawn_writer w;

    begin(&w, SPAWN_M_QUEUES, NULL);
    spawn_put_u64(&w, SPAWN_A_QUEUE_DO, what);
    spawn_put_str(&w, SPAWN_A_QUEUE, "default");
    if (max_jobs)
        spawn_put_u64(&w, SPAWN_A_MAX_JOBS, max_jobs);
    ask(&w);
    expect_answer(SPAWN_M_QUEUE_STATE);
    expect_answer(SPAWN_M_END);
}

/* Beside a program that runs. */
static void lend_one(worker *w)
{
    spawn_id program;
    spawn_writer s;

    queue_jobs = 3;
    time_stands();
    reach_lent(w);
    assert_int_equal(spawn_id_make(&program), 0);
    begin_submit(&s, &program, "/bin/true");
    spawn_put_u64(&s, SPAWN_A_REPLY, SPAWN_REPLY_ACCEPTED);
    ask(&s);
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &program);
    say_started(&program);
}

static void a_scale_takes_it_back(void **state)
{
    worker w;

    (void)state;
    lend_one(&w);
    change_it(SPAWN_QUEUE_SCALE, 2);
    has_heard();
    assert_false(spawn_slate_is_held(slate)); /* both may run */
    change_it(SPAWN_QUEUE_SCALE, 1);
    expect_take_back(&w);
}

static void so_do_new_rules(void **state)
{
    worker w;

    (void)state;
    lend_one(&w);
    queue_jobs = 1;
    say_configure();
    expect(SPAWN_M_BROKER_READY);
    expect_take_back(&w);
}

static void so_does_a_pause(void **state)
{
    worker w;

    (void)state;
    lend_one(&w);
    change_it(SPAWN_QUEUE_PAUSE, 0);
    expect_take_back(&w);
}

static void so_does_a_drain(void **state)
{
    worker w;

    (void)state;
    lend_one(&w);
    change_it(SPAWN_QUEUE_DRAIN, 0);
    expect_take_back(&w);
}

/* The call that its worker has runs on, and is a job that counts. */
static void a_call_that_runs_runs_on(void **state)
{
    spawn_id id;
    worker w;

    (void)state;
    lend_one(&w);
    begins(&id, NULL);
    change_it(SPAWN_QUEUE_SCALE, 1);
    expect_take_back(&w);
    ends(SPAWN_RESULT_RETURNED);
    gives_back(&w, &id);
    call_again(&id);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_EXITED);
}

int main(void)
{
#define ALONE(name)                                                            \
    cmocka_unit_test_setup_teardown(name, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(a_scale_takes_it_back), ALONE(so_do_new_rules),
        ALONE(so_does_a_pause), ALONE(so_does_a_drain),
        ALONE(a_call_that_runs_runs_on)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("leases of changed queues", tests, NULL,
                                       NULL);
}
