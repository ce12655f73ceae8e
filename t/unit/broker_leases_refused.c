/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call that went to a worker which nobody knows any more may have run: where
 * its queue takes no jobs now it is told as lost, too. Refused, it would be
 * taken for one that did not run, and be sent again. This program plays
 * spawner, template and caller.
 */
#include "t/unit/broker_leased.h"

static spawn_id template;

static void is_lost(void)
{
    spawn_id id, stranger;

    (void)spawn_id_make(&stranger);
    says_lost(&stranger);
    (void)spawn_id_make(&id);
    call_again(&id);
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_LOST);
    call_again(&id); /* which is known from then on */
    expect_answer(SPAWN_M_JOB);
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_OUTCOME, 0),
                     SPAWN_OUTCOME_LOST);
}

static void nothing_else_is_taken(void)
{
    spawn_id id;

    submit(&id, SPAWN_REPLY_FINISHED);
    expect_refusal(SPAWN_E_QUEUE_FULL);
}

static void where_its_queue_is_full(void **state)
{
    spawn_id waits;

    (void)state;
    queue_jobs = 1;
    queue_waits = 0;
    reach_workers(0, 1, &template);
    submit(&waits, SPAWN_REPLY_FINISHED);
    nothing_else_is_taken();
    is_lost();
}

static void where_its_queue_is_drained(void **state)
{
    spawn_writer w;

    (void)state;
    reach_workers(0, 1, &template);
    begin(&w, SPAWN_M_QUEUES, NULL);
    spawn_put_u64(&w, SPAWN_A_QUEUE_DO, SPAWN_QUEUE_DRAIN);
    spawn_put_str(&w, SPAWN_A_QUEUE, "default");
    ask(&w);
    expect_answer(SPAWN_M_QUEUE_STATE);
    expect_answer(SPAWN_M_END);
    nothing_else_is_taken();
    is_lost();
}

/* There is no queue that it could be a job of. */
static void not_where_its_queue_has_gone(void **state)
{
    spawn_id id, stranger;
    spawn_writer w;

    (void)state;
    reach_workers(0, 1, &template);
    (void)spawn_id_make(&stranger);
    says_lost(&stranger);
    (void)spawn_id_make(&id);
    begin(&w, SPAWN_M_SUBMIT, &id);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    spawn_put_str(&w, SPAWN_A_QUEUE, "gone");
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_refusal(SPAWN_E_UNKNOWN_QUEUE);
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {ALONE(where_its_queue_is_full),
                                       ALONE(where_its_queue_is_drained),
                                       ALONE(not_where_its_queue_has_gone)};

    find_broker();
    return cmocka_run_group_tests_name("leases_refused", tests, NULL, NULL);
}
