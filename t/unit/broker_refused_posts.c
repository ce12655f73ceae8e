/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A post that the log calls refused never runs, also when its broker is killed
 * before the store has that, and its queue has room for it then. The next one
 * says what is known. The protocol of broker_post.h.
 */
#include "t/unit/broker_clock.h"
#include "t/unit/broker_post.h"

#include "common/spawn_field.h"

static spawn_id id;

static void change(uint64_t what)
{
    spawn_writer w;

    begin(&w, SPAWN_M_QUEUES, NULL);
    spawn_put_u64(&w, SPAWN_A_QUEUE_DO, what);
    spawn_put_str(&w, SPAWN_A_QUEUE, "default");
    ask(&w);
    expect_answer(SPAWN_M_QUEUE_STATE);
    expect_answer(SPAWN_M_END);
}

static void begins(void)
{
    make_store_that_fails_a_while(NO_INSERT);
    log_is_kept = true;
    make_inbox();
    reach_go_and_call_in();
}

static void another_broker_comes(void)
{
    kill_broker();
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
}

static void expect_it_is_recorded(const char *text)
{
    end_broker();
    assert_int_equal(full_slots(), 0);
    expect_sql("SELECT state || ' ' || outcome || ' ' || step || ' ' || dead"
               " FROM job",
               "4 5 7 0");
    expect_sql("SELECT text FROM job", text);
}

static const char unknown_why[] =
    "it was refused when it came, and the broker was killed then: the error "
    "log has the reason";

static void one_of_a_drained_queue_does_not_run(void **state)
{
    (void)state;
    begins();
    change(SPAWN_QUEUE_DRAIN);
    post(&id);
    wait_until_logged("MS0560", 1);
    wait_until_logged("MS0530", 1);
    change(SPAWN_QUEUE_UNDRAIN);
    another_broker_comes();
    has_heard();
    store_takes_again();
    has_heard();
    quiet_for(1);
    assert_int_equal(logged("MS0560"), 1);
    wait_until_logged("MS0683", 1);
    expect_it_is_recorded(unknown_why);
}

static void nor_one_of_a_queue_that_has_room_since(void **state)
{
    spawn_id first, second;

    (void)state;
    queue_jobs = queue_waits = 1;
    begins();
    post(&first);
    expect_id(SPAWN_M_LAUNCH, &first);
    say_started(&first);
    post(&second);
    post(&id);
    wait_until_logged("MS0560", 1);
    queue_jobs = queue_waits = 10;
    store_takes_again();
    another_broker_comes();
    expect_id(SPAWN_M_LAUNCH, &second);
    has_heard();
    quiet_for(1);
    end_broker();
    expect_sql("SELECT count(*) FROM job WHERE outcome = 5 AND step = 7", "1");
}

static void its_broker_records_it_when_the_store_takes_it(void **state)
{
    (void)state;
    begins();
    change(SPAWN_QUEUE_DRAIN);
    post(&id);
    wait_until_logged("MS0530", 1);
    change(SPAWN_QUEUE_UNDRAIN);
    store_takes_again();
    has_heard();
    quiet_for(1);
    assert_int_equal(logged("MS0560"), 1);
    assert_int_equal(logged("MS0561"), 0);
    expect_it_is_recorded("queue 'default' is drained and takes no jobs until "
                          "somebody calls 'spawnctl resume default'");
}

int main(void)
{
#define ALONE(f)                                                               \
    cmocka_unit_test_setup_teardown(f, set_up_clock, tear_down_clock)
    const struct CMUnitTest tests[] = {
        ALONE(one_of_a_drained_queue_does_not_run),
        ALONE(nor_one_of_a_queue_that_has_room_since),
        ALONE(its_broker_records_it_when_the_store_takes_it)};

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("broker refused posts", tests, NULL,
                                       NULL);
}
