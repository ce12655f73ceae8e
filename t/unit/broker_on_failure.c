/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What follows from the failure of a job: one job of its queue, with an id that
 * follows from the other's; stored with the end of that, whoever is killed and
 * whatever the store has taken. The protocol of broker_retried.h.
 * SpawnOnFailure names a program.
 */
#include "t/unit/broker_post.h"
#include "t/unit/broker_retried.h"

static void put_rules(spawn_writer *w)
{
    size_t mark = spawn_open_nest(w, SPAWN_A_QUEUE_DEFAULTS), list;

    spawn_put_str(w, SPAWN_A_QUEUE, "default");
    list = spawn_open_strv(w, SPAWN_A_ON_FAILURE_ARGV);
    spawn_add_text(w, list, "/bin/echo", 9);
    spawn_add_text(w, list, "failed", 6);
    spawn_close(w, list);
    spawn_close(w, mark);
}

static spawn_id handler; /* of the job that follows */

static void begins_with_it(void)
{
    more_rules = put_rules;
    begins();
}

static bool has_variable(const char *wanted)
{
    const spawn_attr *env = &message.attr[SPAWN_A_ENV];
    const char *text = NULL;
    uint32_t i;

    for (i = 0; i < spawn_strv_count(env); i++) {
        text = spawn_strv_next(env, text);
        if (strcmp(text, wanted) == 0)
            return true;
    }
    return false;
}

/* The next message, past what the spawner may forget. */
static void next_order(void)
{
    do {
        next_message();
    } while (message.header.type == SPAWN_M_FORGET);
}

static void expect_handler(void)
{
    const spawn_attr *argv = &message.attr[SPAWN_A_ARGV];
    char text[SPAWN_ID_TEXT], variable[80];

    next_order();
    assert_int_equal(message.header.type, SPAWN_M_LAUNCH);
    spawn_attr_id(&message.attr[SPAWN_A_ID], &handler);
    assert_true(spawn_id_valid(&handler));
    assert_false(spawn_id_equal(&handler, &job));
    assert_int_equal(spawn_id_time(&handler), spawn_id_time(&job));
    assert_int_equal(spawn_strv_count(argv), 2);
    assert_string_equal(spawn_strv_next(argv, NULL), "/bin/echo");
    (void)snprintf(variable, sizeof(variable), "SPAWN_FAILED_ID=%s",
                   spawn_id_format(&job, text));
    assert_true(has_variable(variable));
    assert_true(has_variable("SPAWN_FAILED_QUEUE=default"));
    assert_true(has_variable("SPAWN_FAILED_WHAT=/bin/true"));
}

static void program_fails(int status)
{
    spawn_writer w;

    begin_program(&w, 0, NULL, 0);
    is_submitted(&w);
    attempt_ends(1, status);
    has_heard();
    time_moves(20);
    has_heard();
}

static void one_follows_from_a_failure(void **state)
{
    (void)state;
    begins_with_it();
    program_fails(EXIT(3));
    expect_handler();
    assert_true(has_variable("SPAWN_FAILED_EXIT_CODE=3"));
    assert_true(has_variable("SPAWN_FAILED_OUTCOME=exited"));
    assert_true(has_variable("SPAWN_FAILED_ATTEMPT=1"));
    say_exited(&handler, 0, EXIT(1)); /* it fails, too: none follows */
    has_heard();
    time_moves(20);
    has_heard();
    expect_id(SPAWN_M_FORGET, &handler);
    quiet_for(1);
    program_fails(0);
    expect_id(SPAWN_M_FORGET, &job);
    quiet_for(1);
    kill_broker();
    expect_sql("SELECT count(*) FROM job", "3");
}

static void it_comes_after_the_last_attempt(void **state)
{
    (void)state;
    begins_with_it();
    {
        static const uint64_t second[] = {SPAWN_BACKOFF_LIST, 1000};
        spawn_writer w;

        begin_program(&w, 1, second, 2);
        is_submitted(&w);
    }
    fails_and_is_tried_again(1);
    attempt_ends(2, SIGSEGV);
    has_heard();
    time_moves(20);
    has_heard();
    expect_handler();
    assert_true(has_variable("SPAWN_FAILED_SIGNAL=11"));
    assert_true(has_variable("SPAWN_FAILED_ATTEMPT=2"));
}

