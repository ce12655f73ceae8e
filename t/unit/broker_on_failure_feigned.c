/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Callers that know how the broker names what follows from a failure: none can
 * have its own job shown as that, nor keep that from being run. The protocol of
 * broker_retried.h. SpawnOnFailure names a program.
 */
#include "t/unit/broker_post.h"
#include "t/unit/broker_retried.h"

static void put_rules(spawn_writer *w)
{
    size_t mark = spawn_open_nest(w, SPAWN_A_QUEUE_DEFAULTS), list;

    spawn_put_str(w, SPAWN_A_QUEUE, "default");
    list = spawn_open_strv(w, SPAWN_A_ON_FAILURE_ARGV);
    spawn_add_text(w, list, "/bin/echo", 9);
    spawn_close(w, list);
    spawn_close(w, mark);
}

static void a_caller_does_not_say_it(void **state)
{
    spawn_writer w;
    spawn_id other;

    (void)state;
    begins();
    (void)spawn_id_make(&other);
    begin_program(&w, 0, NULL, 0);
    spawn_put_id(&w, SPAWN_A_FAILURE_OF, &other);
    ask(&w);
    expect_refusal(SPAWN_E_INVALID);
    assert_string_equal(spawn_str_or(&message, SPAWN_A_TEXT, ""),
                        "failure_of: only the broker says that of a job");
    quiet_for(1);
}

/* The history would show it, were it recorded as others that are refused. */
static void nor_does_a_post(void **state)
{
    spawn_writer w;
    spawn_id id, other;

    (void)state;
    make_store();
    log_is_kept = true;
    make_inbox();
    reach_go_and_call_in();
    (void)spawn_id_make(&id);
    (void)spawn_id_make(&other);
    begin_post(&w, &id, "/bin/true");
    spawn_put_id(&w, SPAWN_A_FAILURE_OF, &other);
    send_post(&w);
    wait_until_logged("MS0560", 1);
    has_heard();
    quiet_for(1);
    assert_int_equal(full_slots(), 0);
    end_broker();
    expect_sql("SELECT count(*) FROM job", "0");
}

/* The next message, past what the spawner may forget. */
static void expect_handler(spawn_id *ret)
{
    do {
        next_message();
    } while (message.header.type == SPAWN_M_FORGET);
    assert_int_equal(message.header.type, SPAWN_M_LAUNCH);
    spawn_attr_id(&message.attr[SPAWN_A_ID], ret);
    assert_string_equal(spawn_strv_next(&message.attr[SPAWN_A_ARGV], NULL),
                        "/bin/echo");
}

static void it_fails(const spawn_id *id)
{
    spawn_writer w;

    job = *id;
    begin_submit(&w, &job, "/bin/true");
    is_submitted(&w);
    attempt_ends(1, EXIT(3));
    has_heard();
    time_moves(20);
    has_heard();
}

/* What follows comes with another id, and that one is the same after a broker
 * was killed. */
static void who_takes_its_id_keeps_it_from_nothing(void **state)
{
    spawn_id failed, first, second;

    (void)state;
    more_rules = put_rules;
    log_is_kept = true;
    begins();
    (void)spawn_id_make(&failed);
    it_fails(&failed);
    expect_handler(&first);
    kill_broker();
    run_sql("DELETE FROM job"); /* so that it all comes once more */
    time_goes_on();
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
    time_stands();
    submit_as(&first, "/bin/false");
    expect_answer(SPAWN_M_ACCEPTED);
    expect_id(SPAWN_M_LAUNCH, &first);
    it_fails(&failed);
    expect_handler(&second);
    assert_false(spawn_id_equal(&first, &second));
    assert_int_equal(logged("MS0891"), 1);
    kill_broker();
    expect_sql("SELECT count(*) FROM job", "3");
    run_sql("DELETE FROM job WHERE state = 4");
    time_goes_on();
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    expect_id(SPAWN_M_LAUNCH, &first); /* neither FORGET nor RUNNING came */
    expect_id(SPAWN_M_LAUNCH, &second);
    call_in();
    time_stands();
    it_fails(&failed);
    expect_id(SPAWN_M_FORGET, &failed);
    quiet_for(1);
    kill_broker();
    expect_sql("SELECT count(*) FROM job", "3");
}

#define ALONE(name)                                                            \
    cmocka_unit_test_setup_teardown(name, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALONE(a_caller_does_not_say_it),
        ALONE(nor_does_a_post),
        ALONE(who_takes_its_id_keeps_it_from_nothing),
    };

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("broker on failure feigned", tests, NULL,
                                       NULL);
}
