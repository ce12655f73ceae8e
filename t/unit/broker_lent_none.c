/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Callers that are lent no worker: one that has not proved to be a child of
 * httpd, and one of another release, which may not know leases. Workers of
 * another release are lent to nobody, also by the next broker.
 */
#include "t/unit/broker_leased.h"

static void calls_and_is_lent_none(const worker *w)
{
    int i;

    for (i = 0; i < 5; i++) {
        is_served(w);
        expect_answer(SPAWN_M_JOB);
    }
}

static void reach_ready(worker *w)
{
    spawn_id template;

    reach_workers(1, 1, &template);
    worker_starts(w);
    worker_says(w, NULL);
}

static void nobody_is_lent_one_without_proof(void **state)
{
    spawn_writer hello;
    worker w;

    (void)state;
    reach_ready(&w);
    begin(&hello, SPAWN_M_HELLO, NULL);
    spawn_put_str(&hello, SPAWN_A_CLIENT, "test");
    spawn_put_str(&hello, SPAWN_A_RELEASE, SPAWN_RELEASE);
    ask(&hello);
    expect_answer(SPAWN_M_WELCOME);
    calls_and_is_lent_none(&w);
}

static void a_caller_of_another_release_is_lent_none(void **state)
{
    worker w;

    (void)state;
    reach_ready(&w);
    proves("0.0.9");
    calls_and_is_lent_none(&w);
    proves(NULL);
    calls_and_is_lent_none(&w);
    proves(SPAWN_RELEASE);
    is_lent(&w);
}

static void a_worker_of_another_release_is_not_lent(void **state)
{
    spawn_id template;
    worker w;

    (void)state;
    reach_workers(1, 1, &template);
    worker_starts(&w);
    older_worker_says(&w);
    proves(SPAWN_RELEASE);
    calls_and_is_lent_none(&w);
    kill_broker();
    start_another(&w, &template);
    proves(SPAWN_RELEASE);
    calls_and_is_lent_none(&w);
}

static void one_of_ours_is_lent_by_the_next_broker_too(void **state)
{
    spawn_id template;
    worker w;

    (void)state;
    reach_a_worker(&w, &template);
    kill_broker();
    start_another(&w, &template);
    proves(SPAWN_RELEASE);
    is_lent(&w);
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(nobody_is_lent_one_without_proof),
        ALONE(a_caller_of_another_release_is_lent_none),
        ALONE(a_worker_of_another_release_is_not_lent),
        ALONE(one_of_ours_is_lent_by_the_next_broker_too)};

    find_broker();
    return cmocka_run_group_tests_name("lent_none", tests, NULL, NULL);
}