static void none_follows_when_somebody_ends_it(void **state)
{
    spawn_writer w;

    (void)state;
    begins_with_it();
    begin_program(&w, 0, NULL, 0);
    is_submitted(&w);
    kill_it(SIGTERM);
    expect_answer(SPAWN_M_DONE);
    expect_id(SPAWN_M_SIGNAL, &job);
    attempt_ends(1, SIGTERM);
    has_heard();
    time_moves(20);
    has_heard();
    expect_id(SPAWN_M_FORGET, &job);
    begin_program(&w, 0, NULL, 0);
    spawn_put_str(&w, SPAWN_A_ON_FAILURE, "none");
    is_submitted(&w);
    attempt_ends(1, EXIT(1));
    is_forgotten();
    quiet_for(1);
}

/* ---- brokers that are killed ---- */

/* The end and what follows are in one transaction. */
static void a_broker_that_has_not_stored_the_end_has_stored_none(void **state)
{
    spawn_id first;

    (void)state;
    begins_with_it();
    program_fails(EXIT(3));
    expect_handler();
    first = handler;
    kill_broker();
    expect_sql(
        "SELECT group_concat(state) FROM (SELECT state FROM job ORDER BY "
        "state DESC)",
        "4,1");
    time_goes_on();
    start_broker();
    attempt_runs(1);
    attempt_ends(1, EXIT(3)); /* its FORGET did not come */
    say(SPAWN_M_TABLE_END);
    do {
        next_message();
    } while (message.header.type == SPAWN_M_FORGET);
    assert_int_equal(message.header.type, SPAWN_M_BROKER_READY);
    say(SPAWN_M_GO);
    expect_handler();
    assert_true(spawn_id_equal(&handler, &first));
    call_in();
    has_heard();
    quiet_for(1);
    kill_broker();
    expect_sql("SELECT count(*) FROM job", "2");
}

/* It was stored, and nobody was told of anything. */
static void what_a_killed_broker_did_not_see_the_next_one_does(void **state)
{
    spawn_writer w;

    (void)state;
    begins_with_it();
    begin_program(&w, 0, NULL, 0);
    is_submitted(&w);
    comes_anew();
    attempt_runs(1);
    attempt_ends(1, EXIT(3));
    expect_ready();
    say(SPAWN_M_GO);
    expect_handler();
    kill_broker();
    expect_sql("SELECT count(*) FROM job", "2");
}

/* Nobody knows how it ended. */
static void one_follows_from_a_lost_job(void **state)
{
    spawn_writer w;

    (void)state;
    begins_with_it();
    begin_program(&w, 0, NULL, 0);
    is_submitted(&w);
    has_heard();
    kill_broker();
    time_goes_on();
    another_spawner();
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    expect_handler();
    assert_true(has_variable("SPAWN_FAILED_OUTCOME=lost"));
}

/* ---- posts that are refused ---- */

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

/* Nothing has failed: it was not taken. Neither does the broker think so that
 * finds it in the slot. */
static void none_follows_from_a_refusal(void **state)
{
    spawn_id id;

    (void)state;
    more_rules = put_rules;
    make_store_that_fails_a_while(NO_INSERT);
    log_is_kept = true;
    make_inbox();
    reach_go_and_call_in();
    change(SPAWN_QUEUE_DRAIN);
    post(&id);
    wait_until_logged("MS0560", 1);
    wait_until_logged("MS0530", 1);
    change(SPAWN_QUEUE_UNDRAIN);
    kill_broker();
    start_broker();
    expect_ready();
    say(SPAWN_M_GO);
    call_in();
    has_heard();
    store_takes_again();
    has_heard();
    quiet_for(1);
    end_broker();
    expect_sql("SELECT count(*) FROM job", "1");
}

static void nor_when_its_own_broker_records_it(void **state)
{
    spawn_id id;

    (void)state;
    more_rules = put_rules;
    make_store();
    log_is_kept = true;
    make_inbox();
    reach_go_and_call_in();
    change(SPAWN_QUEUE_DRAIN);
    post(&id);
    wait_until_logged("MS0560", 1);
    change(SPAWN_QUEUE_UNDRAIN);
    has_heard();
    quiet_for(1);
    end_broker();
    expect_sql("SELECT count(*) FROM job", "1");
}

#define ALONE(name)                                                            \
    cmocka_unit_test_setup_teardown(name, set_up_clock, tear_down_clock)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ALONE(one_follows_from_a_failure),
        ALONE(it_comes_after_the_last_attempt),
        ALONE(none_follows_when_somebody_ends_it),
        ALONE(a_broker_that_has_not_stored_the_end_has_stored_none),
        ALONE(what_a_killed_broker_did_not_see_the_next_one_does),
        ALONE(one_follows_from_a_lost_job),
        ALONE(none_follows_from_a_refusal),
        ALONE(nor_when_its_own_broker_records_it),
    };

    find_broker();
    if (no_clocks())
        return 0;
    return cmocka_run_group_tests_name("broker on failure", tests, NULL, NULL);
}
