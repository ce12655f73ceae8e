/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What follows from the failure of a job, while the store takes nothing: it
 * comes once, when the store has the end. The protocol of broker_unstored.h.
 * SpawnOnFailure names a program.
 */
#include "t/unit/broker_unstored.h"

#define EXIT(code) ((code) << 8)

static void put_rules(spawn_writer *w)
{
    size_t mark = spawn_open_nest(w, SPAWN_A_QUEUE_DEFAULTS), list;

    spawn_put_str(w, SPAWN_A_QUEUE, "default");
    list = spawn_open_strv(w, SPAWN_A_ON_FAILURE_ARGV);
    spawn_add_text(w, list, "/bin/echo", 9);
    spawn_close(w, list);
    spawn_close(w, mark);
}

/* The next message, past what the spawner may forget. */
static void expect_handler(void)
{
    spawn_id id;

    do {
        next_message();
    } while (message.header.type == SPAWN_M_FORGET);
    assert_int_equal(message.header.type, SPAWN_M_LAUNCH);
    spawn_attr_id(&message.attr[SPAWN_A_ID], &id);
    assert_false(spawn_id_equal(&id, &job));
    assert_string_equal(spawn_strv_next(&message.attr[SPAWN_A_ARGV], NULL),
                        "/bin/echo");
}

/* It runs on a slot alone, and its caller has its end; that is tried again each
 * second, and makes the same order each time. */
static void it_comes_once_however_often_the_end_is_tried(void **state)
{
    int i;

    (void)state;
    more_rules = put_rules;
    make_store_that_fails_a_while(NO_INSERT);
    log_is_kept = true;
    make_inbox();
    reach_go_and_call_in();
    waits_for_its_end();
    say_started(&job);
    wait_until_logged("MS0530", 1);
    say_exited(&job, 0, EXIT(3));
    expect_answer(SPAWN_M_JOB);
    for (i = 0; i < 8; i++) {
        has_heard();
        later_by(2);
    }
    has_heard();
    quiet_for(1);
    store_takes_again();
    expect_handler();
    later_by(2);
    has_heard();
    end_broker();
    expect_sql("SELECT count(*) FROM job", "2");
}

/* Its spawner tells it of the job, which has failed. */
static void another_broker(void)
{
    spawn_writer w;

    start_broker();
    begin(&w, SPAWN_M_RUNNING, &job);
    spawn_put_u64(&w, SPAWN_A_STATE, SPAWN_STATE_RUNNING);
    spawn_put_u64(&w, SPAWN_A_PID, 4000000);
    spawn_put_u64(&w, SPAWN_A_MONO_STARTED, (uint64_t)spawn_mono_ms());
    send_fds(&w, NULL, 0);
    say_exited(&job, 0, EXIT(3));
    expect_ready();
    say(SPAWN_M_GO);
}

/* The store takes changes of jobs, and no new ones. */
static void the_end_is_not_there_without_it(void **state)
{
    (void)state;
    more_rules = put_rules;
    make_store();
    log_is_kept = true;
    make_inbox();
    reach_go_and_call_in();
    is_accepted();
    say_started(&job);
    has_heard();
    later_by(1);
    has_heard();
    kill_broker();
    store_fails(NO_INSERT);
    another_broker();
    call_in();
    wait_until_logged("MS0530", 1);
    has_heard();
    later_by(2);
    has_heard();
    kill_broker();
    expect_sql("SELECT count(*) FROM job", "1");
    expect_sql("SELECT count(*) FROM job WHERE state = 4", "0");
    run_sql("DROP TRIGGER no");
    another_broker();
    expect_handler();
    kill_broker();
    expect_sql("SELECT count(*) FROM job", "2");
}

#define ALONE(name)                                                            \
    cmocka_unit_test_setup_teardown(name, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALONE(it_comes_once_however_often_the_end_is_tried),
        ALONE(the_end_is_not_there_without_it),
    };

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("broker on failure unstored", tests,
                                       NULL, NULL);
}
