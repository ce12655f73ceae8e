/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call in a worker that is older than it, when broker and spawner were
 * killed: its time-out, and how long it took, count from its own beginning. In
 * these tests time stands still. The protocol of broker_found.h.
 */
#include "t/unit/broker_calls.h"
#include "t/unit/broker_clock.h"
#include "t/unit/broker_found.h"
#include "t/unit/broker_post.h"

#define AGE     3600  /* s, of the worker */
#define TIMEOUT 50000 /* ms, of the call */

static spawn_id template;
static worker the_worker;

static void a_call_runs_in_an_old_worker(void)
{
    spawn_writer w;

    child_runs(CHILD_OBEYS);
    make_store();
    reach_workers(1, 1, &template);
    worker_ordered(&the_worker);
    begin(&w, SPAWN_M_STARTED, &the_worker.id);
    spawn_put_u64(&w, SPAWN_A_PID, (uint64_t)child);
    spawn_put_u64(&w, SPAWN_A_BOOT_STARTED, (uint64_t)child_started);
    send_fds(&w, NULL, 0);
    worker_says(&the_worker, NULL);
    is_there();
    later_by(AGE);
    time_stands();
    (void)spawn_id_make(&job);
    begin(&w, SPAWN_M_SUBMIT, &job);
    spawn_put_str(&w, SPAWN_A_FUNCTION, "My::f");
    spawn_put_u64(&w, SPAWN_A_TIMEOUT, TIMEOUT);
    spawn_put_u64(&w, SPAWN_A_REPLY, SPAWN_REPLY_FINISHED);
    ask(&w);
    expect_call(&the_worker, &job);
    comes_to_rest();
}

static void both_are_killed(void)
{
    kill_broker();
    another_spawner();
    workers_min = 0;
    start_broker();
    go();
    call_in();
    is_there();
}

static void it_has_its_time(void)
{
    struct pollfd p = {spawn_os_pidfd(child), POLLIN, 0};

    time_moves(TIMEOUT - 10000);
    is_there();
    assert_int_equal(poll(&p, 1, 100), 0);
    (void)close(p.fd);
    time_moves(11000);
    child_was_killed(SIGTERM);
    is_there();
    time_goes_on();
    is_there();
    end_broker();
    expect_sql("SELECT outcome || ' ' || (elapsed BETWEEN 48000000 AND"
               " 60000000) FROM job",
               "3 1");
}

static void one_that_a_slot_has(void **state)
{
    (void)state;
    a_call_runs_in_an_old_worker();
    both_are_killed();
    it_has_its_time();
}

static void one_that_the_store_has(void **state)
{
    (void)state;
    a_call_runs_in_an_old_worker();
    time_moves(20);
    is_there();
    both_are_killed();
    it_has_its_time();
}

#define LATER(test)                                                            \
    cmocka_unit_test_setup_teardown(test, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {LATER(one_that_a_slot_has),
                                       LATER(one_that_the_store_has)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("times of calls", tests, NULL, NULL);
}
