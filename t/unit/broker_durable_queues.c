/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable jobs of queues that are changed by hand: a paused queue takes them,
 * and starts them when it is resumed, also after broker and spawner were
 * killed; one that is drained takes none.
 */
#include "t/unit/broker_durable.h"

/* Its mode then; 0 (SPAWN_QUEUE_LIST) only asks for that. */
static uint64_t change(uint64_t what)
{
    spawn_writer w;
    uint64_t mode;

    begin(&w, SPAWN_M_QUEUES, NULL);
    spawn_put_u64(&w, SPAWN_A_QUEUE_DO, what);
    spawn_put_str(&w, SPAWN_A_QUEUE, "default");
    ask(&w);
    expect_answer(SPAWN_M_QUEUE_STATE);
    mode = spawn_u64_or(&message, SPAWN_A_QUEUE_MODE, 99);
    expect_answer(SPAWN_M_END);
    return mode;
}

static void one_waits_in_a_paused_queue(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    assert_int_equal(change(SPAWN_QUEUE_PAUSE), SPAWN_QUEUE_PAUSED);
    submit_durable();
    expect_answer(SPAWN_M_ACCEPTED);
    has_heard();
    quiet_for(1);
    everything_is_killed();
    another_broker();
    assert_int_equal(change(SPAWN_QUEUE_LIST), SPAWN_QUEUE_PAUSED);
    look();
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 99),
                     SPAWN_STATE_QUEUED);
    quiet_for(50);
    assert_int_equal(change(SPAWN_QUEUE_RESUME), SPAWN_QUEUE_OPEN);
    expect_id(SPAWN_M_LAUNCH, &job);
}

/* It was chosen to start, and that is being written when the queue is paused.
 */
static void one_that_is_to_start_waits_again(void **state)
{
    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_waits();
    disk[HANG_AFTER] = 1; /* after its PUT */
    submit_durable();
    expect_answer(SPAWN_M_ACCEPTED);
    wait_for_a_hang();
    assert_int_equal(change(SPAWN_QUEUE_PAUSE), SPAWN_QUEUE_PAUSED);
    disk_goes_on();
    has_heard();
    quiet_for(100);
    assert_int_equal(change(SPAWN_QUEUE_RESUME), SPAWN_QUEUE_OPEN);
    expect_id(SPAWN_M_LAUNCH, &job);
    kill_broker();
    wait_for_the_scribe();
    expect_ledger("SELECT state FROM job WHERE seq = 2", "2");
}

static void none_is_taken_by_a_drained_one(void **state)
{
    spawn_id first;

    (void)state;
    NEEDS_A_DISK;
    reach_go_and_call_in();
    a_durable_job_waits(); /* the ledger is made */
    first = job;
    assert_int_equal(change(SPAWN_QUEUE_DRAIN), SPAWN_QUEUE_DRAINING);
    submit_durable();
    expect_refused_with("is drained");
    job = first;
    look(); /* that one is kept */
    assert_int_equal(spawn_u64_or(&message, SPAWN_A_STATE, 99),
                     SPAWN_STATE_DELAYED);
    kill_broker();
    wait_for_the_scribe();
    expect_ledger("SELECT count(*) FROM job", "1");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up_disk, tear_down_disk)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(one_waits_in_a_paused_queue),
                                       TEST(one_that_is_to_start_waits_again),
                                       TEST(none_is_taken_by_a_drained_one)};

    find_broker();
    return cmocka_run_group_tests_name("durable jobs of changed queues", tests,
                                       NULL, NULL);
}
