/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue with SpawnAllow lends no worker, since calls to it would be looked at
 * by nobody; one that is lent when the list comes is taken back.
 */
#include "t/unit/broker_leased.h"

static void put_list(spawn_writer *w)
{
    size_t mark = spawn_open_nest(w, SPAWN_A_QUEUE_ALLOW), list;

    spawn_put_str(w, SPAWN_A_QUEUE, "default");
    list = spawn_open_strv(w, SPAWN_A_ALLOW);
    spawn_add_text(w, list, "*", 1);
    spawn_close(w, list);
    spawn_close(w, mark);
}

static void it_lends_none(void **state)
{
    spawn_id template;
    worker w;
    int i;

    (void)state;
    more_rules = put_list;
    reach_workers(1, 1, &template);
    worker_starts(&w);
    worker_says(&w, NULL);
    proves(SPAWN_RELEASE);
    time_stands();
    for (i = 0; i < 5; i++) {
        is_served(&w);
        expect_answer(SPAWN_M_JOB);
    }
    more_rules = NULL; /* it was for want of nothing else */
    say_configure();
    expect(SPAWN_M_BROKER_READY);
    is_served(&w);
    expect_answer(SPAWN_M_LEASE);
}

static void one_that_is_lent_comes_back(void **state)
{
    worker w;

    (void)state;
    queue_jobs = 3;
    time_stands();
    reach_lent(&w);
    more_rules = put_list;
    say_configure();
    expect(SPAWN_M_BROKER_READY);
    expect_take_back(&w);
}

int main(void)
{
#define ALONE(name)                                                            \
    cmocka_unit_test_setup_teardown(name, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {ALONE(it_lends_none),
                                       ALONE(one_that_is_lent_comes_back)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("leases of queues with a list", tests,
                                       NULL, NULL);
}
