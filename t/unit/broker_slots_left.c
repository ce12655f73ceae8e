/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Jobs that came back when the store had them, and their slot was another
 * one's already: they have none to leave. In these tests time stands still, so
 * that nothing is stored that can wait. The protocol of broker_found.h.
 */
#include "t/unit/broker_calls.h"
#include "t/unit/broker_clock.h"
#include "t/unit/broker_found.h"
#include "t/unit/broker_post.h"

static spawn_id template;

static void the_store_has_it(void)
{
    time_moves(20);
    is_there();
    assert_int_equal(full_slots(), 0);
}

static void a_call_whose_worker_has_gone(void **state)
{
    worker the_worker, other;
    spawn_writer w;

    (void)state;
    make_store();
    reach_a_worker(&the_worker, &template);
    time_stands();
    (void)spawn_id_make(&job);
    begin(&w, SPAWN_M_SUBMIT, &job);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    spawn_put_i64(&w, SPAWN_A_RETRY, 1);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_call(&the_worker, &job);
    the_store_has_it();
    say_exited(&the_worker.id, 0, SIGKILL);
    worker_ordered(&other);
    expect_id(SPAWN_M_FORGET, &the_worker.id);
    say_started(&other.id);
    worker_says(&other, NULL);
    expect_call(&other, &job);
    worker_returns(&other, &job);
    expect_answer(SPAWN_M_JOB);
}

static void a_function_that_was_not_forked(void **state)
{
    (void)state;
    make_store();
    reach_workers(0, 0, &template);
    time_stands();
    submit(&job, SPAWN_REPLY_FINISHED);
    expect_order(&job, &template);
    the_store_has_it();
    say_exited(&job, SPAWN_STEP_TEMPLATE, ESRCH);
    expect_id(SPAWN_M_DISMISS, &template);
    expect_id(SPAWN_M_FORGET, &job);
    is_there();
    assert_int_equal(full_slots(), 0);
    kill_broker();
    expect_sql("SELECT state FROM job", "1");
}

#define LATER(test)                                                            \
    cmocka_unit_test_setup_teardown(test, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {LATER(a_call_whose_worker_has_gone),
                                       LATER(a_function_that_was_not_forked)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("slots that were left", tests, NULL,
                                       NULL);
}
